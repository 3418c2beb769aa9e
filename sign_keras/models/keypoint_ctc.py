"""Sentences out of keypoints: convolutions over time with transformer blocks in between, read by CTC.

The frame network is that of ``keypoint_conv_transformer``. Behind it frames are put together where the
configuration says so, and recurrent layers go over what is left, as a bidirectional LSTM does in most recognisers
of continuous signing (Min et al. 2021, arXiv:2104.02330, section 3.1).
"""

import keras

from sign_keras.config import KeypointCTCConfig
from sign_keras.models.clip_inputs import ClipInput, keypoint_inputs
from sign_keras.models.features.layer import KeypointFeatures
from sign_keras.models.heads import sentence_head
from sign_keras.models.keypoint_conv_transformer import frame_network
from sign_keras.models.recurrent import recurrent_layers
from sign_keras.models.time_downsampling import TimeDownsampling


def build_keypoint_ctc(config: KeypointCTCConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds features, stem, stages, top, downsampling, recurrent layers and head.

    Args:
        config: see ``KeypointCTCConfig``.
        clip: the clips it takes.
        num_glosses: ``V``.

    Returns:
        A model from the inputs of ``keypoint_inputs`` to float32 logits ``[B, T', V + 1]``, blank first, T' being
        T by ``config.downsampling``, rounded up. How many of them are real, ``ctc.labels.logit_frames`` says; the
        others mean nothing.

    Raises:
        UserError: the records hold no keypoints, or not those that the features want.
    """
    inputs, layout = keypoint_inputs(clip)
    mask = inputs.get("frame_mask")
    features = KeypointFeatures(config.features, layout, name="features")(inputs["keypoints"], mask=mask)
    features = frame_network(features, config, mask)
    if config.downsampling > 1:
        downsample = TimeDownsampling(config.downsampling, name="downsample")
        features = downsample(features, mask=mask)
        mask = None if mask is None else downsample.mask_of_moments(mask)
    features = recurrent_layers(features, config.lstm_units, config.lstm_dropout, mask, both_ways=not config.causal)
    logits = sentence_head(features, num_glosses, config.dropout, config.dropout_first_epoch)
    return keras.Model(inputs, logits, name="keypoint_ctc")
