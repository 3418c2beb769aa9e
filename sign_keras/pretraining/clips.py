"""Pre-training of a whole recogniser: rendered clips of random signs in, the signs' parameters out.

A sign is a bundle of parameters: hand shape, place, orientation, movement (Stokoe 1960, "Sign Language Structure").
Whoever can name these of a sign never seen before needs few examples to learn a new gloss. The model is a
configuration's own, its head replaced by a reader for each parameter; what is saved fits that model, head aside.

A name a clip is little to learn to see from: a 3D network that was shown nothing else stayed at chance. So the
features of every moment, where a model has such, must also say where the joints of both hands are in each frame.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from sign_keras.config import Config
from sign_keras.data.clip import Inputs, prepare_clip
from sign_keras.data.draws import Draw, draw
from sign_keras.data.parsing import parse_record
from sign_keras.models import build_model, input_names
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.pretraining.joints import NUM_JOINTS, seen_joints_error
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import PixelStatistics
from tfrecords_tools.moments import Moments
from tfrecords_tools.synthetic import SIGN_PARAMETERS
from tfrecords_tools.training_records import CLIPS_PER_SHARD, TRUE_HANDS, render_training_records

JOINTS = "joints"
# Joints in frame widths (absolute error), the others in nats. Movement is what only a clip can show.
LOSS_WEIGHTS = {
    JOINTS: 30.0,
    "shape": 1.0,
    "end_shape": 1.0,
    "place": 0.5,
    "orientation": 0.5,
    "movement": 2.0,
    "hands": 0.5,
    "dominant": 0.25,
}
HELD_BACK_SHARE = 0.05
READER_UNITS = 96
# Layers that make one vector a clip out of one a moment.
POOLS = ("mean_moment", "attention_pooling", "mean_state")
STATISTICS_CLIPS = 256

Targets = dict[str, tf.Tensor]


def train_clips(config: Config, arguments: argparse.Namespace) -> None:
    """Renders, trains and saves.

    Args:
        config: whose model, sampling and augmentation these are.
        arguments: the command's.

    Raises:
        UserError: the model takes no frames, the augmentation draws for every frame, the sampling is none that
            rendered clips have, or the model's own weights cannot be had.
    """
    if "frames" not in input_names(config.model, config.sampling):
        raise UserError(
            f"model.architecture={config.model.architecture}: takes keypoints, and rendered clips for pre-training "
            "hold frames alone; pre-train an architecture that takes frames"
        )
    if not config.data.augment.consistent:
        raise UserError("data.augment.consistent=false: a clip mirrored here and there has no dominant hand")
    sampling, seed = config.sampling, arguments.seed
    if sampling.frame_rate is not None:
        raise UserError("sampling.frame_rate: rendered clips are sampled evenly; leave it out")
    if sampling.height != sampling.width:
        raise UserError("sampling.height and width differ, but rendered clips are square; make them equal")
    shards = render_training_records(
        arguments.keep_clips,
        arguments.clips,
        sampling.num_frames,
        round(max(sampling.height, sampling.width) * 7 / 6),  # room for a zoom
        seed,
    )
    held_back = max(1, round(HELD_BACK_SHARE * len(shards)))
    if len(shards) <= held_back:
        raise UserError(f"--clips {arguments.clips}: too few; at least {2 * CLIPS_PER_SHARD} are needed")
    keras.utils.set_random_seed(seed)
    model = build_model(config.model, ClipInput(sampling, _pixel_statistics(shards[held_back:])), 1)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            # MobileNetV2's 0.999 lags behind a training as short as this.
            layer.momentum = min(layer.momentum, 0.99)
    learner = _with_readers(model, sampling.num_frames)
    steps_per_epoch = (len(shards) - held_back) * CLIPS_PER_SHARD // arguments.batch_size
    steps = steps_per_epoch * arguments.epochs
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, warmup_target=arguments.learning_rate, warmup_steps=min(200, steps // 10)
    )
    learner.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=1e-3, global_clipnorm=5.0),
        loss={name: _loss(name) for name in learner.output_names},
        loss_weights={name: LOSS_WEIGHTS[name] for name in learner.output_names},
        metrics={name: ["accuracy"] for name in SIGN_PARAMETERS},
        # XLA makes depthwise convolutions ten times slower on a CPU.
        jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
    )

    def wanted(inputs: Inputs, targets: Targets) -> tuple[Inputs, Targets]:
        return inputs, {name: targets[name] for name in learner.output_names}

    learner.fit(
        training_batches(shards[held_back:], config, arguments.batch_size, seed).map(wanted),
        steps_per_epoch=steps_per_epoch,
        validation_data=validation_batches(shards[:held_back], config, arguments.batch_size).map(wanted),
        epochs=arguments.epochs,
        shuffle=False,  # the batches are shuffled already
        verbose=1 if sys.stdout.isatty() else 2,
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    model.save_weights(arguments.output)


def training_batches(shards: Sequence[Path], config: Config, batch_size: int, seed: int) -> tf.data.Dataset:
    """Endless ``(inputs, targets)``, augmented as configured, anew in each epoch.

    Targets are a label ``[B]`` int64 for each parameter, and ``joints`` ``[B, T, 42, 2]`` float32 in widths and
    heights of the model's frame, the left hand's first.
    """
    records = _records(shards).shuffle(16 * CLIPS_PER_SHARD, seed=seed, reshuffle_each_iteration=True).repeat()

    def prepare(place: tf.Tensor, record: tf.Tensor) -> tuple[Inputs, Targets]:
        parsed = parse_record(record, TRUE_HANDS)
        drawn = draw(config.data.augment, config.sampling.num_frames, tf.stack([seed, place]))
        inputs = _prepare(parsed, config, drawn)
        return inputs, _targets(parsed, inputs.pop("keypoints"), mirrored=drawn.picture.mirrored)

    clips = records.enumerate().map(prepare, tf.data.AUTOTUNE, deterministic=True)
    return clips.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def validation_batches(shards: Sequence[Path], config: Config, batch_size: int) -> tf.data.Dataset:
    """Every clip once, as it is: ``(inputs, targets)``; see ``training_batches``."""

    def prepare(record: tf.Tensor) -> tuple[Inputs, Targets]:
        parsed = parse_record(record, TRUE_HANDS)
        inputs = _prepare(parsed, config)
        return inputs, _targets(parsed, inputs.pop("keypoints"), mirrored=tf.constant(False))

    batches = _records(shards).map(prepare, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
    count = -(-len(shards) * CLIPS_PER_SHARD // batch_size)
    return batches.apply(tf.data.experimental.assert_cardinality(count))


def _records(shards: Sequence[Path]) -> tf.data.Dataset:
    paths = tf.data.Dataset.from_tensor_slices([str(path) for path in shards])
    return paths.interleave(tf.data.TFRecordDataset, cycle_length=16, block_length=1)


def _prepare(parsed: Inputs, config: Config, drawn: Draw | None = None) -> Inputs:
    names = ("frames", "keypoints")
    return prepare_clip(
        parsed,
        config.sampling,
        names,
        layout=TRUE_HANDS,
        augment=config.data.augment if drawn else None,
        drawn=drawn,
    )


def _targets(parsed: Inputs, keypoints: tf.Tensor, *, mirrored: tf.Tensor) -> Targets:
    """A mirrored right-hander is a left-hander; all other parameters are the signer's own left and right."""
    targets = dict(zip(SIGN_PARAMETERS, tf.unstack(parsed["labels"], len(SIGN_PARAMETERS)), strict=True))
    dominant = tf.where(mirrored, 1 - targets["dominant"], targets["dominant"])
    return {**targets, "dominant": dominant, JOINTS: keypoints[..., :2]}


