"""One experiment: all sections together."""

from collections.abc import Sequence
from pathlib import Path

import pydantic
import yaml

from sign_keras.config.data import DataConfig
from sign_keras.config.models import ModelConfig
from sign_keras.config.records import RecordsConfig
from sign_keras.config.results import EvaluateConfig, ExportConfig
from sign_keras.config.tasks import task_faults
from sign_keras.config.training import TrainConfig
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.settings import Settings, apply_overrides, load_yaml, validate


class Config(Settings):
    """One experiment.

    Attributes:
        name: of the run directory and the exports.
        seed: of everything random in training.
        sampling: which frames the model sees, and at what size.
    """

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9_.-]+$")
    seed: int = 0
    records: RecordsConfig
    sampling: SamplingSpec
    data: DataConfig = DataConfig()
    model: ModelConfig
    train: TrainConfig
    evaluate: EvaluateConfig = EvaluateConfig()
    export: ExportConfig = ExportConfig()

    @pydantic.model_validator(mode="after")
    def _streams_have_a_rate(self) -> "Config":
        if self.model.is_causal and self.sampling.frame_rate is None:
            raise ValueError(
                "sampling.frame_rate: missing, so that frames are spread over the whole clip, but the model is "
                "causal and is to see them as they come; set it to the stream's rate, e.g. 30, or set "
                "model.causal (of recurrent models of keypoints: model.features.causal) to false"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _sections_fit_the_task(self) -> "Config":
        faults = task_faults(
            self.model.task,
            sampling=self.sampling,
            data=self.data,
            train=self.train,
            evaluate=self.evaluate,
            losses=self.model.losses,
        )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def to_yaml(self) -> str:
        """The resolved configuration, readable by ``load_config``."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML and applies ``--set`` overrides.

    Raises:
        SettingsError: the file is missing, is no YAML, or has faults; all are named.
    """
    values = load_yaml(path)
    if not overrides:
        return validate(Config, values, str(path))
    return validate(Config, apply_overrides(values, overrides), f"{path} with --set")
