"""Convolutions over time with transformer blocks in between: local movement first, the whole clip after.

Source: the first place of Google's Isolated Sign Language Recognition on Kaggle, 2023 (hoyso48). With ``dim`` 192,
``top_units`` 384 and the other defaults, 708 features a frame and 250 glosses, it has that network's 1,836,568
parameters; ``TransformerBlock`` and ``ConvolutionBlock`` say what is computed otherwise.
``configs/mp_words_islr_first_place.yaml`` is the recipe.
"""

from typing import Any

import keras

from sign_keras.config import KeypointConvolutionSettings, KeypointConvTransformerConfig
from sign_keras.models.clip_inputs import ClipInput, keypoint_inputs
from sign_keras.models.features.layer import KeypointFeatures
from sign_keras.models.heads import classification_head, pool_frames
from sign_keras.models.time_convolution import ConvolutionBlock
from sign_keras.models.transformer import TransformerBlock


def build_keypoint_conv_transformer(
    config: KeypointConvTransformerConfig, clip: ClipInput, num_glosses: int
) -> keras.Model:
    """Builds features, stem, stages, top and head.

    Args:
        config: see ``KeypointConvTransformerConfig``.
        clip: the clips it takes.
        num_glosses: ``V``.

    Returns:
        A model from the inputs of ``keypoint_inputs`` to float32 logits ``[B, V]``.

    Raises:
        UserError: the records hold no keypoints, or not those that the features want.
    """
    inputs, layout = keypoint_inputs(clip)
    mask = inputs.get("frame_mask")
    features = KeypointFeatures(config.features, layout, name="features")(inputs["keypoints"], mask=mask)
    features = frame_network(features, config, mask)
    features = pool_frames(features, config.pooling, mask)
    logits = classification_head(features, num_glosses, config.dropout, config.dropout_first_epoch)
    return keras.Model(inputs, logits, name="keypoint_conv_transformer")


def frame_network(features: Any, config: KeypointConvolutionSettings, mask: Any | None) -> Any:
    """What there is between features and pool: ``[B, T, F]`` to ``[B, T, top_units]``, or ``dim`` without a top.

    Args:
        features: of each frame.
        config: see ``KeypointConvolutionSettings``.
        mask: ``[B, T]`` bool: the frames that count.
    """
    features = keras.layers.Dense(config.dim, use_bias=False, name="stem")(features)
    features = keras.layers.BatchNormalization(momentum=config.batch_norm_momentum, name="stem_norm")(
        features, mask=mask
    )
    attention = "none" if not config.channel_attention else "running" if config.causal else "clip"
    for stage in range(1, config.stages + 1):
        for number in range(1, config.conv_blocks + 1):
            features = ConvolutionBlock(
                config.kernel_size,
                expansion=config.expansion,
                padding=config.padding,
                channel_attention=attention,
                activation=config.activation,
                drop_path=config.drop_path,
                batch_norm_momentum=config.batch_norm_momentum,
                name=f"conv{stage}_{number}",
            )(features, mask=mask)
        for number in range(1, config.transformer_blocks + 1):
            features = TransformerBlock(
                config.heads,
                expansion=config.feed_forward_expansion,
                normalization=config.normalization,
                activation=config.activation,
                attention_dropout=config.attention_dropout,
                drop_path=config.drop_path,
                batch_norm_momentum=config.batch_norm_momentum,
                use_bias=False,
                name=f"transformer{stage}_{number}",
            )(features, mask=mask)
    if config.top_units:
        features = keras.layers.Dense(config.top_units, name="top")(features)
    return features
