import json
import shutil

import keras
import numpy as np
import pydantic
import pytest

from sign_keras.confidence import Confidence
from sign_keras.config import Config, EnsembleConfig
from sign_keras.ensemble import join, main
from sign_keras.export import export_run
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.models import build_model
from sign_keras.models.embedding import joint_head, put_head, with_embedding
from sign_keras.run import Run
from tests.sign_keras.export.tiny_export import make_run
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap


@pytest.fixture(scope="module")
def members(tiny_records, tmp_path_factory):
    """Two runs of one configuration with other weights, one of another network, and their records."""
    run, records = make_run(tiny_records, tiny_records.parent / "exports" / "runs" / "tiny")
    root = tmp_path_factory.mktemp("members")
    runs = []
    for number, change in enumerate(({}, {}, {"lstm_units": 5, "pooling": "mean"})):
        model = run.config.model.model_dump() | change
        config = Config.model_validate(run.config.model_dump() | {"seed": number, "model": model})
        member = Run.create(root / str(number), config, run.label_map, run.info)
        member.best_weights.parent.mkdir()
        if change:
            keras.utils.set_random_seed(3)
            build_model(config.model, member.clip_input, 3).save_weights(member.best_weights)
        else:
            weights = run.load_model()
            head = weights.get_layer("logits")
            head.kernel.assign(head.kernel * [[1 + number, 1, 1 - number]])
            weights.save_weights(member.best_weights)
        runs.append(member)
    return runs, records


@pytest.fixture(scope="module")
def joined(members, tmp_path_factory):
    runs, records = members
    return join(runs, tmp_path_factory.mktemp("joined") / "all"), records


def first_inputs(records):
    return next(records.evaluation_batches("test", 4).as_numpy_iterator())[0]


def test_logits_are_the_mean_of_the_members(members, joined):
    runs, records = members
    inputs = first_inputs(records)
    own = [RunArtefact(run).logits(inputs) for run in runs]
    assert np.abs(own[0] - own[1]).max() > 1e-3
    artefact = load_artefact(joined[0].directory)
    np.testing.assert_allclose(artefact.logits(inputs), np.mean(own, axis=0), atol=1e-5)
    assert artefact.info.model_card.startswith(
        "all: an ensemble of cnn_lstm, cnn_lstm, cnn_lstm that names one of 3"
    )
    listed = json.loads((joined[0].directory / "members.json").read_text())
    assert [member["seed"] for member in listed] == [0, 1, 2]


def test_it_needs_its_members_no_more(members, joined, tmp_path):
    shutil.copytree(joined[0].directory, tmp_path / "moved")
    run = Run.load(tmp_path / "moved")
    assert isinstance(run.config.model, EnsembleConfig)
    inputs = first_inputs(joined[1])
    expected = RunArtefact(joined[0]).logits(inputs)
    np.testing.assert_array_equal(RunArtefact(run).logits(inputs), expected)


@pytest.mark.slow
def test_it_is_exported_as_any_run(joined, tmp_path):
    run, records = joined
    paths = export_run(run, ("savedmodel", "tflite"), records=records, output_dir=tmp_path, progress=False)
    inputs = first_inputs(records)
    expected = RunArtefact(run).probabilities(inputs)
    for path in paths:
        np.testing.assert_allclose(load_artefact(path).probabilities(inputs), expected, atol=1e-3)


def test_its_embedding_is_that_of_all_members_and_a_gloss_can_be_added(joined):
    run, records = joined
    model, inputs = run.load_model(), first_inputs(records)
    found = with_embedding(model)(inputs, training=False)
    np.testing.assert_allclose(found["logits"], model(inputs, training=False), atol=1e-6)
    embedding = np.array(found["embedding"])
    assert embedding.shape[1] == 8 + 8 + 5
    kernel, bias = joint_head(model)
    np.testing.assert_allclose(embedding @ kernel + bias, found["logits"], atol=1e-4)
    column = np.linspace(-1, 1, 21, dtype=np.float32)
    larger = build_model(run.config.model.without_weights(), run.clip_input, 4)
    put_head(model, larger, np.column_stack([kernel, column]), np.append(bias, 0.5))
    logits = np.array(larger(inputs, training=False))
    np.testing.assert_allclose(logits[:, :3], found["logits"], atol=1e-5)
    np.testing.assert_allclose(logits[:, 3], embedding @ column + 0.5, atol=1e-4)


def test_command_joins_and_calibrates(members, tmp_path, run_main):
    runs, _ = members
    output = tmp_path / "both"
    paths = [run.directory for run in runs[:2]]
    status, out, _ = run_main(main, "--runs", *paths, "--output", output)
    assert status == 0
    assert out.splitlines()[0] == f"run: {output}"
    assert out.splitlines()[1].startswith("temperature ")
    assert Confidence.load(output).calibration is not None
    status, _, err = run_main(main, "--runs", paths[0], output, "--output", tmp_path / "three")
    assert status == 2
    assert err == f"error: --runs {output}: is an ensemble itself; give its members\n"


def changed(run, **changes):
    parts = {"directory": run.directory, "config": run.config, "label_map": run.label_map, "info": run.info}
    return Run(**(parts | changes))


def test_runs_that_do_not_fit_name_what_differs(members, tmp_path):
    (first, second, _), _ = members
    sampling = second.config.sampling.model_copy(update={"num_frames": 5})
    no_sign = Config.model_validate(second.config.model_dump() | {"data": {"no_sign": {}}})
    others = {
        "its glosses": changed(second, label_map=LabelMap(("hello", "yes", "thanks"))),
        "its sampling": changed(second, config=second.config.model_copy(update={"sampling": sampling})),
        "the pixel statistics": changed(second, info=second.info.model_copy(update={"mean": (1.0, 2.0, 3.0)})),
        "data.no_sign": changed(second, config=no_sign),
    }
    for what, other in others.items():
        with pytest.raises(UserError, match=f"differs from {first.directory} in {what}"):
            join([first, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs", "a"], "--runs: expected two different run directories or more"),
        (["--runs", "a", "a"], "--runs: expected two different run directories or more"),
        (["--runs", "nowhere", "b.tflite"], "nowhere: no such file or directory"),
        (["--runs", "b.tflite", "nowhere"], "--runs b.tflite: is an export"),
    ],
)
def test_mistakes_are_told_at_once(tmp_path, monkeypatch, run_main, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.tflite").touch()
    status, out, err = run_main(main, *arguments, "--output", "out")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_members_take_the_same_inputs():
    frames = {"architecture": "cnn_lstm", "backbone_trainable": True, "lstm_units": 4}
    assert len(EnsembleConfig(architecture="ensemble", members=[frames, frames]).members) == 2
    with pytest.raises(pydantic.ValidationError, match="at least 2 items"):
        EnsembleConfig(architecture="ensemble", members=[frames])
