"""MobileNetV2 that computes what torchvision's does: the same layers, otherwise padded and normalised.

Keras pads strided convolutions on the far side only, torchvision on both; batch normalisation adds 1e-3 to the
variance in the one and 1e-5 in the other, and pixels are scaled differently. With these three set right, weights of
the one give the other's numbers.

Source: ``torchvision/models/mobilenetv2.py`` (BSD 3-Clause); Sandler et al. 2018, arXiv:1801.04381.
"""

from typing import Any

import keras

# Of R, G, B in [0, 1]; torchvision/transforms/_presets.py, ImageClassification.
IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def mobilenet_as_torchvision(pixels: Any, width_multiplier: float) -> Any:
    """Average-pooled features ``[B, D]`` of normalised pictures ``[B, H, W, 3]``."""
    _, height, width, _ = pixels.shape
    # The first convolution has no padding layer of its own: the picture comes padded.
    network = keras.applications.MobileNetV2(
        input_shape=(height + 2, width + 2, 3), alpha=width_multiplier, include_top=False, weights=None
    )
    network = keras.models.clone_model(network, clone_function=_as_torchvision)
    network.name = "mobilenet_v2"
    features = network(keras.layers.ZeroPadding2D(1, name="padding")(pixels))
    return keras.layers.GlobalAveragePooling2D(name="average")(features)


def _as_torchvision(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    if isinstance(layer, keras.layers.ZeroPadding2D):
        config["padding"] = ((1, 1), (1, 1))
    elif layer.name == "Conv1":
        config["padding"] = "valid"
    elif isinstance(layer, keras.layers.BatchNormalization):
        config |= {"epsilon": 1e-5, "momentum": 0.9}
    return type(layer).from_config(config)
