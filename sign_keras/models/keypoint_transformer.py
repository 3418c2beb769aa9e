"""Keypoint transformer: every frame's keypoint features are a token.

Source: Vaswani et al. 2017, arXiv:1706.03762, its encoder; see ``TransformerBlock``.
"""

import keras

from sign_keras.config import KeypointTransformerConfig
from sign_keras.models.clip_inputs import ClipInput, keypoint_inputs
from sign_keras.models.features.layer import KeypointFeatures
from sign_keras.models.heads import classification_head, pool_frames
from sign_keras.models.transformer import Positions, TransformerBlock


def build_keypoint_transformer(config: KeypointTransformerConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds features, embedding, blocks and head.

    Args:
        config: see ``KeypointTransformerConfig``.
        clip: the clips it takes; ``learned`` positions have a vector for each of its T frames.
        num_glosses: ``V``.

    Returns:
        A model from the inputs of ``keypoint_inputs`` to float32 logits ``[B, V]``.

    Raises:
        UserError: the records hold no keypoints, or not those that the features want.
    """
    inputs, layout = keypoint_inputs(clip)
    mask = inputs.get("frame_mask")
    features = KeypointFeatures(config.features, layout, name="features")(inputs["keypoints"], mask=mask)
    features = keras.layers.Dense(config.dim, use_bias=False, name="stem")(features)
    features = keras.layers.BatchNormalization(momentum=config.batch_norm_momentum, name="stem_norm")(
        features, mask=mask
    )
    if config.positions != "none":
        features = Positions(config.positions, name="positions")(features)
    for number in range(1, config.blocks + 1):
        features = TransformerBlock(
            config.heads,
            expansion=config.feed_forward_expansion,
            normalization=config.normalization,
            activation=config.activation,
            attention_dropout=config.attention_dropout,
            drop_path=config.drop_path,
            batch_norm_momentum=config.batch_norm_momentum,
            name=f"block{number}",
        )(features, mask=mask)
    features = keras.layers.LayerNormalization(epsilon=1e-6, name="top_norm")(features)
    features = pool_frames(features, config.pooling, mask)
    logits = classification_head(features, num_glosses, config.dropout, config.dropout_first_epoch)
    return keras.Model(inputs, logits, name="keypoint_transformer")
