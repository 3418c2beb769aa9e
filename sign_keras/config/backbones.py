"""The part of a section that chooses a frame backbone."""

from typing import Literal

import pydantic

from sign_keras.config.model_settings import ModelSettings

BackboneName = Literal[
    "mobilenet_v2",
    "mobilenet_v2_points",
    "mobilenet_v2_torchvision",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "efficientnet_v2_b1",
    "efficientnet_v2_s",
    "resnet50",
    "resnet50_v2",
    "densenet121",
    "convnext_tiny",
    "vit",
]
WITH_WIDTH = (
    "mobilenet_v2",
    "mobilenet_v2_points",
    "mobilenet_v2_torchvision",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
)


class BackboneSettings(ModelSettings):
    """A backbone that turns one frame into features.

    Attributes:
        backbone: a network of ``keras.applications``; ``mobilenet_v2_points``, which also says where things are;
            ``mobilenet_v2_torchvision``, which computes as torchvision's and takes its weights; or ``vit``.
        backbone_width: width multiplier, of MobileNets alone.
        backbone_weights: ``imagenet`` (downloaded by Keras), ``none``, or a ``.weights.h5`` file.
        backbone_preset: of ``vit``: a KerasHub preset (``vit_base_patch16_224_imagenet``) or a local folder that
            holds one; its weights are taken unless ``backbone_weights`` is ``none``.
        backbone_trainable: False freezes it, batch normalisation in evaluation mode included.
        backbone_batch_norm_momentum: share of the old statistics that a step keeps where the backbone learns.
            null: the network's own; MobileNets' 0.999 takes thousands of steps to know the new pictures.
    """

    backbone: BackboneName = "mobilenet_v2"
    backbone_width: float = pydantic.Field(1.0, gt=0, le=1.4)
    backbone_weights: str = "imagenet"
    backbone_preset: str | None = None
    backbone_trainable: bool
    backbone_batch_norm_momentum: float | None = pydantic.Field(None, ge=0, lt=1)

    @pydantic.model_validator(mode="after")
    def _options_fit_the_backbone(self) -> "BackboneSettings":
        if self.backbone_width != 1 and self.backbone not in WITH_WIDTH:
            raise ValueError(f"backbone_width: {self.backbone} has no width multiplier; leave it at 1")
        if (self.backbone == "vit") != (self.backbone_preset is not None):
            raise ValueError("backbone_preset: goes with backbone=vit, and only with it")
        if self.backbone == "mobilenet_v2_torchvision" and self.backbone_weights == "imagenet":
            raise ValueError(
                "backbone_weights: mobilenet_v2_torchvision takes a file that python -m sign_keras.import_weights "
                "made, or none"
            )
        return self
