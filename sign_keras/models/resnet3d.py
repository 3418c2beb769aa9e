"""The residual networks for clips, in the one form that three architectures share.

Sources: Hara et al. 2017, arXiv:1708.07632, and Tran et al. 2018, arXiv:1711.11248; original code: torchvision's
``models/video/resnet.py`` (BSD 3-Clause), whose names, padding and numbers these layers keep.
"""

from collections.abc import Sequence

import keras

from sign_keras.config import VideoResNetConfig
from sign_keras.models.blocks3d import ResidualBlock
from sign_keras.models.clip_inputs import ClipInput, clip_inputs, normalized_clip
from sign_keras.models.heads import classification_head, pool_clip

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2)}


def build_resnet3d(
    config: VideoResNetConfig,
    clip: ClipInput,
    num_glosses: int,
    *,
    stem: Sequence[keras.layers.Layer],
    kinds: Sequence[str],
    time_stride: int,
) -> keras.Model:
    """Builds stem, four stages, pool and head.

    Args:
        config: of the architecture.
        clip: the clips it takes.
        num_glosses: ``V``.
        stem: its layers; they halve height and width.
        kinds: of the convolutions of each stage; see ``ResidualBlock``.
        time_stride: of the last three stages, each of which halves height and width.

    Returns:
        A model from the inputs of ``clip_inputs`` to float32 logits ``[B, V]``.

    Raises:
        UserError: the dataset has no pixel statistics.
    """
    inputs = clip_inputs(clip.sampling)
    features = normalized_clip(inputs, config.normalization, clip.pixel_statistics)
    features = keras.Sequential(stem, name="stem")(features)
    for index, (num_blocks, kind) in enumerate(zip(BLOCKS[config.depth], kinds, strict=True)):
        strides = (1, 1, 1) if index == 0 else (time_stride, 2, 2)
        blocks = [
            ResidualBlock(
                config.width * 2**index,
                kind,
                strides if block == 0 else (1, 1, 1),
                momentum=config.batch_norm_momentum,
                epsilon=config.batch_norm_epsilon,
                remat=config.remat,
            )
            for block in range(num_blocks)
        ]
        features = keras.Sequential(blocks, name=f"layer{index + 1}")(features)
    features = pool_clip(features, config.pooling, inputs.get("frame_mask"), time_stride**3)
    logits = classification_head(features, num_glosses, config.dropout)
    return keras.Model(inputs, logits, name=f"{config.architecture}_{config.depth}")


def normalization(config: VideoResNetConfig) -> keras.layers.Layer:
    """Batch normalisation as the configuration wants it."""
    return keras.layers.BatchNormalization(momentum=config.batch_norm_momentum, epsilon=config.batch_norm_epsilon)
