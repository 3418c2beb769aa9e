import argparse
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import load_config
from sign_keras.models import build_model
from sign_keras.pretraining import clips
from sign_keras.pretraining.clips import train_clips, training_batches, validation_batches
from tfrecords_tools import training_records
from tfrecords_tools.command_line import UserError
from tfrecords_tools.synthetic import SIGN_PARAMETERS


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two shards of four clips of two frames."""
    directory = tmp_path_factory.mktemp("clips")
    paths = [directory / f"{number}.tfrecord" for number in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_records, "CLIPS_PER_SHARD", 4)
        for number, path in enumerate(paths):
            training_records._render_shard(path, [0, number], num_frames=2, short_side=37)
        patch.setattr(clips, "CLIPS_PER_SHARD", 4)
        yield paths


@pytest.fixture
def config(tiny_config):
    return tiny_config(
        sampling={"num_frames": 2},
        data={"augment": {"zoom": 0.2, "rotation": 10, "mirror": 1.0, "brightness": 0.1}},
    )


def test_training_batches_repeat_and_are_augmented_anew(shards, config):
    batches = training_batches(shards, config, batch_size=4, seed=1)
    frames = np.stack([inputs["frames"].numpy() for inputs, _ in batches.take(4)])
    assert frames.shape == (4, 4, 2, 32, 32, 3)
    assert frames.dtype == np.uint8
    again = np.stack(
        [inputs["frames"].numpy() for inputs, _ in training_batches(shards, config, 4, seed=1).take(4)]
    )
    np.testing.assert_array_equal(frames, again)
    epochs = frames.reshape(2, 8, -1)
    assert not {row.tobytes() for row in epochs[0]} & {row.tobytes() for row in epochs[1]}


def test_a_mirrored_clip_has_the_other_dominant_hand_and_else_the_same_parameters(shards, config):
    def counts(batches: tf.data.Dataset) -> dict[str, list[int]]:
        targets = [targets for _, targets in batches]
        return {name: sorted(np.concatenate([part[name] for part in targets]).tolist()) for name in SIGN_PARAMETERS}

    mirrored = counts(training_batches(shards, config, batch_size=8, seed=0).take(1))
    plain = counts(validation_batches(shards, config, batch_size=8))
    assert mirrored.pop("dominant") == sorted(1 - label for label in plain.pop("dominant"))
    assert mirrored == plain


def test_pretrained_weights_fit_the_model_with_any_number_of_glosses(shards, config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clips, "render_training_records", lambda *_: shards)
    output = tmp_path / "made" / "pretrained.weights.h5"
    arguments = argparse.Namespace(
        keep_clips=tmp_path, clips=8, epochs=2, batch_size=2, learning_rate=1e-2, seed=0, output=output
    )
    train_clips(config, arguments)
    assert "val_movement_accuracy" in capsys.readouterr().out
    fresh = build_model(config.model, config.sampling, num_glosses=5).get_layer("lstm").get_weights()
    chosen = config.model.model_copy(update={"weights": str(output), "backbone_weights": "nowhere"})
    loaded = build_model(chosen, config.sampling, num_glosses=5).get_layer("lstm").get_weights()
    assert all((a != b).any() for a, b in zip(fresh, loaded, strict=True))
    again = build_model(chosen, config.sampling, num_glosses=7).get_layer("lstm").get_weights()
    for first, second in zip(loaded, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_draws_for_every_frame_are_refused(tiny_config, tmp_path):
    config = tiny_config(data={"augment": {"mirror": 0.5, "consistent": False}})
    with pytest.raises(UserError, match="consistent"):
        train_clips(config, argparse.Namespace(seed=0))


def test_the_main_configuration_can_be_pretrained():
    config = load_config(Path("configs/cnn_lstm.yaml"))
    assert config.data.augment.consistent
    assert config.sampling.frame_rate is None
