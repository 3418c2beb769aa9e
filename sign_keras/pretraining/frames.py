"""Pre-training of a frame backbone: rendered frames in, hands' joints and shapes out.

ImageNet weights need a download; these do not. MobileNetV2 learns to tell, from one picture, where both hands'
joints are, which shape they form and where palms and fingers point. The people and signs in the pictures are drawn
at random from ranges that no data set uses, so a recogniser built on it has seen neither its test
signers nor its glosses.
"""

import argparse
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from sign_keras.models.backbones import NUM_POINTS, build_backbone
from sign_keras.pretraining.joints import NUM_JOINTS, seen_joints_error
from tfrecords_tools.processes import start_pool
from tfrecords_tools.synthetic import SHAPE_NAMES, training_frame

CHUNK_FRAMES = 128
# Joints in frame widths (absolute error), directions as unit vectors (squared), the others in nats.
LOSS_WEIGHTS = {"joints": 30.0, "directions": 1.0, "in_view": 0.5, "left_shape": 0.5, "right_shape": 0.5}
VIEWS = ("hands", "hands", "body")


def render_chunk(seed: int, chunk: int, size: int) -> dict[str, np.ndarray]:
    """Renders labelled frames.

    Returns:
        ``frames`` ``[N, size, size, 3]`` uint8 and the targets, hands in the order left, right: ``joints``
        ``[N, 42, 2]`` float32 in frame widths and heights, ``directions`` ``[N, 12]`` float32 unit vectors,
        ``in_view`` ``[N, 2]`` float32, ``shapes`` ``[N, 2]`` int64.
    """
    rng = np.random.default_rng([seed, chunk])
    rows: dict[str, list[Any]] = {name: [] for name in ("frames", "joints", "directions", "in_view", "shapes")}
    for index in range(CHUNK_FRAMES):
        frame, labels = training_frame(rng, size, VIEWS[index % len(VIEWS)])
        rows["frames"].append(frame)
        rows["joints"].append(labels.hands.reshape(NUM_JOINTS, 2))
        rows["directions"].append(np.concatenate([labels.palm_normals, labels.finger_directions]).ravel())
        rows["in_view"].append(labels.hand_in_view.astype(np.float32))
        rows["shapes"].append(labels.shapes)
    return {name: np.stack(values) for name, values in rows.items()}


def render_frames(num_frames: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Renders ``num_frames`` labelled frames on all cores; see ``render_chunk``."""
    chunks = -(-num_frames // CHUNK_FRAMES)
    with start_pool() as pool:
        futures = [pool.submit(render_chunk, seed, chunk, size) for chunk in range(chunks)]
        parts = [future.result() for future in tqdm(futures, desc="rendering", unit="chunk", disable=None)]
    return {name: np.concatenate([part[name] for part in parts])[:num_frames] for name in parts[0]}


def train_backbone(arguments: argparse.Namespace) -> None:
    """Renders, trains and saves; the arguments are the command's."""
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
    if arguments.keep_frames and arguments.keep_frames.exists():
        data = dict(np.load(arguments.keep_frames))
    else:
        data = render_frames(arguments.frames, arguments.size, arguments.seed)
        if arguments.keep_frames:
            np.savez(arguments.keep_frames, **data)
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
