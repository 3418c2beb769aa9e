import argparse
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from sign_keras.config import ModelConfig, load_config
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.pretraining import clips
from sign_keras.pretraining.clips import _with_readers, train_clips, training_batches, validation_batches
from tfrecords_tools import training_records
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import PixelStatistics
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


def test_joints_are_mirrored_with_the_frames(shards, tiny_config):
    def joints(mirror: float) -> np.ndarray:
        augment = {"mirror": mirror, "temporal_jitter": 0}
        config = tiny_config(sampling={"num_frames": 2}, data={"augment": augment})
        return next(iter(training_batches(shards, config, batch_size=4, seed=1)))[1]["joints"].numpy()

    plain, mirrored = joints(0), joints(1)
    assert plain.shape == (4, 2, 42, 2)
    np.testing.assert_allclose(mirrored[..., :21, 0], 1 - plain[..., 21:, 0], atol=1e-5)
    np.testing.assert_allclose(mirrored[..., 21:, 1], plain[..., :21, 1], atol=1e-5)


def test_a_model_with_moments_says_where_joints_are_in_every_frame(config):
    def joints(**model):
        settings = {"architecture": "r2plus1d", "width": 4, **model}
        net = build_model(tiny_model(settings), ClipInput(sampling, statistics), 1)
        return _with_readers(net, sampling.num_frames).output.get("joints")

    statistics = PixelStatistics(mean=(0, 0, 0), standard_deviation=(1, 1, 1))
    sampling = config.sampling.model_copy(update={"num_frames": 9})
    assert joints(depth=10).shape == (None, 9, 42, 2)  # two moments, of which the last is not full
    assert joints(depth=10, preserve_time=True, pooling="attention").shape == (None, 9, 42, 2)
    assert joints(architecture="c3d", hidden_units=4) is None


def tiny_model(settings):
    return TypeAdapter(ModelConfig).validate_python(settings)


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
    fresh = build_model(config.model, ClipInput(config.sampling), num_glosses=5).get_layer("lstm").get_weights()
    chosen = config.model.model_copy(update={"weights": str(output), "backbone_weights": "nowhere"})
    loaded = build_model(chosen, ClipInput(config.sampling), num_glosses=5).get_layer("lstm").get_weights()
    assert all((a != b).any() for a, b in zip(fresh, loaded, strict=True))
    again = build_model(chosen, ClipInput(config.sampling), num_glosses=7).get_layer("lstm").get_weights()
    for first, second in zip(loaded, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_draws_for_every_frame_are_refused(tiny_config, tmp_path):
    config = tiny_config(data={"augment": {"mirror": 0.5, "consistent": False}})
    with pytest.raises(UserError, match="consistent"):
        train_clips(config, argparse.Namespace(seed=0))


def test_rendered_clips_are_square(tiny_config):
    with pytest.raises(UserError, match="square"):
        train_clips(tiny_config(sampling={"height": 64}), argparse.Namespace(seed=0))


@pytest.mark.parametrize("name", ["cnn_lstm", "r2plus1d_18"])
def test_the_main_configurations_can_be_pretrained(name):
    config = load_config(Path(f"configs/{name}.yaml"))
    assert config.data.augment.consistent
    assert config.sampling.frame_rate is None
