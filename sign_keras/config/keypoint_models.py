"""The sections of architectures that take keypoints."""

from typing import Annotated, Literal

import pydantic

from sign_keras.config.keypoints import FeaturesConfig
from sign_keras.config.model_settings import ModelSettings, Task

Share = Annotated[float, pydantic.Field(ge=0, lt=1)]
Activation = Literal["relu", "silu"]
ClipPooling = Literal["mean", "attention"]


class KeypointModelSettings(ModelSettings):
    """What the architectures that take keypoints have in common.

    Attributes:
        features: what is computed from keypoints, inside the model.
        dropout: before the head.
        dropout_first_epoch: of the training, from 1: no dropout before the head until then.
    """

    features: FeaturesConfig = FeaturesConfig()
    dropout: Share = 0.3
    dropout_first_epoch: int = pydantic.Field(1, ge=1)


class KeypointRNNSettings(KeypointModelSettings):
    """Recurrent layers over time.

    Attributes:
        units: of each recurrent layer, first to last.
        activation: of the recurrent layers; ``tanh`` is the usual one and the one that GPUs are fast at.
        bidirectional: each layer reads the clip both ways, with ``units`` each way.
        input_norm: batch normalisation of the features in front of the first layer.
        pooling: decide by the last layer's ``last`` state, or by the ``mean`` of all.
        dense_units: of ReLU layers between the pool and the head.
        layer_dropout: after each recurrent layer but the last.
    """

    units: tuple[pydantic.PositiveInt, ...] = pydantic.Field(min_length=1)
    activation: Literal["tanh", "relu"] = "tanh"
    bidirectional: bool = False
    input_norm: bool = False
    pooling: Literal["last", "mean"] = "last"
    dense_units: tuple[pydantic.PositiveInt, ...] = ()
    layer_dropout: Share = 0.0

    @property
    def is_causal(self) -> bool:
        """Where layers read one way and the features are causal."""
        return self.features.causal and not self.bidirectional


class KeypointLSTMConfig(KeypointRNNSettings):
    """A stack of LSTM layers."""

    architecture: Literal["keypoint_lstm"]


class KeypointGRUConfig(KeypointRNNSettings):
    """A stack of GRU layers."""

    architecture: Literal["keypoint_gru"]


class KeypointAttentionSettings(KeypointModelSettings):
    """What the architectures with attention over time have in common.

    Attributes:
        dim: features of a frame throughout.
        heads: of the attention; they divide ``dim``.
        feed_forward_expansion: width of a transformer block's feed-forward layer, in ``dim``.
        attention_dropout: share of the attention's weights dropped in training.
        drop_path: share of clips for which a block is passed by in training (stochastic depth).
        activation: within blocks.
        batch_norm_momentum: share of the old statistics that a step keeps.
    """

    dim: int = pydantic.Field(192, ge=2, le=4096)
    heads: int = pydantic.Field(4, ge=1)
    feed_forward_expansion: int = pydantic.Field(2, ge=1, le=16)
    attention_dropout: Share = 0.2
    drop_path: Share = 0.2
    activation: Activation = "silu"
    batch_norm_momentum: Share = 0.95

    @pydantic.model_validator(mode="after")
    def _heads_divide_dim(self) -> "KeypointAttentionSettings":
        if self.dim % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide dim {self.dim}")
        return self


class KeypointTransformerConfig(KeypointAttentionSettings):
    """A transformer over frames.

    Attributes:
        pooling: of frames to a clip: their ``mean``, or ``attention``, learned weights of moments.
        blocks: how many.
        positions: how frames know their place: ``learned``, ``sinusoidal``, or ``none``.
        normalization: in front of attention and feed-forward layers.
    """

    architecture: Literal["keypoint_transformer"]
    pooling: ClipPooling = "mean"
    blocks: int = pydantic.Field(4, ge=1, le=48)
    positions: Literal["learned", "sinusoidal", "none"] = "sinusoidal"
    normalization: Literal["layer", "batch"] = "layer"


