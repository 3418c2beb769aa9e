"""Hand-centric crops: one square around both hands over a whole clip, the same for every frame.

A crop that moved with the hands would take the movement out of the picture, and movement is half of a sign.
"""

from dataclasses import dataclass

import numpy as np

from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import HAND_GROUPS, ClipKeypoints

# Frames with hands that are needed before their box is trusted.
MIN_HAND_SHARE = 0.1
# A box of stray detections may not be smaller than this share of the frame's short side.
MIN_SIDE_SHARE = 0.3
UPPER_BODY_POINTS = (
    "pose/nose",
    "pose/left_shoulder",
    "pose/right_shoulder",
    "pose/left_elbow",
    "pose/right_elbow",
)
UPPER_BODY_MARGIN = 0.5


@dataclass(frozen=True)
class CropBox:
    """A region of the picture.

    Attributes:
        x0, y0, x1, y1: in frame widths and heights; may reach beyond [0, 1], where the picture is continued
            by its edge pixels.
        origin: what the box was made from: ``hands``, ``upper_body`` or ``full``.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    origin: str

    def as_array(self) -> np.ndarray:
        """``[4]`` float32: x0, y0, x1, y1."""
        return np.array([self.x0, self.y0, self.x1, self.y1], np.float32)


FULL_FRAME = CropBox(0.0, 0.0, 1.0, 1.0, "full")


def hand_crop(keypoints: ClipKeypoints, width: int, height: int, margin: float) -> CropBox:
    """The square around both hands over the clip; without hands the upper body, without that the full frame.

    Args:
        keypoints: of the clip's frames.
        width: of the frames, in pixels: a square in pixels is none in frame widths and heights.
        height: likewise.
        margin: added around the hands, as a share of the box's longer side.
    """
    points = keypoints.points.astype(np.float64)[..., :2]
    hands = [points[:, MEDIAPIPE_HOLISTIC.group_slices[group]] for group in HAND_GROUPS]
    hand_share = keypoints.presence[:, 2:].any(axis=1).mean()
    if hand_share >= MIN_HAND_SHARE:
        return _square(np.concatenate(hands, axis=1).reshape(-1, 2), width, height, margin, "hands")
    if keypoints.presence[:, 0].any():
        body = points[:, list(MEDIAPIPE_HOLISTIC.rows(UPPER_BODY_POINTS))].reshape(-1, 2)
        return _square(body, width, height, UPPER_BODY_MARGIN, "upper_body")
    return FULL_FRAME


def _square(points: np.ndarray, width: int, height: int, margin: float, origin: str) -> CropBox:
    size = np.array([width, height], float)
    points = points[np.isfinite(points).all(axis=1)] * size
    # A hand that is half out of view has points outside the picture: nothing is there to be seen.
    points = np.clip(points, 0, size)
    low, high = points.min(axis=0), points.max(axis=0)
    side = max((high - low).max() * (1 + margin), MIN_SIDE_SHARE * size.min())
    x0, y0 = ((low + high - side) / 2) / size
    x1, y1 = ((low + high + side) / 2) / size
    return CropBox(float(x0), float(y0), float(x1), float(y1), origin)


def cut(image: np.ndarray, box: CropBox) -> np.ndarray:
    """Cuts a box out of an image uint8 ``[H, W, 3]``; beyond the picture its edge pixels go on."""
    if box.origin == "full":
        return image
    height, width = image.shape[:2]
    x0, x1 = round(box.x0 * width), round(box.x1 * width)
    y0, y1 = round(box.y0 * height), round(box.y1 * height)
    side = max(x1 - x0, y1 - y0, 1)  # rounding must not make the square oblong
    inside = image[max(0, y0) : y0 + side, max(0, x0) : x0 + side]
    pad = [
        (max(0, -y0), max(0, y0 + side - height)),
        (max(0, -x0), max(0, x0 + side - width)),
        (0, 0),
    ]
    return np.pad(inside, pad, mode="edge")
