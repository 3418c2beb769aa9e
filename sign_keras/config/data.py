"""Reading and augmenting records."""

import pydantic

from tfrecords_tools.settings import Settings


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
