"""Pre-training of a frame backbone: rendered frames in, hands' joints and shapes out.

ImageNet weights need a download; these do not. MobileNetV2 learns to tell, from one picture, where both hands'
joints are, which shape they form and where palms and fingers point. The people and signs in the pictures are drawn
at random from ranges that no data set uses, so a recogniser built on it has seen neither its test
signers nor its glosses.
"""

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sign_keras.models.backbones import NUM_POINTS, build_backbone
from sign_keras.pretraining.joints import NUM_JOINTS, seen_joints_error
from tfrecords_tools.command_line import UserError
from tfrecords_tools.synthetic import SHAPE_NAMES
from tfrecords_tools.training_frames import render_training_frames

# Joints in frame widths (absolute error), directions as unit vectors (squared), the others in nats.
LOSS_WEIGHTS = {"joints": 30.0, "directions": 1.0, "in_view": 0.5, "left_shape": 0.5, "right_shape": 0.5}
FEWEST_FRAMES = 20  # a tenth is held back
MADE_WITH = "made_with"  # of the file of kept frames: --frames, --size and --seed


def train_backbone(arguments: argparse.Namespace) -> None:
    """Renders, trains and saves; the arguments are the command's.

    Raises:
        UserError: there are too few frames, or those that were kept are others.
    """
    if arguments.frames < FEWEST_FRAMES:
        raise UserError(f"--frames {arguments.frames}: at least {FEWEST_FRAMES} are needed")
    data = _frames_and_targets(arguments)
    frames = data.pop("frames")
    held_back = min(len(frames) // 10, 2048)
    keras.utils.set_random_seed(arguments.seed)
    backbone = build_backbone(
        "mobilenet_v2_points", arguments.size, arguments.size, width_multiplier=arguments.width, weights="none"
    )
    for layer in backbone.get_layer("mobilenet_v2").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.95  # the default of 0.999 lags behind a training as short as this
    model = _with_targets(backbone, len(SHAPE_NAMES))
    steps = arguments.epochs * -(-(len(frames) - held_back) // arguments.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, warmup_target=arguments.learning_rate, warmup_steps=min(300, steps // 10)
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=1e-4),
        loss={name: _loss(name) for name in data},
        loss_weights=LOSS_WEIGHTS,
        # XLA makes depthwise convolutions ten times slower on a CPU.
        jit_compile=False,
        metrics={"left_shape": ["accuracy"], "right_shape": ["accuracy"]},
    )
    model.fit(
        frames[held_back:],
        {name: values[held_back:] for name, values in data.items()},
        validation_data=(frames[:held_back], {name: values[:held_back] for name, values in data.items()}),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        verbose=2,
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    backbone.save_weights(arguments.output)


def _frames_and_targets(arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    asked = {"frames": arguments.frames, "size": arguments.size, "seed": arguments.seed}
    kept: Path | None = arguments.keep_frames
    if kept and kept.exists():
        data = dict(np.load(kept))
        made_with = dict(zip(asked, data.pop(MADE_WITH, np.zeros(0, np.int64)).tolist(), strict=False))
        if made_with != asked:
            said = ", ".join(f"--{name} {value}" for name, value in made_with.items()) or "other arguments"
            raise UserError(f"--keep-frames {kept}: was made with {said}; take those, or another file")
    else:
        data = render_training_frames(arguments.frames, arguments.size, arguments.seed)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, **data, **{MADE_WITH: np.array(list(asked.values()))})
    shapes = data.pop("shapes")
    return {**data, "left_shape": shapes[:, 0], "right_shape": shapes[:, 1]}


def _with_targets(backbone: Any, num_shapes: int) -> Any:
    """The backbone with a linear reader for each target. The first 42 points are the hands' joints themselves."""
    inputs = keras.Input(backbone.input_shape[1:], dtype="uint8")
    pictures = keras.layers.RandomBrightness(0.15)(keras.ops.cast(inputs, "float32"))
    pictures = keras.layers.RandomContrast(0.2, value_range=(0, 255))(pictures)
    features = backbone(pictures)
    joints = [features[:, start : start + NUM_JOINTS] for start in (0, NUM_POINTS)]
    features = keras.layers.Dropout(0.1)(features)
    outputs = {
        # From [-1, 1] to frame widths and heights.
        "joints": keras.layers.Identity(name="joints")(keras.ops.stack(joints, axis=-1) * 0.5 + 0.5),
        "directions": keras.layers.Dense(12, name="directions")(features),
        "in_view": keras.layers.Dense(2, name="in_view")(features),
        "left_shape": _shape_reader(features, num_shapes, "left_shape"),
        "right_shape": _shape_reader(features, num_shapes, "right_shape"),
    }
    return keras.Model(inputs, outputs)


def _shape_reader(features: Any, num_shapes: int, name: str) -> Any:
    hidden = keras.layers.Dense(128, activation="relu")(features)
    return keras.layers.Dense(num_shapes, name=name)(hidden)


def _loss(name: str) -> Any:
    if name.endswith("shape"):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if name == "in_view":
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return seen_joints_error if name == "joints" else keras.losses.MeanSquaredError()
