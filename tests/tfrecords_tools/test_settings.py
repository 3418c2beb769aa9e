import pydantic
import pytest

from tfrecords_tools.pipeline import ConvertSettings
from tfrecords_tools.settings import Settings, SettingsError, apply_overrides, load_yaml, validate


class Model(Settings):
    hidden_units: int = pydantic.Field(default=8, ge=1)
    learning_rate: float = 0.1


class Experiment(Settings):
    name: str
    model: Model = Model()


def test_all_faults_are_told_at_once_with_path_and_hint():
    values = {"model": {"hiden_units": 4, "learning_rate": "fast"}, "nam": "x"}
    with pytest.raises(SettingsError) as caught:
        validate(Experiment, values, "a.yaml")
    message = str(caught.value)
    assert "a.yaml: model.hiden_units: unknown key; did you mean hidden_units?" in message
    assert "a.yaml: model.learning_rate: input should be a valid number" in message
    assert "(found 'fast')" in message
    assert "a.yaml: name: missing" in message
    assert "a.yaml: nam: unknown key; did you mean name?" in message


def test_key_of_another_section_is_pointed_to():
    with pytest.raises(SettingsError, match=r"did you mean model\.hidden_units"):
        validate(Experiment, {"name": "x", "hidden_unit": 3}, "a.yaml")


def test_section_that_is_no_mapping():
    with pytest.raises(SettingsError, match=r"model: expected keys and values \(found 3\)"):
        validate(Experiment, {"name": "x", "model": 3}, "a.yaml")


def test_yaml_exponents_without_a_dot_are_numbers(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("name: x\nmodel: {learning_rate: 1e-3}\n")
    assert load_yaml(path)["model"]["learning_rate"] == "1e-3"  # YAML 1.1 reads it as text
    assert validate(Experiment, load_yaml(path), str(path)).model.learning_rate == 1e-3


def test_overrides():
    values = {"name": "x", "model": {"hidden_units": 2}}
    overridden = apply_overrides(values, ["model.hidden_units=16", "name=a=b", "model.learning_rate=1e-2"])
    assert validate(Experiment, overridden, "--set") == Experiment(
        name="a=b", model=Model(hidden_units=16, learning_rate=0.01)
    )
    assert values == {"name": "x", "model": {"hidden_units": 2}}


@pytest.mark.parametrize("text", ["[a-z]+_(?P<signer>x)", "{", "2024"])
def test_text_settings_take_any_text(text):
    assert validate(Experiment, apply_overrides({}, [f"name={text}"]), "--set").name == text


@pytest.mark.parametrize("override", ["name", "=3", ""])
def test_override_without_key_or_value(override):
    with pytest.raises(SettingsError, match="expected key=value"):
        apply_overrides({}, [override])


def test_settings_are_frozen():
    with pytest.raises(pydantic.ValidationError):
        Model().hidden_units = 3


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [1", "line 2: is no valid YAML"), ("- 1", "holds list, expected a mapping")],
)
def test_yaml_faults(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_text(f"# comment\n{content}")
    with pytest.raises(SettingsError, match=message):
        load_yaml(path)
    with pytest.raises(SettingsError, match="no such file"):
        load_yaml(tmp_path / "b.yaml")


def test_clip_settings_need_no_prefix():
    values = apply_overrides({}, ["crop.mode=hands", "short_side=128", "split.test=0.2", "clip.jpeg_quality=80"])
    settings = validate(ConvertSettings, values, "--set")
    assert settings.clip.crop.mode == "hands"
    assert (settings.clip.short_side, settings.clip.jpeg_quality, settings.split.test) == (128, 80, 0.2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["shortside=3"], r"shortside: unknown key; did you mean clip\.short_side"),
        (["short_side=3"], "clip.short_side: .*greater than or equal to 16"),
        (["crop.mode=hands", "keypoints=null"], "crop.mode=hands needs keypoints"),
        (["frames=false", "keypoints=null"], "nothing to record"),
        (["split.test=0.6", "split.validation=0.5"], "leave nothing to train on"),
        (["clip=3", "short_side=64"], "clip: expected keys and values"),
    ],
)
def test_convert_settings_faults(overrides, message):
    with pytest.raises(SettingsError, match=message):
        validate(ConvertSettings, apply_overrides({}, overrides), "--set")
