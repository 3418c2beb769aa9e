from pathlib import Path

import pytest
import yaml

from sign_keras.config import Config, load_config
from tests.conftest import REPOSITORY
from tfrecords_tools.settings import SettingsError

CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_loads_and_opens_with_its_purpose_and_command(path: Path):
    load_config(path)
    head = path.read_text().split("\n\n")[0]
    assert head.startswith("# ")
    assert f"--config configs/{path.name}" in head


def test_all_faults_are_named_at_once(tmp_path):
    values = yaml.safe_load((REPOSITORY / "configs/cnn_lstm.yaml").read_text())
    values["model"]["lstm_unit"] = values["model"].pop("lstm_units")
    values["train"]["batch_size"] = 0
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(SettingsError) as error:
        load_config(path)
    message = str(error.value)
    assert "model.lstm_unit: unknown key; did you mean lstm_units?" in message
    assert "model.lstm_units: missing" in message
    assert "train.batch_size: input should be greater than or equal to 1 (found 0)" in message
    assert message.count(str(path)) == 3


def test_overrides_are_checked_like_the_file():
    path = REPOSITORY / "configs/cnn_lstm.yaml"
    assert load_config(path, ["train.batch_size=3", "train.learning_rate=1e-4"]).train.learning_rate == 1e-4
    with pytest.raises(SettingsError, match=r"train\.batchsize: unknown key; did you mean batch_size\?"):
        load_config(path, ["train.batchsize=3"])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{depth: 18}", "model.architecture: missing"),
        ("{architecture: r3}", "model.architecture: expected 'cnn_lstm', 'r3d', "),
        ("{architecture: r3d, dept: 18}", "model.dept: unknown key; did you mean depth?"),
        ("{architecture: r3d, lstm_units: 8}", "model.lstm_units: does not go with r3d; leave it out"),
        ("{architecture: c3d, pooling: attention}", "attention needs preserve_time=true"),
    ],
)
def test_faults_of_a_model_are_told_in_its_architectures_words(model, message):
    with pytest.raises(SettingsError) as error:
        load_config(REPOSITORY / "configs/cnn_lstm.yaml", [f"model={model}"])
    assert message in str(error.value)


def test_resolved_config_reads_back(tmp_path):
    config = load_config(REPOSITORY / "configs/cnn_lstm.yaml")
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    assert load_config(path) == config
    assert isinstance(config, Config)
