"""Frame backbones: one picture to one feature vector, with weights from where the user says.

Source of MobileNetV2: Sandler et al. 2018, arXiv:1801.04381, as ``keras.applications`` builds it.
"""

from pathlib import Path

import keras

from tfrecords_tools.command_line import UserError


def mobilenet_v2(height: int, width: int, *, width_multiplier: float, weights: str) -> keras.Model:
    """MobileNetV2 without its classifier: float32 ``[B, H, W, 3]`` in [0, 255] to ``[B, D]``.

    Args:
        height: of the pictures, in pixels.
        width: likewise.
        width_multiplier: of every layer's channels.
        weights: ``imagenet`` (downloaded by Keras), ``none``, or a ``.weights.h5`` file of this backbone, whatever
            picture size it was trained at.

    Raises:
        UserError: the weights cannot be had, or do not fit.
    """
    try:
        network = keras.applications.MobileNetV2(
            input_shape=(height, width, 3),
            alpha=width_multiplier,
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            pooling="avg",
            name="mobilenet_v2",
        )
    except Exception as error:  # Keras raises a bare Exception when the download fails
        if weights != "imagenet" or "URL fetch failure" not in str(error):
            raise
        raise UserError(
            "model.backbone_weights=imagenet: the weights could not be downloaded; connect to a network once, or "
            "set model.backbone_weights to a file or to none"
        ) from None
    if weights not in ("imagenet", "none"):
        load_weights(network, Path(weights))
    inputs = keras.Input((height, width, 3))
    outputs = network(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs))
    return keras.Model(inputs, outputs, name="backbone")


def load_weights(network: keras.Model, path: Path) -> None:
    """Loads a ``.weights.h5`` file.

    Raises:
        UserError: the file is missing, or was saved from another architecture or width.
    """
    if not path.is_file():
        raise UserError(f"model.backbone_weights={path}: no such file")
    try:
        network.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise UserError(f"model.backbone_weights={path}: does not fit {network.name} ({first_line})") from None