def _pixel_statistics(shards: Sequence[Path]) -> PixelStatistics:
    """Of the first clips' frames, in [0, 255]."""
    frames = (
        tf.io.decode_jpeg(jpeg, channels=3).numpy()
        for record in _records(shards).take(STATISTICS_CLIPS)
        for jpeg in parse_record(record, None)["jpegs"]
    )
    moments = Moments.merged(Moments.of_values(frame.reshape(-1, 3)) for frame in frames)
    mean, deviation = moments.mean_and_deviation()
    return PixelStatistics.model_validate({"mean": mean, "standard_deviation": deviation})


def _with_readers(model: keras.Model, num_frames: int) -> keras.Model:
    """The model up to its head, with a reader for each parameter of a sign, and for joints where it has moments."""
    features = model.get_layer("head_dropout").output
    outputs = {}
    for name, values in SIGN_PARAMETERS.items():
        hidden = keras.layers.Dense(READER_UNITS, activation="relu")(features)
        outputs[name] = keras.layers.Dense(len(values), dtype="float32", name=name)(hidden)
    for pool in (layer for layer in model.layers if layer.name in POOLS):
        moments = keras.tree.flatten(pool.input)[0]  # [B, T', D]; a mask may come second
        frames_a_moment = -(-num_frames // moments.shape[1])
        joints = keras.layers.Dense(frames_a_moment * NUM_JOINTS * 2, dtype="float32")(moments)
        joints = keras.layers.Reshape((-1, NUM_JOINTS, 2))(joints)[:, :num_frames]
        outputs[JOINTS] = keras.layers.Identity(dtype="float32", name=JOINTS)(joints)
    return keras.Model(model.inputs, outputs)


def _loss(name: str) -> Any:
    return seen_joints_error if name == JOINTS else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
