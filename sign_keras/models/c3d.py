"""C3D: eight 3 x 3 x 3 convolutions, five poolings, two wide layers.

Source: Tran et al. 2015, arXiv:1412.0767, figure 3. As published in the standard form with 16 frames of 112 x 112;
with ``preserve_time`` pooling leaves time alone, and a mean over time and space stands in for the wide layers.
"""

from typing import Any

import keras

from sign_keras.config import C3DConfig
from sign_keras.models.blocks3d import ConvStage, FoldedMaxPooling3D, SymmetricConv3D
from sign_keras.models.clip_inputs import ClipInput, clip_inputs, normalized_clip
from sign_keras.models.heads import classification_head, pool_clip

# Channels of each convolution in widths, stage by stage; the first pooling leaves time alone.
STAGES = {"stem": (1,), "layer1": (2,), "layer2": (4, 4), "layer3": (8, 8), "layer4": (8, 8)}


def build_c3d(config: C3DConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model.

    Args:
        config: see ``C3DConfig``.
        clip: the clips it takes; the first wide layer has a size of its own for each number and size of
            frames.
        num_glosses: ``V``.

    Returns:
        A model from the inputs of ``clip_inputs`` to float32 logits ``[B, V]``.

    Raises:
        UserError: the dataset has no pixel statistics.
    """
    inputs = clip_inputs(clip.sampling)
    features = normalized_clip(inputs, config.normalization, clip.pixel_statistics)
    time_stride = 1
    for name, widths in STAGES.items():
        pool_time = 1 if config.preserve_time or name == "stem" else 2
        time_stride *= pool_time
        features = ConvStage(
            [
                *(layer for factor in widths for layer in _convolution(config, factor)),
                FoldedMaxPooling3D((pool_time, 2, 2)),
            ],
            remat=config.remat,
            name=name,
        )(features)
    mask = inputs.get("frame_mask")
    if config.preserve_time:
        features = pool_clip(features, config.pooling, mask, time_stride)
    else:
        features = _wide_layers(features, None if mask is None else mask[:, ::time_stride], config)
    logits = classification_head(features, num_glosses, config.dropout)
    return keras.Model(inputs, logits, name="c3d")


def _convolution(config: C3DConfig, factor: int) -> list[keras.layers.Layer]:
    layers = [SymmetricConv3D(config.width * factor, 3, use_bias=not config.batch_norm)]
    if config.batch_norm:
        layers.append(
            keras.layers.BatchNormalization(momentum=config.batch_norm_momentum, epsilon=config.batch_norm_epsilon)
        )
    return [*layers, keras.layers.ReLU()]


def _wide_layers(features: Any, mask: Any | None, config: C3DConfig) -> Any:
    """``[B, T', H', W', C]`` to ``[B, hidden_units]``, moments that the mask leaves out being 0."""
    if mask is not None:
        mask = keras.ops.reshape(mask, (-1, mask.shape[1], 1, 1, 1))
        features = features * keras.ops.cast(mask, features.dtype)
    features = keras.layers.Flatten(name="flatten")(features)
    features = keras.layers.Dense(config.hidden_units, activation="relu", name="fc6")(features)
    features = keras.layers.Dropout(config.dropout, name="fc6_dropout")(features)
    return keras.layers.Dense(config.hidden_units, activation="relu", name="fc7")(features)
