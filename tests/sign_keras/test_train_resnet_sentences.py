"""The full configurations of sentences out of frames: they build, learn and export, on small pictures."""

import json
import sys
from pathlib import Path

import pytest

from sign_keras import train
from tests.conftest import REPOSITORY
from tfrecords_tools.command_line import SUCCESS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["four_stage_ctc", "resnet_bilstm_ctc"])
def test_a_full_configuration_trains_and_exports(
    name: str, tiny_video_sentence_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    changes = (
        f"records={{directory: {tiny_video_sentence_records}}}",
        "sampling={num_frames: 28, frame_rate: 10, height: 32, width: 32}",
        "model.backbone_weights=none",
        "train.epochs=1",
        "train.accumulate_steps=1",
        "train.batch_size=8",
        "train.precision=float32",  # of a GPU's half precision a CPU makes hard work
        "evaluate.bootstrap_samples=100",
        # Fresh statistics of 50 normalisations, next to nothing learnt: rounding is all that there is to compare.
        "export.max_probability_difference=0.01",
    )
    monkeypatch.chdir(tmp_path)
    overrides = [part for change in changes for part in ("--set", change)]
    monkeypatch.setattr(sys, "argv", ["train", "--config", str(REPOSITORY / f"configs/{name}.yaml"), *overrides])
    assert train.main() == SUCCESS
    metrics = json.loads((tmp_path / "runs" / name / "metrics.json").read_text())
    assert metrics["clips"] == 4
    for export in (f"savedmodels/{name}.json", f"tflite/{name}.json"):
        report = json.loads((tmp_path / export).read_text())
        assert report["parity"]["max_probability_difference"] < 1e-3
