"""Frame backbones: one picture to one feature vector, with weights from where the user says.

Each takes pictures in [0, 255] and scales them as its weights want:

- a network of ``keras.applications``: its average-pooled features, as everyone uses it;
- ``mobilenet_v2_points``: MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), and where 64 learned points are.
  Average pooling forgets places, and a sign is a movement of places: the points come from a small feature pyramid
  (Lin et al. 2017, arXiv:1612.03144) and a spatial softmax (Levine et al. 2016, arXiv:1504.00702);
- ``mobilenet_v2_torchvision``: MobileNetV2 padded and normalised as torchvision's is;
- ``vit``: a vision transformer of KerasHub.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from sign_keras.config import BackboneSettings
from sign_keras.models.layers import SpatialSoftmax
from sign_keras.models.pretrained import loading
from sign_keras.models.torchvision_mobilenet import (
    IMAGENET_MEAN,
    IMAGENET_STANDARD_DEVIATION,
    mobilenet_as_torchvision,
)
from sign_keras.models.vit import build_vit
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError

NUM_POINTS = 64
EMBEDDING_UNITS = 64
PYRAMID_CHANNELS = 48
# MobileNetV2's layers at strides 8 and 16, in front of the next reduction.
STRIDE_8, STRIDE_16 = "block_6_expand_relu", "block_13_expand_relu"


def _inside(pictures: Any) -> Any:
    """The network itself begins with it."""
    return pictures


def _from_minus_one_to_one(pictures: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(pictures)


def _by_imagenet(pictures: Any) -> Any:
    scale = [1 / (255 * deviation) for deviation in IMAGENET_STANDARD_DEVIATION]
    offset = [-mean / deviation for mean, deviation in zip(IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION, strict=True)]
    return keras.layers.Rescaling(scale, offset=offset, name="rescaling")(pictures)


def _as_caffe(pictures: Any) -> Any:
    """Blue, green, red, less their means over ImageNet."""
    return keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="rescaling")(pictures[..., ::-1])


# (function of keras.applications, its preprocessing: what its module's preprocess_input does, in the graph)
APPLICATIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "mobilenet_v2": ("MobileNetV2", _from_minus_one_to_one),
    "mobilenet_v3_small": ("MobileNetV3Small", _inside),
    "mobilenet_v3_large": ("MobileNetV3Large", _inside),
    "efficientnet_b0": ("EfficientNetB0", _inside),
    "efficientnet_v2_b0": ("EfficientNetV2B0", _inside),
    "efficientnet_v2_b1": ("EfficientNetV2B1", _inside),
    "efficientnet_v2_s": ("EfficientNetV2S", _inside),
    "resnet50": ("ResNet50", _as_caffe),
    "resnet50_v2": ("ResNet50V2", _from_minus_one_to_one),
    "densenet121": ("DenseNet121", _by_imagenet),
    "convnext_tiny": ("ConvNeXtTiny", _inside),
}


def frame_backbone(config: BackboneSettings, sampling: SamplingSpec) -> keras.Model:
    """The backbone that a configuration's ``model`` section names, for one frame; frozen where it says so.

    Raises:
        UserError: see ``build_backbone``.
    """
    backbone = build_backbone(
        config.backbone,
        sampling.height,
        sampling.width,
        width_multiplier=config.backbone_width,
        weights=config.backbone_weights,
        preset=config.backbone_preset,
        batch_norm_momentum=config.backbone_batch_norm_momentum,
    )
    backbone.trainable = config.backbone_trainable
    return backbone


def build_backbone(
    name: str,
    height: int,
    width: int,
    *,
    width_multiplier: float,
    weights: str,
    preset: str | None = None,
    batch_norm_momentum: float | None = None,
) -> keras.Model:
    """Builds a backbone: pictures ``[B, H, W, 3]`` in [0, 255] to float features ``[B, D]``.

    Args:
        name: of ``BackboneName``.
        height: of the pictures, in pixels; a multiple of 32 for ``mobilenet_v2_points``.
        width: likewise.
        width_multiplier: of every layer's channels, for MobileNets.
        weights: ``imagenet`` (downloaded by Keras; the network's own layers), ``none``, or a ``.weights.h5``
            file of this backbone, whatever picture size it was trained at.
        preset: of ``vit``.
        batch_norm_momentum: of every batch normalisation; None: the network's own.

    Raises:
        UserError: the weights cannot be had, or do not fit, or the size is impossible.
    """
    inputs = keras.Input((height, width, 3))
    if name == "vit":
        features = build_vit(inputs, preset or "", load_weights=weights == "imagenet")
    elif name == "mobilenet_v2_torchvision":
        features = mobilenet_as_torchvision(_by_imagenet(inputs), width_multiplier)
    elif name == "mobilenet_v2_points":
        features = _build_points(inputs, width_multiplier, weights)
    else:
        network = _application(name, height, width, width_multiplier, weights)
        features = keras.layers.GlobalAveragePooling2D(name="average")(network(APPLICATIONS[name][1](inputs)))
    backbone = keras.Model(inputs, features, name="backbone")
    if weights not in ("imagenet", "none"):
        _load_weights(backbone, Path(weights))
    if batch_norm_momentum is not None:
        _set_momentum(backbone, batch_norm_momentum)
    return backbone


def _set_momentum(network: keras.Model, momentum: float) -> None:
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            _set_momentum(layer, momentum)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def _application(name: str, height: int, width: int, width_multiplier: float, weights: str) -> keras.Model:
    function = getattr(keras.applications, APPLICATIONS[name][0])
    options = {"alpha": width_multiplier} if name.startswith("mobilenet") else {}
    try:
        network = function(
            input_shape=(height, width, 3),
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            **options,
        )
    except ValueError as error:  # a size or width that the network cannot have
        raise UserError(f"model.backbone={name}: {' '.join(str(error).split())}") from None
    except Exception as error:  # Keras raises a bare Exception when the download fails
        if "URL fetch failure" not in str(error):
            raise
        raise UserError(
            "model.backbone_weights=imagenet: the weights could not be downloaded; connect to a network once, "
            "or set model.backbone_weights to a file or to none"
        ) from None
    network.name = name  # some networks look their sizes up by the name they are called with
    return network


def _build_points(inputs: Any, width_multiplier: float, weights: str) -> Any:
    """MobileNetV2 with its points; see the module."""
    _, height, width, _ = inputs.shape
    if height % 32 or width % 32:
        raise UserError("model.backbone=mobilenet_v2_points: sampling.height and width must be multiples of 32")
    network = _application("mobilenet_v2", height, width, width_multiplier, weights)
    maps = [network.get_layer(name).output for name in (STRIDE_8, STRIDE_16)]
    network = keras.Model(network.input, [*maps, network.output], name="mobilenet_v2")
    return _with_points(*network(_from_minus_one_to_one(inputs)))


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
    with loading(f"model.backbone_weights={path}", "backbone"):
        backbone.load_weights(path)
