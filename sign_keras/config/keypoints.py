"""How keypoints become a model's input: the ``features`` section of models that take keypoints."""

from typing import Literal

import pydantic

from tfrecords_tools.settings import Settings

Reference = Literal["none", "shoulders", "face", "points"]


class FeaturesConfig(Settings):
    """What is computed from keypoints inside a model; ``docs/models.md`` explains each choice.

    Attributes:
        points: a preset, a group (``left_hand``), a point (``pose/nose``), or a list of these. Presets: ``hands``,
            ``upper_body``, ``hands_pose``, ``lips``, ``hands_pose_lips``, ``islr``.
        coordinates: ``xy``, or ``xyz`` with depth, less the mean depth of the point's group in that frame.
        aspect: width over height of the pictures that x and y are shares of, where it is known: x is multiplied by
            it. Keypoints do not tell; 1 takes the units as they are.
        canonical_hand: show every clip as if the right hand were the active one, mirroring those of left-handers.
        center: what is put at 0: ``shoulders`` (the middle between them), ``face`` (between the eyes), ``points``
            (their mean; of one hand under ``canonical_hand``, both hands' mean), or ``none``. A mean over the
            clip's frames; where it is missing, the next best.
        scale: what is made 1: the distance of the ``shoulders``; as much as the distance of the eyes in the
            ``face`` tells it to be; the standard deviation of the ``points``, of x and of y; or ``none``.
        hand_relative: also give each hand's points as seen from its wrist, in sizes of the hand.
        differences: also give how coordinates changed since this many frames before, for each lag.
        angles: also give the cosine of the angle at each finger joint.
        missing: of a point not found: ``zeros``, ``hold`` its last place, or ``interpolate`` between its last and
            its next.
        presence: also give, for each group, whether it was found.
        causal: no frame's features depend on frames after it, so that a stream gets those of a clip: means and the
            choice of the active hand then go over the frames so far.
    """

    points: str | tuple[str, ...] = "hands_pose"
    coordinates: Literal["xy", "xyz"] = "xy"
    aspect: float = pydantic.Field(1.0, ge=0.1, le=10)
    canonical_hand: bool = True
    center: Reference = "shoulders"
    scale: Reference = "shoulders"
    hand_relative: bool = True
    differences: tuple[pydantic.PositiveInt, ...] = (1, 2)
    angles: bool = False
    missing: Literal["zeros", "hold", "interpolate"] = "zeros"
    presence: bool = True
    causal: bool = False

    @pydantic.model_validator(mode="after")
    def _choices_fit(self) -> "FeaturesConfig":
        if not self.points or not all(self.point_names):
            raise ValueError("points: name at least one preset, group or point, e.g. hands_pose")
        if len(set(self.differences)) < len(self.differences):
            raise ValueError("differences: a lag is given twice")
        if self.causal and self.missing == "interpolate":
            raise ValueError(
                "missing: interpolate looks at frames to come, which causal features do not have; use hold or zeros"
            )
        return self

    @property
    def point_names(self) -> tuple[str, ...]:
        """``points`` as names, one or several."""
        return (self.points,) if isinstance(self.points, str) else self.points
