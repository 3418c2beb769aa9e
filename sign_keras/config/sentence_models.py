"""The sections of architectures that read sentences out of frames."""

from typing import Annotated, Literal

import pydantic

from sign_keras.config.backbones import BackboneSettings
from sign_keras.config.model_settings import Task
from sign_keras.config.ratio import FramesPerLogit, ratio_share
from tfrecords_tools.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, lt=1)]


class SentenceSettings(BackboneSettings):
    """A backbone on every frame, recurrent layers over time, read by CTC.

    Attributes:
        lstm_units: of each recurrent layer, first to last; they read the clip both ways, each way with so many.
        lstm_dropout: in front of each recurrent layer.
        dropout: before the head.
    """

    lstm_units: tuple[pydantic.PositiveInt, ...] = pydantic.Field((256,), min_length=1)
    lstm_dropout: Share = 0.0
    dropout: Share = 0.3

    @property
    def task(self) -> Task:
        """Sentences."""
        return "continuous"


class ResNetBiLSTMCTCConfig(SentenceSettings):
    """The plain baseline: nothing but the above.

    Attributes:
        downsampling: how many frames make one frame of the logits: their mean, in front of the recurrent layers.
    """

    architecture: Literal["resnet_bilstm_ctc"]
    downsampling: Literal[1, 2, 4] = 1

    @property
    def frames_per_logit(self) -> int:
        """As ``downsampling`` says."""
        return self.downsampling


class AlignmentConfig(Settings):
    """Visual features drawn towards the vectors of the glosses that are signed.

    Attributes:
        pairing: which glosses a frame is drawn to: of ``posteriors``, those that CTC says it belongs to; of
            ``sentence``, the mean of all frames to the mean of all glosses of the sentence.
        encoder: where a gloss's vector begins: ``learned``, from nothing; or a text encoder of the BERT family, as
            the name of a KerasHub preset or a local folder that holds one, Hugging Face's format included.
        text_width: length of a gloss's vector; of an encoder its own (MiniLM 384, BERT-base 768).
        width: of the space that visual features and glosses are projected into.
        margin: cosine from which on a gloss that is not signed is pushed away.
    """

    pairing: Literal["posteriors", "sentence"] = "posteriors"
    encoder: str = "learned"
    text_width: int = pydantic.Field(384, ge=2, le=4096)
    width: int = pydantic.Field(256, ge=2, le=4096)
    margin: float = pydantic.Field(0.0, ge=-1, lt=1)


class SelectionConfig(Settings):
    """Which frames are kept.

    Attributes:
        method: ``motion``, those with the best scores of a network that sees how features change; ``random``, any;
            ``none``, all.
        ratio: share of a clip's real frames that is kept, in steps of a thousandth.
        units: channels of the ConvGRU.
        start: what scores are before anything is learnt: ``motion``, larger where features change more; or
            ``random``.
        entropy: weight of the scores' entropy in the selection loss, which keeps them from settling too early.
    """

    method: Literal["motion", "random", "none"] = "motion"
    ratio: float = pydantic.Field(0.7, gt=0, le=1)
    units: int = pydantic.Field(64, ge=1, le=4096)
    start: Literal["motion", "random"] = "motion"
    entropy: float = pydantic.Field(0.1, ge=0)

    @pydantic.field_validator("ratio")
    @classmethod
    def _counts(cls, value: float) -> float:
        ratio_share(value)
        return value


class FourStageCTCConfig(SentenceSettings):
    """Encoder and alignment with glosses, keyframe selection, recurrent layers, CTC.

    Attributes:
        grid: height and width of each frame's feature map, pooled from the backbone's.
        motion_lags: stages 3 and 4, and the alignment, also see how the backbone's map changed since this many
            frames before, through a projection of its own.
        width: channels of that map.
        batch_norm_momentum: of the map's normalisation: share of the old statistics that a step keeps.
        alignment: stage 1's loss; null: there is none.
        selection: stage 2.
        classification: stage 3's loss, on each frame's gloss: ``labels``, as the records say (``gloss_seconds`` of
            a manifest), in clips of which they do not, as CTC aligns them; ``pseudo``, so in all clips; ``none``:
            there is none.
    """

    architecture: Literal["four_stage_ctc"]
    grid: int = pydantic.Field(4, ge=1, le=16)
    motion_lags: tuple[pydantic.PositiveInt, ...] = ()
    width: int = pydantic.Field(512, ge=1, le=4096)
    batch_norm_momentum: Share = 0.9
    alignment: AlignmentConfig | None = AlignmentConfig()
    selection: SelectionConfig = SelectionConfig()
    classification: Literal["labels", "pseudo", "none"] = "labels"

    @pydantic.field_validator("backbone")
    @classmethod
    def _has_maps(cls, value: str) -> str:
        if value == "vit":
            raise ValueError("vit gives one vector a frame and no map; take another backbone")
        return value

    @property
    def selection_ratio(self) -> float:
        """Of ``selection``; 1 where there is none."""
        return 1.0 if self.selection.method == "none" else self.selection.ratio

    @property
    def frames_per_logit(self) -> FramesPerLogit:
        """Frames of the logits are the frames that are kept."""
        return 1 if self.selection_ratio == 1 else 1 / ratio_share(self.selection_ratio)

    @property
    def losses(self) -> tuple[str, ...]:
        """Of the stages that have one."""
        there = {
            "alignment": self.alignment is not None,
            "selection": self.selection.method == "motion",
            "classification": self.classification != "none",
            "ctc": True,
        }
        return tuple(name for name, is_there in there.items() if is_there)
