"""This project's side of ``training_step.py``: one update, as ``sign_keras.train`` makes it."""

import argparse

import numpy as np
import pydantic
from side import answer, least, peak_memory_of, seconds_of

from sign_keras.quiet import quiet_tensorflow

quiet_tensorflow()  # before anything else imports it

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from sign_keras.config import ModelConfig, TrainConfig  # noqa: E402
from sign_keras.models import build_model  # noqa: E402
from sign_keras.models.blocks3d import SymmetricConv3D  # noqa: E402
from sign_keras.models.clip_inputs import ClipInput  # noqa: E402
from sign_keras.training.objectives import isolated_objective  # noqa: E402
from sign_keras.training.recipe import prepare  # noqa: E402
from tfrecords_tools.clips import SamplingSpec  # noqa: E402

GLOSSES = tuple(f"gloss{number}" for number in range(400))
TRAIN = {
    "epochs": 1,
    "batch_size": 4,
    "learning_rate": 0.01,
    "optimizer": {"name": "sgd"},
    "gradient_clip_norm": None,
}


def main() -> None:
    """Builds, then answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--shape", type=int, nargs=3, required=True, help="frames, height, width")
    parser.add_argument("--remat", action="store_true")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(1)
    trained = Training(arguments.model, arguments.shape, arguments.remat)
    answer(
        {
            "parameters": trained.parameters,
            "step": trained.step_seconds,
            "memory": trained.step_memory,
            "time_convolution": time_convolution,
            "matmul": matmul_seconds,
        }
    )


class Training:
    """A model under the strategy and with the recipe that ``sign_keras.train`` gives it.

    Args:
        name: architecture and depth, as ``r3d_18``.
        shape: ``T, H, W``.
        remat: gradient checkpointing.
    """

    def __init__(self, name: str, shape: list[int], remat: bool) -> None:
        architecture, depth = name.rsplit("_", 1)
        section = {
            "architecture": architecture,
            "depth": int(depth),
            "normalization": "kinetics",
            "remat": remat,
            "dropout": 0,
        }
        config = pydantic.TypeAdapter(ModelConfig).validate_python(section)
        num_frames, height, width = shape
        sampling = SamplingSpec(num_frames=num_frames, height=height, width=width)
        with tf.distribute.MirroredStrategy().scope():
            model = build_model(config, ClipInput(sampling), len(GLOSSES))
            train = TrainConfig(**TRAIN)
            objective = isolated_objective(train, GLOSSES, dict.fromkeys(GLOSSES, 1))
            self.learner = prepare(model, train, updates_per_epoch=1000, objective=objective).learner

    def parameters(self) -> int:
        """How many are trained."""
        return int(sum(np.prod(weight.shape) for weight in self.learner.trainable_weights))

    def step_seconds(self, shape: list[int], repeats: int) -> list[dict[str, float]]:
        """Of each of some steps."""
        batch = random_batch(shape)
        return seconds_of(lambda: self.learner.train_on_batch(*batch), repeats)

    def step_memory(self, shape: list[int]) -> int:
        """Peak of the first two steps; the first traces the step too."""
        batch = random_batch(shape)
        return peak_memory_of(lambda: [self.learner.train_on_batch(*batch) for _ in range(2)])


def time_convolution(
    shape: list[int], filters: int, kernel_size: list[int], strides: list[int], repeats: int
) -> dict[str, dict[str, float]]:
    """Least seconds forward, and with both gradients, of inputs ``[B, T, H, W, C]``."""
    layer = SymmetricConv3D(filters, kernel_size, strides)
    layer.build(shape)
    inputs = tf.random.normal(shape)

    @tf.function
    def forward() -> tf.Tensor:
        return layer(inputs)

    gradient = tf.random.normal(forward().shape)

    @tf.function
    def both() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        # With the outputs, which TensorFlow would else find no use for, and not compute.
        return [outputs, *tape.gradient(outputs, [inputs, layer.kernel.value], gradient)]

    return {"forward": least(seconds_of(forward, repeats)), "both": least(seconds_of(both, repeats))}


def matmul_seconds(size: int, repeats: int) -> dict[str, float]:
    """The least of some float32 products of two square matrices."""
    left, right = tf.random.normal([size, size]), tf.random.normal([size, size])
    return least(seconds_of(lambda: tf.linalg.matmul(left, right), repeats))


def random_batch(shape: list[int]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Clips ``[B, T, H, W, 3]`` uint8 and their glosses."""
    generator = np.random.default_rng(0)
    frames = tf.constant(generator.integers(0, 256, shape, np.uint8))
    return {"frames": frames}, tf.constant(generator.integers(0, len(GLOSSES), shape[:1], np.int32))


if __name__ == "__main__":
    main()
