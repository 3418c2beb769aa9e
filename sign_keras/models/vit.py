"""A vision transformer from KerasHub, an extra of its own: ``pip install 'sign_keras[vit]'``.

Source: Dosovitskiy et al. 2021, arXiv:2010.11929; ``keras_hub.models.ViTBackbone`` (Apache 2.0).
"""

from typing import Any

import keras

from tfrecords_tools.command_line import UserError


def build_vit(pictures: Any, preset: str, *, load_weights: bool) -> Any:
    """The class token's features ``[B, D]`` of pictures ``[B, H, W, 3]`` in [0, 255].

    Args:
        pictures: of the size that the preset is for.
        preset: its name at KerasHub, or a local folder.
        load_weights: whether to take its weights, or its architecture alone.

    Raises:
        UserError: KerasHub is not installed, there is no such preset, or it is for pictures of another size.
    """
    try:
        import keras_hub
    except ImportError:
        raise UserError(
            "model.backbone=vit: KerasHub is not installed; pip install 'sign_keras[vit]', or take another backbone"
        ) from None
    try:
        vit = keras_hub.models.ViTBackbone.from_preset(preset, load_weights=load_weights)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(f"model.backbone_preset={preset}: {' '.join(str(error).split())}") from None
    if tuple(pictures.shape[1:]) != tuple(vit.image_shape):
        height, width, _ = vit.image_shape
        raise UserError(
            f"model.backbone_preset={preset}: is for pictures of {height} x {width} pixels; set sampling.height "
            f"and sampling.width to that (found {pictures.shape[1]} and {pictures.shape[2]})"
        )
    # All of KerasHub's ViT presets take pixels in [-1, 1].
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(pictures)
    tokens = vit(pixels)  # [B, 1 + patches, D]
    return tokens[:, 0]
