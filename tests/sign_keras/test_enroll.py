import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from sign_keras.calibrate import calibrate_run
from sign_keras.confidence import Confidence
from sign_keras.config import EvaluateConfig
from sign_keras.embeddings import Embeddings
from sign_keras.enroll import main
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.run import Run
from tests.sign_keras.export.tiny_export import make_run
from tfrecords_tools.command_line import UserError


@pytest.fixture(scope="module")
def calibrated(tiny_records, tmp_path_factory):
    """A calibrated run in a folder of its own, and its records."""
    run, records = make_run(tiny_records, tiny_records.parent / "exports" / "runs" / "tiny")
    directory = tmp_path_factory.mktemp("enrolled") / "tiny"
    shutil.copytree(run.directory, directory)
    run = Run.load(directory)
    calibrate_run(RunArtefact(run), records, directory, EvaluateConfig(false_alarm_rate=0.9), None)
    return run, records


def first_inputs(records, split="test"):
    return next(records.evaluation_batches(split, 4).as_numpy_iterator())[0]


def test_a_sign_from_videos(calibrated, tiny_records, tmp_path, run_main):
    run, records = calibrated
    videos = sorted((tiny_records.parent / "videos" / "yes").glob("*.mp4"))[:2]
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    output = tmp_path / "with_more"
    arguments = ("--model", run.directory, "--gloss", "more", "--output", output, "--share-taken", 0.4)
    status, out, err = run_main(main, *arguments, *videos, broken, "--workers", 1)
    assert status == 1
    assert out.startswith("more: recognised in ")
    assert out.splitlines()[-1] == f"run: {output}"
    assert f"{broken}: skipped: " in err

    plain, enrolled = RunArtefact(run), RunArtefact(Run.load(output))
    assert enrolled.label_map.glosses == ("hello", "thanks", "yes", "more")
    assert enrolled.name == "with_more"
    inputs = first_inputs(records)
    np.testing.assert_allclose(enrolled.logits(inputs)[:, :3], plain.logits(inputs), atol=1e-5)
    assert json.loads((output / "enrolled.json").read_text()) == {"more": [str(path) for path in videos]}
    assert "'more' was added later, from 2 clip(s)" in enrolled.info.model_card
    before, after = Confidence.load(run.directory), Confidence.load(output)
    assert (after.temperature, after.thresholds) == (before.temperature, before.thresholds)
    assert after.calibration is None

    # What was written is what imprinting says, and another sign can follow.
    known = Embeddings.load(output)
    assert known.labels.tolist() == [*Embeddings.load(run.directory).labels.tolist(), 3, 3]
    taken = enrolled.model.get_layer("logits")(known.values[:-2]).numpy().argmax(axis=1) == 3
    assert taken.sum() <= 0.4 * len(taken)
    status, _, _ = run_main(main, "--model", output, "--gloss", "again", videos[0], "--workers", 1)
    assert status == 0
    again = tmp_path / "with_more_again"
    assert list(json.loads((again / "enrolled.json").read_text())) == ["more", "again"]
    assert len(RunArtefact(Run.load(again)).label_map) == 5


def test_a_sign_from_records_is_the_one_from_their_videos(calibrated, tiny_records, tmp_path, run_main):
    run, _ = calibrated
    signer = next(iter(run.info.splits["train"].signers))
    video = tiny_records.parent / "videos" / "yes" / f"{signer}_0.mp4"
    common = ("--model", run.directory, "--gloss", "more")
    chosen = ("--records", tiny_records, "--gloss-in-records", "yes", "--signer", signer)
    assert run_main(main, *common, "--output", tmp_path / "records", *chosen)[0] == 0
    assert run_main(main, *common, "--output", tmp_path / "videos", video, "--workers", 1)[0] == 0
    found = [RunArtefact(Run.load(tmp_path / name)).model.get_weights() for name in ("records", "videos")]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    ids = [f"{gloss}/{signer}_0.mp4" for gloss in ("yes", "hello", "thanks")]
    by_id = ("--records", tiny_records, "--media-ids", *ids, "--split", "train", "--limit", 2)
    assert run_main(main, *common, "--output", tmp_path / "id", *by_id)[0] == 0
    taken = json.loads((tmp_path / "id" / "enrolled.json").read_text())["more"]
    assert len(taken) == 2
    assert set(taken) < set(ids)


def test_mistakes_about_the_run_are_one_line(calibrated, tiny_records, tmp_path, run_main):
    run, _ = calibrated
    records = ("--records", tiny_records, "--gloss-in-records", "yes")
    cases = [
        (("--gloss", "yes", *records), "--gloss yes: is among the model's 3 glosses already"),
        (("--gloss", "more", "--output", tmp_path, *records), f"--output {tmp_path}: is there already"),
        (("--gloss", "a b", *records), "name: string should match pattern"),
        (("--gloss", "more", "--records", tiny_records), "holds no clip of the gloss 'more'"),
        (("--gloss", "more", *records, "--signer", "nobody"), "holds no clip of the gloss 'yes' by 'nobody'"),
        (("--gloss", "more", "gone.mp4", "--workers", 1), "none of 1 videos can be read"),
    ]
    for arguments, message in cases:
        status, _, err = run_main(main, "--model", run.directory, *arguments)
        assert status == 2
        assert message in err.splitlines()[-1], err


def test_a_run_without_embeddings_says_how_to_get_them(calibrated, tiny_records, tmp_path, run_main):
    run, _ = calibrated
    shutil.copytree(run.directory, tmp_path / "tiny")
    (tmp_path / "tiny" / "embeddings.npz").unlink()
    arguments = ("--model", tmp_path / "tiny", "--gloss", "more", "--records", tiny_records)
    status, _, err = run_main(main, *arguments, "--gloss-in-records", "yes")
    assert status == 2
    assert f"python -m sign_keras.calibrate --run {tmp_path / 'tiny'}" in err
    (tmp_path / "tiny" / "embeddings.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"embeddings\.npz: is damaged"):
        Embeddings.load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "model.tflite", "a.mp4"], "--model model.tflite: is an export, which gives answers but not"),
        (["--model", "run"], "give videos of the sign, or --records DIR"),
        (["--model", "run", "a.mp4", "--records", "data"], "give videos of the sign, or --records DIR"),
        (["--model", "run", "a.mp4", "--media-ids", "x"], "--media-ids: chooses among records"),
        (["--model", "run", "a.mp4", "--share-taken", "1"], "--share-taken 1.0: must be at least 0 and below 1"),
        (["--model", "run", "--records", "data", "--limit", "0"], "--limit 0: must be at least 1"),
    ],
)
def test_mistakes_are_told_at_once(tmp_path, monkeypatch, run_main, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("model.tflite").touch()
    Path("run").mkdir()
    Path("run/config.yaml").touch()
    status, out, err = run_main(main, "--gloss", "more", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert keras.config.dtype_policy().name == "float32"
