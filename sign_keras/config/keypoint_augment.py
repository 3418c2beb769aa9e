"""What training does to keypoints alone; ``docs/augmentation.md`` shows each step."""

from typing import Annotated

import pydantic

from tfrecords_tools.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Rate = Annotated[float, pydantic.Field(ge=0, lt=1)]


def _ascending(shares: tuple[float, float]) -> tuple[float, float]:
    if shares[0] > shares[1]:
        raise ValueError(f"goes from {shares[0]:g} down to {shares[1]:g}; give the smaller first")
    return shares


Shares = Annotated[tuple[Share, Share], pydantic.AfterValidator(_ascending)]
"""From, to: what is drawn lies between."""


class KeypointStep(Settings):
    """One change of a clip's keypoints.

    Attributes:
        probability: share of clips that are changed; 0 turns the step off, which then costs nothing.
    """

    probability: Share = 0.0


class AffineConfig(KeypointStep):
    """The whole signer moved, turned, resized and slanted about the picture's middle, in the picture's aspect.

    Attributes:
        scale: factor drawn from ``[1 - scale, 1 + scale]``, of depths too.
        shear: drawn from ``[-shear, shear]``, along x in half the clips and along y in the others.
        shift: drawn from ``[-shift, shift]``, of frame widths and of frame heights.
        rotation: degrees, drawn from ``[-rotation, rotation]``.
    """

    scale: Rate = 0.2
    shear: Rate = 0.15
    shift: Rate = 0.1
    rotation: float = pydantic.Field(30.0, ge=0, le=45)


class TemporalMaskConfig(KeypointStep):
    """A span of frames in which every point is missing.

    Attributes:
        length: share of the model's frames.
    """

    length: Shares = (0.2, 0.4)


class SpatialMaskConfig(KeypointStep):
    """A square of the picture in which points are missing, at one place in all frames.

    Attributes:
        side: share of the picture's shorter side.
    """

    side: Shares = (0.2, 0.4)


class FingerDropoutConfig(KeypointStep):
    """Fingers that are missing, for one span of frames.

    Attributes:
        rate: chance of each of the ten.
        length: of the span, as a share of the model's frames.
    """

    rate: float = pydantic.Field(0.2, gt=0, le=1)
    length: Shares = (0.2, 1.0)


class HandDropoutConfig(KeypointStep):
    """One hand, the left or the right, that is missing for a span of frames.

    Attributes:
        length: of the span, as a share of the model's frames.
    """

    length: Shares = (0.2, 1.0)


class FrameDropoutConfig(KeypointStep):
    """Single frames in which every point is missing.

    Attributes:
        rate: chance of each frame.
    """

    rate: float = pydantic.Field(0.1, gt=0, lt=1)


class NoiseConfig(KeypointStep):
    """Points beside where they are, each by itself; in frame widths.

    Attributes:
        deviation: of a Gaussian, new in every frame, drawn from ``[0, deviation]``.
        drift: of another whose values wander slowly through the clip, drawn from ``[0, drift]``.
    """

    deviation: float = pydantic.Field(0.005, ge=0, le=0.1)
    drift: float = pydantic.Field(0.005, ge=0, le=0.1)


class KeypointAugmentConfig(Settings):
    """Training-time changes to a clip's keypoints, in this order, after those of ``data.augment``.

    A point that is lost is NaN, as in records where it was not found. The ranges that stand here come into force
    with a step's ``probability``.

    Source of ``affine``, ``temporal_mask`` and ``spatial_mask`` and of their ranges: Hoyeol Sohn's winning entry to
    Kaggle's "Google - Isolated Sign Language Recognition", 2023, with probabilities of 0.75, 0.5 and 0.5. Different
    from it: turns and squares have the picture's aspect. The other steps imitate how MediaPipe fails.

    Attributes:
        interpolate: keypoints at a moment between two frames lie between their places in both, where both have
            them; false takes those of the frame on screen, as a test does.
    """

    interpolate: bool = False
    affine: AffineConfig = AffineConfig()
    noise: NoiseConfig = NoiseConfig()
    spatial_mask: SpatialMaskConfig = SpatialMaskConfig()
    finger_dropout: FingerDropoutConfig = FingerDropoutConfig()
    hand_dropout: HandDropoutConfig = HandDropoutConfig()
    frame_dropout: FrameDropoutConfig = FrameDropoutConfig()
    temporal_mask: TemporalMaskConfig = TemporalMaskConfig()

    @property
    def steps(self) -> dict[str, KeypointStep]:
        """By name, in a fixed order."""
        return {name: step for name, step in self if isinstance(step, KeypointStep)}

    @property
    def is_on(self) -> bool:
        """Whether keypoints are changed at all."""
        return self.interpolate or any(step.probability for step in self.steps.values())
