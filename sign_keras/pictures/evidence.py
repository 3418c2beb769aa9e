"""What in a clip speaks for a model's answer: Grad-CAM on frames, the gradient's length on keypoints.

Both begin with one number, the logits of what the model answers: of one sign its logit, of a sentence those of its
glosses along the likeliest path. Both are of the model alone: what moves its answer need not make the sign.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from sign_keras.models.layers import FrameWise, SpatialSoftmax
from sign_keras.models.map_backbone import PYRAMID, GridPooling
from sign_keras.pictures.tapping import tapped

# From logits ``[1, ...]`` to the number that is to be explained.
Score = Callable[[Any], Any]


@dataclass(frozen=True)
class MapLayer:
    """The layer whose feature maps Grad-CAM looks at.

    Attributes:
        layer: it gives ``[1, T', H', W', C]``, or ``[T, H', W', C]``.
        is_local: gradients and maps are multiplied place by place, not after a mean over places.
    """

    layer: keras.layers.Layer
    is_local: bool = False


def map_layer(model: keras.Model) -> MapLayer | None:
    """The last layer of a model of frames that still knows places; None where there is none.

    A softmax over places (``SpatialSoftmax``) does not change when all places rise alike, so that the mean gradient
    of maps in front of it is 0, and Grad-CAM sees nothing. There the product is taken place by place: HiResCAM,
    Draelos and Carin 2020, arXiv:2011.08891.
    """
    framewise = [layer for layer in model.layers if isinstance(layer, FrameWise)]
    layers = framewise[0].inner.layers if framewise and hasattr(framewise[0].inner, "layers") else model.layers
    if any(isinstance(layer, SpatialSoftmax) for layer in layers):
        return MapLayer(next(layer for layer in layers if layer.name == PYRAMID), is_local=True)
    rank = 4 if framewise else 5
    maps = [
        layer
        for layer in layers
        if not isinstance(layer, keras.layers.InputLayer | GridPooling)
        and getattr(layer.output, "shape", None) is not None
        and len(layer.output.shape) == rank
    ]
    return MapLayer(maps[-1]) if maps else None


def grad_cam(model: keras.Model, inputs: Mapping[str, np.ndarray], score: Score, at: MapLayer) -> np.ndarray:
    """Where in its frames a model finds what speaks for an answer.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2: feature maps weighted by their mean
    gradient, summed, cut off below 0. Of a network on single frames, means are over the places of each frame; of
    one with three-dimensional maps, over all of them.

    Args:
        model: takes ``frames``.
        inputs: of one clip, ``[1, T, ...]`` each.
        score: of its logits.
        at: of ``map_layer``.

    Returns:
        ``[T, H, W]`` float32 at the frames' size, bilinear between the maps' cells; at least 0, in logits.
    """
    tape = tf.GradientTape()
    taken: list[tuple[Any, Any]] = []

    def tap(call: Any, *arguments: Any, **keywords: Any) -> Any:
        maps = call(*arguments, **keywords)
        # Its gradient is that of the maps, which a tape does not follow where nothing in front of them is learnt.
        probe = tf.zeros_like(maps)
        tape.watch(probe)
        taken.append((maps, probe))
        return maps + probe

    with tapped(at.layer, tap), tape:
        number = score(model(dict(inputs), training=False))
    maps, probe = taken[-1]
    gradient = np.asarray(tape.gradient(number, probe), np.float32)
    maps = np.asarray(maps, np.float32)
    if not at.is_local:
        places = tuple(range(1, maps.ndim - 1))  # of each frame, or of the clip
        gradient = gradient.mean(axis=places, keepdims=True)
    heat = np.maximum((gradient * maps).sum(axis=-1), 0)
    heat = heat[0] if maps.ndim == 5 else heat  # [T', H', W']
    num_frames, height, width = inputs["frames"].shape[1:4]
    moments = np.arange(num_frames) * len(heat) // num_frames
    return np.stack([cv2.resize(heat[moment], (width, height)) for moment in moments])


def keypoint_saliency(model: keras.Model, inputs: Mapping[str, np.ndarray], score: Score) -> np.ndarray:
    """How much each point of each frame moves an answer when it moves.

    Source: Simonyan et al. 2013, arXiv:1312.6034, section 3, with the gradient's length over x and y in the place
    of the largest of the colours.

    Args:
        model: takes ``keypoints``.
        inputs: of one clip, ``[1, T, ...]`` each.
        score: of its logits.

    Returns:
        ``[T, K]`` float32, logits per frame width and height; 0 where a point was not found.
    """
    tensors = {name: tf.constant(values) for name, values in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors["keypoints"])
        number = score(model(tensors, training=False))
    gradient = tape.gradient(number, tensors["keypoints"])
    gradient = np.nan_to_num(np.asarray(gradient, np.float32)[0, ..., :2])
    found = np.isfinite(inputs["keypoints"][0, ..., :2]).all(axis=-1)
    return np.where(found, np.linalg.norm(gradient, axis=-1), 0).astype(np.float32)
