"""R3D: a ResNet whose every convolution spans space and time.

Source: Hara et al. 2017, arXiv:1708.07632; Tran et al. 2018, arXiv:1711.11248; torchvision's ``r3d_18`` (BSD
3-Clause), with which depth 18 agrees number by number.
"""

import keras

from sign_keras.config import MC3Config, R3DConfig
from sign_keras.models.blocks3d import SymmetricConv3D
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.resnet3d import build_resnet3d, normalization


def build_r3d(config: R3DConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model; see ``build_resnet3d``."""
    return build_resnet3d(
        config,
        clip,
        num_glosses,
        stem=full_stem(config),
        kinds=("3d", "3d", "3d", "3d"),
        time_stride=1 if config.preserve_time else 2,
    )


def full_stem(config: R3DConfig | MC3Config) -> list[keras.layers.Layer]:
    """One 3 x 7 x 7 convolution of stride 2 in space."""
    return [SymmetricConv3D(config.width, (3, 7, 7), (1, 2, 2)), normalization(config), keras.layers.ReLU()]
