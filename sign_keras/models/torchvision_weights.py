"""Where the tensors of torchvision's checkpoints belong in our models.

Names and order of axes: ``torchvision/models/video/resnet.py`` and ``torchvision/models/mobilenetv2.py`` (BSD
3-Clause).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from sign_keras.models.blocks3d import ResidualBlock
from tfrecords_tools.command_line import UserError

# From PyTorch's order of axes to Keras's.
CONV3D, CONV2D, DEPTHWISE, DENSE = (2, 3, 4, 1, 0), (2, 3, 1, 0), (2, 3, 0, 1), (1, 0)
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")

# (torchvision's name, our variable, permutation of its axes)
Place = tuple[str, Any, tuple[int, ...]]


def resnet3d_places(model: keras.Model) -> Iterator[Place]:
    """Of R3D, R(2+1)D and MC3, head included."""
    for name in STAGES:
        yield from _places(model.get_layer(name), name)
    head = model.get_layer("logits")
    yield "fc.weight", head.kernel, DENSE
    yield "fc.bias", head.bias, (0,)


def mobilenet_places(backbone: keras.Model) -> Iterator[Place]:
    """Of the backbone ``mobilenet_v2_torchvision``; torchvision's classifier has no place in it."""
    network = backbone.get_layer("mobilenet_v2")
    # (torchvision's name of a convolution and of its normalisation, and ours)
    names = [("features.0.0", "features.0.1", "Conv1", "bn_Conv1")]
    for block in range(17):
        ours = "expanded_conv" if block == 0 else f"block_{block}"
        conv = f"features.{block + 1}.conv"
        steps = ["depthwise"] if block == 0 else ["expand", "depthwise"]
        for index, step in enumerate(steps):
            names.append((f"{conv}.{index}.0", f"{conv}.{index}.1", f"{ours}_{step}", f"{ours}_{step}_BN"))
        names.append((f"{conv}.{len(steps)}", f"{conv}.{len(steps) + 1}", f"{ours}_project", f"{ours}_project_BN"))
    names.append(("features.18.0", "features.18.1", "Conv_1", "Conv_1_bn"))
    for conv, norm, our_conv, our_norm in names:
        layer = network.get_layer(our_conv)
        axes = DEPTHWISE if isinstance(layer, keras.layers.DepthwiseConv2D) else CONV2D
        yield f"{conv}.weight", layer.kernel, axes
        yield from _places(network.get_layer(our_norm), norm)


def _places(layer: keras.layers.Layer, name: str) -> Iterator[Place]:
    if isinstance(layer, keras.Sequential):
        for index, inner in enumerate(layer.layers):
            yield from _places(inner, f"{name}.{index}")
    elif isinstance(layer, ResidualBlock):
        for part in ("conv1", "conv2", "downsample"):
            if getattr(layer, part) is not None:
                yield from _places(getattr(layer, part), f"{name}.{part}")
    elif isinstance(layer, keras.layers.BatchNormalization):
        yield f"{name}.weight", layer.gamma, (0,)
        yield f"{name}.bias", layer.beta, (0,)
        yield f"{name}.running_mean", layer.moving_mean, (0,)
        yield f"{name}.running_var", layer.moving_variance, (0,)
    elif isinstance(layer, keras.layers.Conv3D):
        yield f"{name}.weight", layer.kernel, CONV3D


def assign_tensors(places: Iterator[Place], tensors: Mapping[str, np.ndarray], what: str) -> None:
    """Gives every variable its tensor; none is changed unless all fit.

    Args:
        places: of the model's variables.
        tensors: of the checkpoint; counters of batches and what is called ``classifier`` are left aside.
        what: file and architecture, for messages.

    Raises:
        UserError: naming the first tensor that is missing, has another shape, or has no place.
    """
    wanted = {name: (variable, axes) for name, variable, axes in places}
    values = {}
    for name, (variable, axes) in wanted.items():
        # The permutation's inverse says what shape the file should have.
        shape = tuple(variable.shape[axes.index(axis)] for axis in range(len(axes)))
        if name not in tensors:
            raise UserError(
                f"{what}: tensor {name} of shape {list(shape)} is missing; is it another network's file?"
            )
        if tensors[name].shape != shape:
            raise UserError(f"{what}: tensor {name} has shape {list(tensors[name].shape)}, wanted {list(shape)}")
        values[name] = tensors[name].transpose(axes)
    for name, tensor in tensors.items():
        if name not in wanted and not name.endswith("num_batches_tracked") and not name.startswith("classifier."):
            raise UserError(f"{what}: tensor {name} of shape {list(tensor.shape)} has no place in the network")
    for name, (variable, _) in wanted.items():
        variable.assign(values[name])
