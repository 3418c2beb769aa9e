"""An experiment's configuration: typed, strict, one model per section.

Shared defaults live here; choices that make an experiment what it is have none, so every YAML states them.
Unknown keys are errors, and all faults of a file are reported at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pydantic
import yaml

from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.settings import Settings, apply_overrides, load_yaml, validate


class SynthesizeConfig(Settings):
    """Clips to render before conversion; the arguments of ``tfrecords_tools.synthesize``."""

    signers: int = pydantic.Field(ge=1)
    clips_per_gloss: int = pydantic.Field(ge=1)
    num_glosses: int = pydantic.Field(ge=1)
    size: int = pydantic.Field(256, ge=96)
    seed: int = 0
    first_signer: int = pydantic.Field(0, ge=0)


class PrepareConfig(Settings):
    """How to make the records when they are missing.

    Attributes:
        source: a source of ``tfrecords_tools.convert``.
        input: what it reads.
        synthesize: render the input first, where it is missing too.
        settings: what ``convert --set`` would change.
    """

    source: str
    input: Path
    synthesize: SynthesizeConfig | None = None
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)


class RecordsConfig(Settings):
    """Where the records are, and how to make them."""

    directory: Path
    prepare: PrepareConfig | None = None


class AugmentConfig(Settings):
    """Training-time changes to a clip: one draw per clip, the same for all its frames and keypoints.

    Attributes:
        temporal_jitter: 0 takes the middle of each of the T equal parts of a clip, 1 anywhere within.
        zoom: the window's side is drawn from ``[1 - zoom, 1]`` of the frame's, and its place at random.
        rotation: degrees, drawn from ``[-rotation, rotation]``.
        mirror: chance of swapping left and right. Off by default: handedness may carry meaning.
        brightness: shift drawn from ``[-brightness, brightness]`` of the full range.
        contrast: factor drawn from ``[1 - contrast, 1 + contrast]``.
        saturation: likewise, 0 being grey.
    """

    temporal_jitter: float = pydantic.Field(1.0, ge=0, le=1)
    zoom: float = pydantic.Field(0.0, ge=0, lt=1)
    rotation: float = pydantic.Field(0.0, ge=0, le=45)
    mirror: float = pydantic.Field(0.0, ge=0, le=1)
    brightness: float = pydantic.Field(0.0, ge=0, lt=1)
    contrast: float = pydantic.Field(0.0, ge=0, lt=1)
    saturation: float = pydantic.Field(0.0, ge=0, lt=1)


class DataConfig(Settings):
    """Reading records.

    Attributes:
        cache: ``none``, ``memory``, or a folder on disk: where parsed records (frames still JPEG) are kept after
            the first epoch.
        shuffle_clips: clips held ready to draw from.
        augment: of the training split alone.
        shuffle_labels: a control that must fail: training labels are dealt at random.
    """

    cache: str = "none"
    shuffle_clips: int = pydantic.Field(1024, ge=1)
    augment: AugmentConfig = AugmentConfig()
    shuffle_labels: bool = False


class CNNLSTMConfig(Settings):
    """MobileNetV2 on every frame, LSTM over time.

    Attributes:
        backbone: ``mobilenet_v2``, or ``mobilenet_v2_points``, which also says where things are.
        backbone_width: MobileNetV2's width multiplier.
        backbone_weights: ``imagenet`` (downloaded by Keras), ``none``, or a ``.weights.h5`` file.
        backbone_trainable: False freezes it, batch normalisation in evaluation mode included.
        motion_lags: also feed the LSTM how features changed since this many frames before; with
            ``mobilenet_v2_points`` the change of the points' places alone.
        lstm_units: width of the LSTM.
        pooling: decide by the LSTM's ``last`` state, or by the ``mean`` of all.
        dropout: before the LSTM and before the head.
    """

    architecture: Literal["cnn_lstm"]
    backbone: Literal["mobilenet_v2", "mobilenet_v2_points"] = "mobilenet_v2"
    backbone_width: float = pydantic.Field(1.0, gt=0, le=1.4)
    backbone_weights: str = "imagenet"
    backbone_trainable: bool
    motion_lags: tuple[pydantic.PositiveInt, ...] = ()
    lstm_units: int = pydantic.Field(ge=1)
    pooling: Literal["last", "mean"] = "last"
    dropout: float = pydantic.Field(0.3, ge=0, lt=1)


class TrainConfig(Settings):
    """How the model learns.

    Attributes:
        batch_size: global: over all devices.
        learning_rate: of Adam at the start; falls to zero along a half cosine over all epochs.
        backbone_learning_rate_scale: the backbone's share of it.
        precision: compute dtype policy.
        early_stopping_patience: epochs without a better validation loss before stopping.
        monitor: what "better" means; checkpoints keep the best epoch by it.
    """

    epochs: int = pydantic.Field(ge=1)
    batch_size: int = pydantic.Field(ge=1)
    learning_rate: float = pydantic.Field(gt=0, le=1)
    label_smoothing: float = pydantic.Field(0.0, ge=0, lt=1)
    gradient_clip_norm: float = pydantic.Field(1.0, gt=0)
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    early_stopping_patience: int = pydantic.Field(10, ge=1)
    monitor: Literal["val_loss", "val_top1"] = "val_loss"


class EvaluateConfig(Settings):
    """The test at the end.

    Attributes:
        split: which clips; the report's numbers are theirs.
        bootstrap_samples: resamplings of signers behind the 95 % interval.
    """

    split: Literal["train", "validation", "test"] = "test"
    bootstrap_samples: int = pydantic.Field(2000, ge=100)


class ExportConfig(Settings):
    """What to export at the end, and how close it must be.

    Attributes:
        formats: any of ``savedmodel``, ``tflite``.
        quantization: of the TFLite files.
        max_probability_difference: a float32 export further from the model than this is not written.
    """

    formats: tuple[Literal["savedmodel", "tflite"], ...] = ()
    quantization: tuple[Literal["none", "float16", "dynamic"], ...] = ("none",)
    max_probability_difference: float = pydantic.Field(1e-3, gt=0)


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
    model: CNNLSTMConfig
    train: TrainConfig
    evaluate: EvaluateConfig = EvaluateConfig()
    export: ExportConfig = ExportConfig()

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
