"""The backbone of architectures that read sentences out of frames."""

import keras

from sign_keras.config.sentence_models import SentenceSettings
from sign_keras.models.backbones import build_backbone
from sign_keras.models.clip_inputs import ClipInput


def frame_backbone(config: SentenceSettings, clip: ClipInput) -> keras.Model:
    """The backbone that a configuration names, for one frame.

    Raises:
        UserError: see ``backbones.build_backbone``.
    """
    return build_backbone(
        config.backbone,
        clip.sampling.height,
        clip.sampling.width,
        width_multiplier=config.backbone_width,
        weights=config.backbone_weights,
        preset=config.backbone_preset,
        batch_norm_momentum=config.backbone_batch_norm_momentum,
    )
