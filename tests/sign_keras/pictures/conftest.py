"""Runs with weights as if trained, one of each kind: made once, and only where a test asks for them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from sign_keras.config import Config
from sign_keras.data.dataset import Records
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.models import build_model
from sign_keras.run import Run
from tests.sign_keras.export.tiny_export import make_run
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.label_map import LabelMap

KEYPOINT_CTC = {
    "architecture": "keypoint_ctc",
    "features": {"points": "hands_pose"},
    "dim": 16,
    "heads": 2,
    "stages": 1,
    "conv_blocks": 2,
    "transformer_blocks": 1,
    "kernel_size": 3,
    "top_units": 16,
    "downsampling": 2,
}
FOUR_STAGE = {
    "architecture": "four_stage_ctc",
    "backbone": "mobilenet_v2",
    "backbone_width": 0.35,
    "backbone_weights": "none",
    "backbone_trainable": False,
    "grid": 2,
    "width": 4,
    "alignment": {"width": 4, "text_width": 4},
    "lstm_units": [4],
}
COLUMNS = (
    "epoch,loss,val_loss,wer,val_wer,loss_ctc,val_loss_ctc,weight_ctc,learning_rate,learning_rate_scorer,seconds"
)
HISTORY = f"""{COLUMNS}
1,9.5,9.0,1.2,1.1,8.0,7.0,2.0,0.001,0.0005,3
2,4.5,5.0,0.6,0.5,4.0,3.5,1.9,0.002,0.001,3
3,2.5,4.0,0.3,,2.0,3.0,1.8,0.001,0.0005,3
"""


def open_run(run: Run) -> SimpleNamespace:
    """``run``, ``artefact`` and ``records``."""
    artefact = RunArtefact(run)
    folder = run.config.records.directory
    records = Records.open(
        folder, artefact.sampling, artefact.input_names, artefact.task, artefact.frames_per_logit
    )
    return SimpleNamespace(run=run, artefact=artefact, records=records)


def untrained(directory: Path, records: Path, sampling: dict[str, Any], model: dict[str, Any]) -> SimpleNamespace:
    """A run of fresh weights, whose answers are sharpened so that it says something."""
    config = Config.model_validate(
        {
            "name": "toy",
            "records": {"directory": records},
            "sampling": {"height": 32, "width": 32, **sampling},
            "model": model,
            "train": {"epochs": 1, "batch_size": 4, "learning_rate": 0.01, "monitor": "val_wer"},
        }
    )
    run = Run.create(directory, config, LabelMap.load(records / "label_map.json"), DatasetInfo.load(records))
    keras.utils.set_random_seed(3)
    built = build_model(config.model, run.clip_input, len(run.label_map))
    head = built.get_layer("logits")
    head.kernel.assign(20 * head.kernel)
    run.best_weights.parent.mkdir()
    built.save_weights(run.best_weights)
    (directory / "history.csv").write_text(HISTORY)
    return open_run(run)


@pytest.fixture(scope="session")
def sentence_run(tmp_path_factory: pytest.TempPathFactory, tiny_sentence_records: Path) -> SimpleNamespace:
    """Keypoints to sentences, with attention."""
    folder = tmp_path_factory.mktemp("sentence_run") / "run"
    return untrained(folder, tiny_sentence_records, {"num_frames": 32, "frame_rate": 25}, KEYPOINT_CTC)


@pytest.fixture(scope="session")
def four_stage_run(tmp_path_factory: pytest.TempPathFactory, tiny_video_sentence_records: Path) -> SimpleNamespace:
    """Frames to sentences, with keyframe selection."""
    folder = tmp_path_factory.mktemp("four_stage_run") / "run"
    return untrained(folder, tiny_video_sentence_records, {"num_frames": 24, "frame_rate": 10}, FOUR_STAGE)


@pytest.fixture(scope="session")
def sign_run(tmp_path_factory: pytest.TempPathFactory, tiny_records: Path) -> SimpleNamespace:
    """Frames to one sign."""
    run, _ = make_run(tiny_records, tmp_path_factory.mktemp("sign_run") / "run")
    return open_run(run)


@pytest.fixture
def first_clip() -> Callable:
    """``first_clip(opened)``: name of a clip of the test split."""

    def name(opened: SimpleNamespace) -> str:
        _, _, metadata = next(opened.records.evaluation_batches("test", 1).as_numpy_iterator())
        return metadata["media_id"][0].decode()

    return name
