"""An experiment's configuration: typed, strict, one model per section.

Shared defaults live here; choices that make an experiment what it is have none, so every YAML states them.
Unknown keys are errors, and all faults of a file are reported at once.
"""

from sign_keras.config.backbones import BackboneSettings
from sign_keras.config.data import AugmentConfig, DataConfig, MixConfig
from sign_keras.config.experiment import Config, load_config
from sign_keras.config.keypoint_augment import KeypointAugmentConfig
from sign_keras.config.keypoint_models import (
    KeypointConvolutionSettings,
    KeypointConvTransformerConfig,
    KeypointCTCConfig,
    KeypointGRUConfig,
    KeypointLSTMConfig,
    KeypointModelSettings,
    KeypointRNNSettings,
    KeypointTransformerConfig,
)
from sign_keras.config.keypoints import FeaturesConfig
from sign_keras.config.model_settings import Task
from sign_keras.config.models import (
    C3DConfig,
    CNNLSTMConfig,
    EnsembleConfig,
    FrameClassifierConfig,
    MC3Config,
    ModelConfig,
    R2Plus1DConfig,
    R3DConfig,
    VideoResNetConfig,
)
from sign_keras.config.no_sign import NonSignKind, NoSignConfig
from sign_keras.config.records import PrepareConfig, RecordsConfig, SynthesizeConfig
from sign_keras.config.results import DecodingConfig, EvaluateConfig, ExportConfig, ViewsConfig
from sign_keras.config.sentence_models import (
    AlignmentConfig,
    FourStageCTCConfig,
    ResNetBiLSTMCTCConfig,
    SelectionConfig,
)
from sign_keras.config.training import TrainConfig

__all__ = [
    "AlignmentConfig",
    "AugmentConfig",
    "BackboneSettings",
    "C3DConfig",
    "CNNLSTMConfig",
    "Config",
    "DataConfig",
    "DecodingConfig",
    "EnsembleConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FeaturesConfig",
    "FourStageCTCConfig",
    "FrameClassifierConfig",
    "KeypointAugmentConfig",
    "KeypointCTCConfig",
    "KeypointConvTransformerConfig",
    "KeypointConvolutionSettings",
    "KeypointGRUConfig",
    "KeypointLSTMConfig",
    "KeypointModelSettings",
    "KeypointRNNSettings",
    "KeypointTransformerConfig",
    "MC3Config",
    "MixConfig",
    "ModelConfig",
    "NoSignConfig",
    "NonSignKind",
    "PrepareConfig",
    "R2Plus1DConfig",
    "R3DConfig",
    "RecordsConfig",
    "ResNetBiLSTMCTCConfig",
    "SelectionConfig",
    "SynthesizeConfig",
    "Task",
    "TrainConfig",
    "VideoResNetConfig",
    "ViewsConfig",
    "load_config",
]
