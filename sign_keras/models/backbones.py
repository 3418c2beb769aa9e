"""Frame backbones: one picture to one feature vector, with weights from where the user says.

Two of them, both MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381, as ``keras.applications`` builds it):

- ``mobilenet_v2``: its average-pooled features, as everyone uses it;
- ``mobilenet_v2_points``: beside them, where 64 learned points are. Average pooling forgets places, and a
  sign is a movement of places: the points come from a small feature pyramid (Lin et al. 2017,
  arXiv:1612.03144) and a spatial softmax (Levine et al. 2016, arXiv:1504.00702).
"""

from pathlib import Path
from typing import Any

import keras

from sign_keras.models.layers import SpatialSoftmax
from tfrecords_tools.command_line import UserError

NUM_POINTS = 64
EMBEDDING_UNITS = 64
PYRAMID_CHANNELS = 48
# MobileNetV2's layers at strides 8 and 16, in front of the next reduction.
STRIDE_8, STRIDE_16 = "block_6_expand_relu", "block_13_expand_relu"


def build_backbone(name: str, height: int, width: int, *, width_multiplier: float, weights: str) -> keras.Model:
    """Builds a backbone: pictures ``[B, H, W, 3]`` in [0, 255] to float features ``[B, D]``.

    Args:
        name: ``mobilenet_v2`` or ``mobilenet_v2_points``.
        height: of the pictures, in pixels; a multiple of 32 for ``mobilenet_v2_points``.
        width: likewise.
        width_multiplier: of every layer's channels.
        weights: ``imagenet`` (downloaded by Keras; MobileNetV2's own layers), ``none``, or a ``.weights.h5``
            file of this backbone, whatever picture size it was trained at.

    Raises:
        UserError: the weights cannot be had, or do not fit, or the size is impossible.
    """
    network = _mobilenet_v2(height, width, width_multiplier, "imagenet" if weights == "imagenet" else None)
    inputs = keras.Input((height, width, 3))
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(inputs)
    if name == "mobilenet_v2":
        features = keras.layers.GlobalAveragePooling2D(name="average")(network(pixels)[-1])
    else:
        if height % 32 or width % 32:
            raise UserError(f"model.backbone={name}: sampling.height and width must be multiples of 32")
        features = _with_points(*network(pixels))
    backbone = keras.Model(inputs, features, name="backbone")
    if weights not in ("imagenet", "none"):
        _load_weights(backbone, Path(weights))
    return backbone


def _mobilenet_v2(height: int, width: int, width_multiplier: float, weights: str | None) -> keras.Model:
    """Pictures in [-1, 1] to feature maps of stride 8, 16 and 32."""
    try:
        network = keras.applications.MobileNetV2(
            input_shape=(height, width, 3), alpha=width_multiplier, include_top=False, weights=weights
        )
    except Exception as error:  # Keras raises a bare Exception when the download fails
        if "URL fetch failure" not in str(error):
            raise
        raise UserError(
            "model.backbone_weights=imagenet: the weights could not be downloaded; connect to a network once, "
            "or set model.backbone_weights to a file or to none"
        ) from None
    maps = [network.get_layer(name).output for name in (STRIDE_8, STRIDE_16)]
    return keras.Model(network.input, [*maps, network.output], name="mobilenet_v2")


def _with_points(stride_8: Any, stride_16: Any, stride_32: Any) -> Any:
    """Average-pooled features, embedded, and the places of learned points on a map of stride 8."""

    def lateral(features: Any, name: str) -> Any:
        return keras.layers.Conv2D(PYRAMID_CHANNELS, 1, name=name)(features)

    pyramid = lateral(stride_32, "lateral_32")
    for features, name in ((stride_16, "lateral_16"), (stride_8, "lateral_8")):
        pyramid = keras.layers.UpSampling2D(2)(pyramid)
        pyramid = keras.layers.ReLU()(pyramid + lateral(features, name))
    pyramid = keras.layers.SeparableConv2D(PYRAMID_CHANNELS, 3, padding="same", activation="relu", name="smooth")(
        pyramid
    )
    maps = keras.layers.Conv2D(NUM_POINTS, 1, name="point_maps")(pyramid)
    points = SpatialSoftmax(name="points")(maps)
    average = keras.layers.GlobalAveragePooling2D(name="average")(stride_32)
    embedding = keras.layers.Dense(EMBEDDING_UNITS, activation="tanh", name="embedding")(average)
    return keras.layers.Concatenate(name="features", dtype="float32")([points, embedding])


def _load_weights(backbone: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise UserError(f"model.backbone_weights={path}: no such file")
    try:
        backbone.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise UserError(f"model.backbone_weights={path}: does not fit the backbone ({first_line})") from None
