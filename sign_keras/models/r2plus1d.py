"""R(2+1)D: R3D with each 3D convolution split into one over space and one over time.

As many parameters, twice the nonlinearities, easier to train; and every operator is a 2D one.

Source: Tran et al. 2018, arXiv:1711.11248; torchvision's ``r2plus1d_18`` (BSD 3-Clause), with which depth 18 agrees
number by number.
"""

import keras

from sign_keras.config import R2Plus1DConfig
from sign_keras.models.blocks3d import SymmetricConv3D
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.resnet3d import build_resnet3d, normalization

# Channels between the stem's two convolutions, at a width of 64: the published number, which no formula gives.
STEM_CHANNELS = 45


def build_r2plus1d(config: R2Plus1DConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model; see ``build_resnet3d``."""
    stem = [
        SymmetricConv3D(max(1, STEM_CHANNELS * config.width // 64), (1, 7, 7), (1, 2, 2)),
        normalization(config),
        keras.layers.ReLU(),
        SymmetricConv3D(config.width, (3, 1, 1)),
        normalization(config),
        keras.layers.ReLU(),
    ]
    return build_resnet3d(
        config,
        clip,
        num_glosses,
        stem=stem,
        kinds=("2plus1d", "2plus1d", "2plus1d", "2plus1d"),
        time_stride=1 if config.preserve_time else 2,
    )
