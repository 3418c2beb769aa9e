"""MC3: a ResNet that looks at movement early, with 3D convolutions in the first stage and 2D ones after.

Source: Tran et al. 2018, arXiv:1711.11248; torchvision's ``mc3_18`` (BSD 3-Clause), with which depth 18 agrees
number by number.
"""

import keras

from sign_keras.config import MC3Config
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.r3d import full_stem
from sign_keras.models.resnet3d import build_resnet3d


def build_mc3(config: MC3Config, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model; see ``build_resnet3d``. All T frames reach the pool."""
    return build_resnet3d(
        config,
        clip,
        num_glosses,
        stem=full_stem(config),
        kinds=("3d", "2d", "2d", "2d"),
        time_stride=1,
    )
