"""An experiment's configuration: typed, strict, one model per section.

Shared defaults live here; choices that make an experiment what it is have none, so every YAML states them.
Unknown keys are errors, and all faults of a file are reported at once.
"""

from sign_keras.config.data import AugmentConfig, DataConfig
from sign_keras.config.experiment import Config, load_config
from sign_keras.config.models import CNNLSTMConfig
from sign_keras.config.records import PrepareConfig, RecordsConfig, SynthesizeConfig
from sign_keras.config.results import EvaluateConfig, ExportConfig
from sign_keras.config.training import TrainConfig

__all__ = [
    "AugmentConfig",
    "CNNLSTMConfig",
    "Config",
    "DataConfig",
    "EvaluateConfig",
    "ExportConfig",
    "PrepareConfig",
    "RecordsConfig",
    "SynthesizeConfig",
    "TrainConfig",
    "load_config",
]
