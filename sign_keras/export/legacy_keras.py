"""Fine-tuning a frame backbone for 8 bits or for zeros, with tensorflow-model-optimization.

That package knows TensorFlow's earlier Keras (``tf_keras``) alone. So this file is imported in a process of its own
(``conversion.fine_tune_elsewhere``), never beside Keras 3: the same network of ``keras.applications`` is built
there, takes the run's weights, learns to give what it gave before, and hands its weights back.

Source: fake quantization of Jacob et al. 2018, arXiv:1712.05877; magnitude pruning of Zhu and Gupta 2017,
arXiv:1710.01878. Labels are not needed: as in Hinton et al. 2015 (arXiv:1503.02531) the unchanged network is the
teacher, so that the same file serves every task.
"""

import os
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers
from tqdm import tqdm

from sign_keras.export.fine_tuning_work import (
    FineTuned,
    FineTuningWork,
    Weights,
    frames_to_learn_from,
    held_out_frames,
    scaled,
)

TOLERANCE = 1e-3  # of the largest value: both Kerases' networks agree to 1e-4 of it


def fine_tune(
    work: FineTuningWork, weights: Weights, expected: list[np.ndarray], terminal: int | None
) -> FineTuned:
    """See ``conversion.fine_tune_elsewhere``; the progress bar goes to the file descriptor ``terminal``."""
    tf_keras.utils.set_random_seed(work.seed)
    tf.config.experimental.enable_op_determinism()
    teacher = _network(work, weights)
    learned, held_out = frames_to_learn_from(Path(work.examples)), held_out_frames(Path(work.examples))
    found = _outputs(teacher(scaled(held_out[: len(expected[0])]), training=False))
    apart = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True))
    if not apart <= TOLERANCE:
        return FineTuned(
            fault=f"{work.network} built in tf_keras differs from the run's by {apart:.1e} of its largest value"
        )
    if work.method == "pruned":
        student = _pruned(_network(work, weights), work)
        before = _error(_network(work, _cut(weights, work.sparsity)), teacher, held_out)
    else:
        student = _fake_quantized(_network(work, weights))
        before = _error(student, teacher, held_out)
    _learn(student, teacher, _batches(learned, work), work, terminal)
    after = _error(student, teacher, held_out)
    tuned = _weights(student, weights)
    return FineTuned(weights=tuned, error_before=before, error_after=after, zeros=_zeros(tuned))


def _network(work: FineTuningWork, weights: Weights) -> Any:
    function = getattr(tf_keras.applications, work.network)
    whole = function(input_shape=work.picture, alpha=work.width_multiplier, include_top=False, weights=None)
    network = tf_keras.Model(whole.input, [whole.get_layer(name).output for name in work.outputs])
    for layer in network.layers:
        layer.set_weights(weights.get(layer.name, []))
        # Without dropout and with the run's statistics, as in the file; scale and offset are learned all the same.
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    return network


def _outputs(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _batches(frames: np.ndarray, work: FineTuningWork) -> Iterator[np.ndarray]:
    """Each frame once, in an order of the seed's; again in another; and so on."""
    rng = np.random.default_rng(work.seed)
    order = np.zeros(0, int)
    for _ in range(work.steps):
        while len(order) < work.batch_size:
            order = np.concatenate([order, rng.permutation(len(frames))])
        yield scaled(frames[order[: work.batch_size]])
        order = order[work.batch_size :]


def _relative_error(found: Any, expected: Any) -> Any:
    """Mean squared error over variance, mean over the network's outputs."""
    errors = [
        tf.math.divide_no_nan(tf.reduce_mean(tf.square(a - b)), tf.math.reduce_variance(b))
        for a, b in zip(_outputs(found), _outputs(expected), strict=True)
    ]
    return tf.add_n(errors) / len(errors)


def _error(student: Any, teacher: Any, frames: np.ndarray) -> float:
    # As in training: ranges of values are those of the frames at hand.
    pictures = scaled(frames)
    return float(_relative_error(student(pictures, training=True), teacher(pictures, training=False)))


def _learn(student: Any, teacher: Any, batches: Iterator[np.ndarray], work: FineTuningWork, terminal: Any) -> None:
    rate = tf_keras.optimizers.schedules.CosineDecay(work.learning_rate, work.steps)
    optimizer = tf_keras.optimizers.Adam(rate)
    student.compile(optimizer)
    variables = _variables(student)
    pruning = tfmot.sparsity.keras.UpdatePruningStep()
    pruning.set_model(student)

    @tf.function  # type: ignore[untyped-decorator]
    def step(pictures: Any) -> Any:
        expected = teacher(pictures, training=False)
        with tf.GradientTape() as tape:
            error = _relative_error(student(pictures, training=True), expected)
        optimizer.apply_gradients(zip(tape.gradient(error, variables), variables, strict=True))
        return error

    if work.method == "pruned":
        pruning.on_train_begin()
    with open(os.devnull if terminal is None else terminal, "w", closefd=True) as shown:
        bar = tqdm(total=work.steps, desc=f"fine-tuning ({work.method})", file=shown, disable=None)
        for pictures in batches:
            if work.method == "pruned":
                pruning.on_train_batch_begin(0)
            bar.set_postfix(error=f"{float(step(tf.constant(pictures))):.2e}", refresh=False)
            bar.update()
        bar.close()
    if work.method == "pruned":
        pruning.on_epoch_end(0)  # what the last step moved away from zero


def _variables(student: Any) -> list[Any]:
    """Kernels, and batch normalisations' scales and offsets."""
    found = []
    for wrapped in student.layers:
        layer = getattr(wrapped, "layer", wrapped)
        if isinstance(layer, layers.BatchNormalization):
            found += [layer.gamma, layer.beta]
        else:
            found += wrapped.trainable_weights
    return found


def _weights(student: Any, names: Container[str]) -> Weights:
    """By layer name, of these names, in Keras's order."""
    found = {}
    for wrapped in student.layers:
        layer = getattr(wrapped, "layer", wrapped)
        # Fake quantization puts a tensor in the place of a convolution's kernel.
        convolution = isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)
        variables = wrapped.trainable_weights if convolution else layer.weights
        if layer.name in names:
            found[layer.name] = [variable.numpy() for variable in variables]
    return found


