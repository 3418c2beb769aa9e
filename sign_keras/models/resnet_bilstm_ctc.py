"""The plain baseline for sentences out of frames: a CNN on every frame, LSTMs both ways, CTC.

Source: in outline, the recogniser of Koller et al. 2017, CVPR, "Re-Sign", without its hidden Markov model, and of
Min et al. 2021, arXiv:2104.02330, without its convolutions over time.
"""

import keras

from sign_keras.config import ResNetBiLSTMCTCConfig
from sign_keras.models.backbones import frame_backbone
from sign_keras.models.clip_inputs import ClipInput, clip_inputs
from sign_keras.models.heads import sentence_head
from sign_keras.models.layers import FrameWise
from sign_keras.models.recurrent import recurrent_layers
from sign_keras.models.time_downsampling import TimeDownsampling


def build_resnet_bilstm_ctc(config: ResNetBiLSTMCTCConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds backbone, downsampling, recurrent layers and head.

    Args:
        config: see ``ResNetBiLSTMCTCConfig``.
        clip: the clips it takes.
        num_glosses: ``V``.

    Returns:
        A model from the inputs of ``clip_inputs`` to float32 logits ``[B, T', V + 1]``, as ``keypoint_ctc``'s.

    Raises:
        UserError: the backbone's weights cannot be had.
    """
    backbone = frame_backbone(config, clip.sampling)
    inputs = clip_inputs(clip.sampling)
    mask = inputs.get("frame_mask")
    features = FrameWise(backbone, name="frame_features")(inputs["frames"])  # [B, T, D]
    if config.downsampling > 1:
        downsample = TimeDownsampling(config.downsampling, name="downsample")
        features = downsample(features, mask=mask)
        mask = None if mask is None else downsample.mask_of_moments(mask)
    features = recurrent_layers(features, config.lstm_units, config.lstm_dropout, mask)
    logits = sentence_head(features, num_glosses, config.dropout)
    return keras.Model(inputs, logits, name="resnet_bilstm_ctc")
