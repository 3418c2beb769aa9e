"""SavedModels: for TensorFlow Serving, for Python without this package, and on the way to TFLite."""

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from sign_keras.inference.info import OUTPUT, SIGNATURE, STEP
from sign_keras.models.stages import SHOWN, stage_tensors, with_stages
from tfrecords_tools.command_line import quiet_stderr


def write_saved_model(
    model: keras.Model, directory: Path, batch_size: int | None = None, step_model: keras.Model | None = None
) -> None:
    """Writes a model's inference graph with its signatures.

    ``serving_default``: the model's inputs by name to ``logits`` float32, ``[B, V]`` or ``[B, T', V + 1]``, and
    what ``models.stages.SHOWN`` names, as far as the model has it.
    ``step``, where there is a step model: ``keypoints`` ``[B, 1, K, 3]`` or ``frames`` ``[B, 1, H, W, 3]``, and
    ``state`` ``[B, S]``, to ``logits`` and the new ``state``.

    Args:
        model: its recurrent layers are set to the portable implementation, for good.
        directory: to write.
        batch_size: fixes every shape; None leaves the batch open.
        step_model: made from ``model`` by ``models.streaming.build_step_model``, whose weights are then held once.
    """
    for layer in model._flatten_layers():  # an ensemble's members, too
        # On a machine with a GPU, Keras would trace cuDNN's kernel, which runs nowhere else.
        if hasattr(layer, "use_cudnn"):
            layer.use_cudnn = False

    shown = with_stages(model, SHOWN) if stage_tensors(model) else None

    def serve(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if shown is None:
            return {OUTPUT: model(inputs, training=False)}
        logits, stages = shown(inputs, training=False)
        return {OUTPUT: logits, **stages}

    signatures = {SIGNATURE: _trace(serve, model, batch_size)}
    if step_model is not None:
        signatures[STEP] = _trace(functools.partial(step_model, training=False), step_model, batch_size)
    module = tf.Module()
    # What the graphs capture has to hang on the module; a Keras model would bring its training functions along.
    module.captured = [variable.value for variable in model.variables]
    with quiet_stderr():
        tf.saved_model.save(module, str(directory), signatures=signatures)


def _trace(function: Callable[..., dict[str, tf.Tensor]], model: keras.Model, batch_size: int | None) -> Any:
    """The graph of a function of a model's inputs."""
    signature = {
        tensor.name: tf.TensorSpec((batch_size, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    }
    return tf.function(function, input_signature=[signature]).get_concrete_function()


def count_graph_ops(directory: Path) -> dict[str, int]:
    """How many nodes of each TensorFlow op a SavedModel's serving graph holds, most frequent first."""
    graph = tf.saved_model.load(str(directory)).signatures[SIGNATURE].graph.as_graph_def()
    # The signature calls a function that holds the model; loops are functions too.
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return dict(Counter(node.op for node in nodes).most_common())