def _zeros(weights: Weights) -> float:
    """Share of zeros among the weights of 1x1 convolutions."""
    kernels = [kernel for kernel, *_ in weights.values() if _is_1x1(kernel)]
    return sum(int((kernel == 0).sum()) for kernel in kernels) / sum(kernel.size for kernel in kernels)


def _is_1x1(kernel: np.ndarray) -> bool:
    return kernel.ndim == 4 and kernel.shape[:2] == (1, 1)


def _pruned(network: Any, work: FineTuningWork) -> Any:
    """Its smallest weights of 1x1 convolutions become zeros: few at first, all half-way."""
    every = max(1, work.steps // 40)
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        0.0, work.sparsity, begin_step=0, end_step=work.steps // 2 // every * every, frequency=every
    )

    def wrap(layer: Any) -> Any:
        if type(layer) is layers.Conv2D and layer.kernel_size == (1, 1):
            return tfmot.sparsity.keras.prune_low_magnitude(layer, schedule)
        return layer

    return tf_keras.models.clone_model(network, clone_function=wrap)


def _cut(weights: Weights, sparsity: float) -> Weights:
    """What pruning without learning would leave."""
    found = dict(weights)
    for name, (kernel, *others) in weights.items():
        if _is_1x1(kernel):
            smallest = np.quantile(np.abs(kernel), sparsity)
            found[name] = [np.where(np.abs(kernel) < smallest, 0, kernel), *others]
    return found


def _fake_quantized(network: Any) -> Any:
    """Rounds what a TFLite file in full 8 bits rounds: kernels by output channel, and tensors between layers.

    The package's own choice would round kernels of depthwise convolutions by one range for all channels, and
    ranges of activations would begin at -6 to 6 and follow a thousandth a step.
    """

    def wrap(layer: Any) -> Any:
        rounding = _rounding(layer)
        return layer if rounding is None else tfmot.quantization.keras.quantize_annotate_layer(layer, rounding)

    annotated = tf_keras.models.clone_model(network, clone_function=wrap)
    with tfmot.quantization.keras.quantize_scope({"Rounding": Rounding}):
        quantized = tfmot.quantization.keras.quantize_apply(annotated)
    for layer in quantized.layers:
        if isinstance(getattr(layer, "layer", layer), layers.BatchNormalization):
            layer.trainable = False
        if layer.name == "quantize_layer":  # of the pictures, whose range is known
            for variable in layer.weights:
                end = {"min": -1.0, "max": 1.0}.get(variable.name.removesuffix(":0")[-3:])
                if end is not None:
                    variable.assign(end)
    return quantized


def _rounding(layer: Any) -> "Rounding | None":
    if isinstance(layer, layers.DepthwiseConv2D):
        return Rounding("depthwise_kernel")
    if isinstance(layer, layers.Conv2D):
        return Rounding("kernel")
    if isinstance(layer, layers.BatchNormalization):
        # TFLite makes one op of convolution, normalisation and ReLU, which rounds once.
        followers = [node.layer for node in layer.outbound_nodes]
        return None if all(isinstance(follower, layers.ReLU) for follower in followers) else Rounding()
    return Rounding() if isinstance(layer, layers.ReLU | layers.Add) else None


class _KernelQuantizer(tfmot.quantization.keras.quantizers.LastValueQuantizer):
    """By output channel, of a depthwise kernel ``[h, w, C, 1]`` as well."""

    def __init__(self, axis: int) -> None:
        super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)
        self.axis = axis

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Its ranges."""
        shape = (tensor_shape[self.axis],)
        return {
            f"{end}_var": layer.add_weight(f"{name}_{end}", shape=shape, trainable=False) for end in ("min", "max")
        }

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        """Rounded."""
        if self.axis == 3:
            return super().__call__(inputs, training, weights, **kwargs)
        turned = tf.transpose(inputs, (0, 1, 3, 2))
        return tf.transpose(super().__call__(turned, training, weights, **kwargs), (0, 1, 3, 2))


class Rounding(tfmot.quantization.keras.QuantizeConfig):
    """What of a layer is rounded: the kernel of that name, or else its output."""

    def __init__(self, kernel: str = "") -> None:
        self.kernel = kernel

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        """The kernel."""
        axis = 2 if self.kernel == "depthwise_kernel" else 3
        return [(getattr(layer, self.kernel), _KernelQuantizer(axis))] if self.kernel else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Puts the rounded kernel into its place."""
        if self.kernel:
            setattr(layer, self.kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """None: the layer's output is rounded, behind its activation."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Nothing."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """By the range of the batch, as calibration takes it from its clips."""
        quantizer = tfmot.quantization.keras.quantizers.LastValueQuantizer
        if self.kernel:
            return []
        return [quantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"kernel": self.kernel}
