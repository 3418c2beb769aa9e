"""Frame classifier: one picture, one sign. For static signs, such as the letters of a manual alphabet.

A backbone and a linear head on each frame; the logits of a clip are the mean over its frames (late fusion, the
simplest of Karpathy et al. 2014, https://doi.org/10.1109/CVPR.2014.223), so that order means nothing to it.
"""

import keras

from sign_keras.config import FrameClassifierConfig
from sign_keras.models.backbones import frame_backbone
from sign_keras.models.clip_inputs import ClipInput, clip_inputs
from sign_keras.models.heads import classification_head
from sign_keras.models.layers import FrameWise


def build_frame_classifier(config: FrameClassifierConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model.

    Args:
        config: see ``FrameClassifierConfig``.
        clip: the clips it takes; one frame or several.
        num_glosses: ``V``.

    Returns:
        A model from the inputs of ``clip_inputs`` to float32 logits ``[B, V]``.

    Raises:
        UserError: the backbone's weights cannot be had, or its size is impossible.
    """
    backbone = frame_backbone(config, clip.sampling)
    inputs = clip_inputs(clip.sampling)
    features = FrameWise(backbone, name="frame_features")(inputs["frames"])  # [B, T, D]
    logits = classification_head(features, num_glosses, config.dropout)  # [B, T, V]
    mean = keras.layers.GlobalAveragePooling1D(dtype="float32", name="mean_logits")
    return keras.Model(inputs, mean(logits, mask=inputs.get("frame_mask")), name="frame_classifier")
