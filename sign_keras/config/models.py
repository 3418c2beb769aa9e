"""One section for each architecture; ``architecture`` says which."""

from typing import Annotated, Literal, Self

import pydantic

from sign_keras.config.backbones import BackboneSettings
from sign_keras.config.keypoint_models import KeypointModelConfig, KeypointModelSettings
from sign_keras.config.model_settings import ModelSettings
from sign_keras.config.sentence_models import FourStageCTCConfig, ResNetBiLSTMCTCConfig


class CNNLSTMConfig(BackboneSettings):
    """A backbone on every frame, LSTM over time.

    Attributes:
        motion_lags: also feed the LSTM how features changed since this many frames before; with
            ``mobilenet_v2_points`` the change of the points' places alone.
        lstm_units: width of the LSTM.
        pooling: decide by the LSTM's ``last`` state, or by the ``mean`` of all.
        dropout: before the LSTM and before the head.
        causal: to be used on streams, frame by frame, at ``sampling.frame_rate``. The network is the same.
    """

    architecture: Literal["cnn_lstm"]
    motion_lags: tuple[pydantic.PositiveInt, ...] = ()
    lstm_units: int = pydantic.Field(ge=1)
    pooling: Literal["last", "mean"] = "last"
    dropout: float = pydantic.Field(0.3, ge=0, lt=1)
    causal: bool = False

    @property
    def is_causal(self) -> bool:
        """Where the configuration says so."""
        return self.causal


class FrameClassifierConfig(BackboneSettings):
    """A backbone and a linear head on every frame; logits averaged over the clip's real frames.

    Attributes:
        dropout: before the head.
    """

    architecture: Literal["frame_classifier"]
    dropout: float = pydantic.Field(0.3, ge=0, lt=1)


class VideoNetSettings(ModelSettings):
    """What the networks of 3D convolutions have in common.

    Attributes:
        width: channels of the first stage; 64 is the published one.
        pooling: of the last features over time: their ``mean``, or ``attention``, learned weights that say which
            moments matter.
        dropout: before the head.
        normalization: of pixels: by mean and standard deviation of the ``dataset`` (``dataset_info.json``), or of
            ``kinetics``, which torchvision's weights were trained with.
        remat: keep only the inputs of each block for the backward pass and compute the rest again: long clips then
            fit in memory, for about a third more time. Gradients stay the same.
    """

    width: int = pydantic.Field(64, ge=4, le=512)
    pooling: Literal["mean", "attention"] = "mean"
    dropout: float = pydantic.Field(0.5, ge=0, lt=1)
    normalization: Literal["dataset", "kinetics"] = "dataset"
    remat: bool = False


class VideoResNetSettings(VideoNetSettings):
    """The residual networks.

    Attributes:
        depth: 18 has two blocks a stage, 10 has one.
        batch_norm_momentum: share of the old statistics that a step keeps; PyTorch's 0.1 is 0.9 here.
        batch_norm_epsilon: as torchvision's.
    """

    depth: Literal[10, 18] = 18
    batch_norm_momentum: float = pydantic.Field(0.9, ge=0, lt=1)
    batch_norm_epsilon: float = pydantic.Field(1e-5, gt=0)


class R3DConfig(VideoResNetSettings):
    """ResNet with 3 x 3 x 3 convolutions.

    Attributes:
        preserve_time: halve height and width alone, so that every frame keeps its features up to the pool.
    """

    architecture: Literal["r3d"]
    preserve_time: bool = False


class R2Plus1DConfig(VideoResNetSettings):
    """ResNet with a spatial convolution and one over time in place of each 3D convolution.

    Attributes:
        preserve_time: see ``R3DConfig``.
    """

    architecture: Literal["r2plus1d"]
    preserve_time: bool = False


class MC3Config(VideoResNetSettings):
    """ResNet with 3D convolutions in the first stage and 2D ones after; it always preserves time."""

    architecture: Literal["mc3"]


class C3DConfig(VideoNetSettings):
    """Eight 3 x 3 x 3 convolutions, five poolings and two wide layers.

    Attributes:
        preserve_time: pool height and width alone, and put the mean over time and space in place of the wide
            layers.
        hidden_units: of the two wide layers.
        batch_norm: after every convolution; the paper has none, but training from scratch is easier with it.
        batch_norm_momentum: see ``VideoResNetSettings``.
        batch_norm_epsilon: likewise.
    """

    architecture: Literal["c3d"]
    preserve_time: bool = False
    hidden_units: int = pydantic.Field(4096, ge=1)
    batch_norm: bool = False
    batch_norm_momentum: float = pydantic.Field(0.9, ge=0, lt=1)
    batch_norm_epsilon: float = pydantic.Field(1e-5, gt=0)

    @pydantic.model_validator(mode="after")
    def _attention_needs_time(self) -> "C3DConfig":
        if self.pooling == "attention" and not self.preserve_time:
            raise ValueError(
                "pooling: attention needs preserve_time=true; C3D's wide layers see all moments at once"
            )
        return self


VideoResNetConfig = R3DConfig | R2Plus1DConfig | MC3Config
SingleModelConfig = (
    CNNLSTMConfig
    | R3DConfig
    | R2Plus1DConfig
    | MC3Config
    | C3DConfig
    | FrameClassifierConfig
    | KeypointModelConfig
    | ResNetBiLSTMCTCConfig
    | FourStageCTCConfig
)


class EnsembleConfig(ModelSettings):
    """Several models on the same clips, whose logits are averaged; ``sign_keras.ensemble`` makes one of runs.

    Attributes:
        members: the models; all take frames, or all keypoints.
    """

    architecture: Literal["ensemble"]
    members: tuple[Annotated[SingleModelConfig, pydantic.Field(discriminator="architecture")], ...] = (
        pydantic.Field(min_length=2)
    )

    @pydantic.model_validator(mode="after")
    def _same_inputs(self) -> "EnsembleConfig":
        if len({isinstance(member, KeypointModelSettings) for member in self.members}) > 1:
            raise ValueError("members: some take frames and some keypoints; an ensemble sees one or the other")
        if any(member.task != "isolated" for member in self.members):
            raise ValueError(
                "members: some read sentences; their frames' answers fall on other frames, so that a mean says less"
            )
        return self

    def without_weights(self) -> Self:
        """See ``ModelSettings``; so are the members."""
        members = tuple(member.without_weights() for member in self.members)
        return self.model_copy(update={"weights": "none", "members": members})


ModelConfig = Annotated[SingleModelConfig | EnsembleConfig, pydantic.Field(discriminator="architecture")]
