"""How a model learns."""

from typing import Literal

import pydantic

from tfrecords_tools.settings import Settings


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