class KeypointConvolutionSettings(KeypointAttentionSettings):
    """Convolutions over time, with transformer blocks in between: ``frame_network``.

    Attributes:
        stages: how often convolution blocks and then transformer blocks follow each other.
        conv_blocks: in each stage.
        transformer_blocks: in each stage; 0: convolutions alone.
        kernel_size: of the convolutions, in frames.
        expansion: channels within a convolution block, in ``dim``.
        padding: of the convolutions: ``causal``, each frame sees those before it alone; ``same``: as many on both
            sides.
        channel_attention: whether convolution blocks scale channels by their means over time.
        normalization: of the transformer blocks.
        top_units: of the last layer on each frame; 0: there is none.
        causal: no frame's features depend on frames after it, so that a stream can go through frame by frame.
            Channels are then scaled by their means so far.
    """

    stages: int = pydantic.Field(2, ge=1, le=16)
    conv_blocks: int = pydantic.Field(3, ge=1, le=16)
    transformer_blocks: int = pydantic.Field(1, ge=0, le=16)
    kernel_size: int = pydantic.Field(17, ge=2, le=255)
    expansion: int = pydantic.Field(2, ge=1, le=16)
    padding: Literal["causal", "same"] = "causal"
    channel_attention: bool = True
    normalization: Literal["layer", "batch"] = "batch"
    top_units: int = pydantic.Field(384, ge=0, le=16384)
    causal: bool = False

    @pydantic.model_validator(mode="after")
    def _causal_throughout(self) -> "KeypointConvolutionSettings":
        faults = [f"{name}: {reason}" for name, reason in self._not_causal().items()] if self.causal else []
        if faults:
            raise ValueError("causal=true, but " + "; ".join(faults))
        return self

    def _not_causal(self) -> dict[str, str]:
        """Settings that look at frames to come, and what to do about each."""
        reasons = {
            "transformer_blocks": (self.transformer_blocks > 0, "attention looks at the whole clip; set it to 0"),
            "padding": (self.padding != "causal", "same looks at frames to come; use causal"),
            "features.causal": (not self.features.causal, "is false, so that features look at the whole clip"),
        }
        return {name: reason for name, (is_fault, reason) in reasons.items() if is_fault}

    @property
    def is_causal(self) -> bool:
        """As ``causal`` says."""
        return self.causal


class KeypointConvTransformerConfig(KeypointConvolutionSettings):
    """Convolutions over time, with transformer blocks in between, and the sign that the clip shows.

    Attributes:
        pooling: of frames to a clip: their ``mean``, or ``attention``, learned weights of moments.
    """

    architecture: Literal["keypoint_conv_transformer"]
    pooling: ClipPooling = "mean"

    def _not_causal(self) -> dict[str, str]:
        whole = {"pooling": "attention weighs all moments of a clip; use mean"} if self.pooling != "mean" else {}
        return super()._not_causal() | whole


class KeypointCTCConfig(KeypointConvolutionSettings):
    """Convolutions over time, with transformer blocks in between, and the signs of a sentence, by CTC.

    Attributes:
        downsampling: how many frames make one frame of the logits: their mean, between the convolutions and the
            recurrent layers. A sentence needs as many frames of the logits as it has glosses.
        lstm_units: of each recurrent layer over the frames that are left, first to last; () for none. They read
            the clip both ways, each way with so many, or forwards alone where the model is ``causal``.
        lstm_dropout: in front of each recurrent layer.
    """

    architecture: Literal["keypoint_ctc"]
    downsampling: Literal[1, 2, 4] = 1
    lstm_units: tuple[pydantic.PositiveInt, ...] = ()
    lstm_dropout: Share = 0.0

    def _not_causal(self) -> dict[str, str]:
        late = {"downsampling": "a stream has logits after every frame; use 1"} if self.downsampling > 1 else {}
        return super()._not_causal() | late

    @property
    def task(self) -> Task:
        """Sentences."""
        return "continuous"

    @property
    def frames_per_logit(self) -> int:
        """As ``downsampling`` says."""
        return self.downsampling


KeypointModelConfig = (
    KeypointLSTMConfig
    | KeypointGRUConfig
    | KeypointTransformerConfig
    | KeypointConvTransformerConfig
    | KeypointCTCConfig
)
