"""The four stages together learn to read a toy: a bright square that goes to each gloss's place and back."""

import cv2
import keras
import numpy as np
import pytest

from sign_keras.config import FourStageCTCConfig
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.training.objectives import sentence_objective
from sign_keras.training.recipe import prepare
from sign_keras.training.stage_losses import StageLosses
from tests.sign_keras.conftest import GLOSSES, square_sentence
from tests.sign_keras.sentence_labels import packed
from tests.sign_keras.tiny_backbone import use_tiny_backbone
from tests.sign_keras.training.tiny_learning import train_config
from tfrecords_tools.clips import SamplingSpec

SAMPLING = SamplingSpec(num_frames=28, height=32, width=32, frame_rate=10)
CONFIG = FourStageCTCConfig.model_validate(
    {
        "architecture": "four_stage_ctc",
        "backbone_weights": "none",
        "backbone_trainable": True,
        "width": 8,
        "selection": {"units": 4},
        "alignment": {"width": 6, "text_width": 8},
        "lstm_units": [16],
        "dropout": 0.1,
    }
)


def sentences(count: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs and packed labels of sentences of one or two glosses."""
    rng = np.random.default_rng(seed)
    frames = np.zeros((count, SAMPLING.num_frames, 32, 32, 3), np.uint8)
    mask = np.zeros(frames.shape[:2], bool)
    signed: list[list[int]] = []
    for clip in range(count):
        ids = rng.integers(0, len(GLOSSES), 1 + clip % 2)
        pictures = [
            cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
            for picture in square_sentence([GLOSSES[index] for index in ids], rng)
        ]
        frames[clip, : len(pictures)], mask[clip, : len(pictures)] = pictures, True
        signed.append(ids.tolist())
    return {"frames": frames, "frame_mask": mask}, packed(signed, mask.sum(axis=1).tolist())


@pytest.mark.parametrize(
    "weighting", ["gradnorm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("fixed", "uncertainty"))]
)
def test_sentences_never_seen_are_read_and_every_loss_falls(weighting, monkeypatch):
    use_tiny_backbone(monkeypatch)
    keras.utils.set_random_seed(0)
    model = build_model(CONFIG, ClipInput(SAMPLING), len(GLOSSES))
    objective = sentence_objective(CONFIG.frames_per_logit, StageLosses(CONFIG))
    config = train_config(batch_size=8, learning_rate=0.01, loss_weighting=weighting)
    recipe = prepare(model, config, updates_per_epoch=6, objective=objective)
    (inputs, labels), held = sentences(48, seed=0), sentences(16, seed=1)
    history = recipe.learner.fit(
        inputs,
        labels,
        batch_size=8,
        epochs=10,
        validation_data=held,
        verbose=0,
        callbacks=recipe.callbacks_before_saving(),
    ).history
    assert history["val_wer"][0] > 0.5
    assert min(history["val_wer"][-3:]) < 0.1
    for name in CONFIG.losses:
        assert history[f"val_loss_{name}"][-1] < history[f"val_loss_{name}"][0]
    weights = [[history[f"weight_{name}"][epoch] for name in CONFIG.losses] for epoch in (0, -1)]
    assert (weights[0] == weights[1]) == (weighting == "fixed")
