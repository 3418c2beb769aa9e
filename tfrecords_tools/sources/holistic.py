"""Parts of MediaPipe Holistic, as datasets store them, to the one array that records hold."""

from collections.abc import Mapping

import numpy as np

from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, POSE_POINTS
from tfrecords_tools.keypoints import ClipKeypoints


def holistic_keypoints(
    num_frames: int, parts: Mapping[str, np.ndarray], visibility: np.ndarray | None = None
) -> ClipKeypoints:
    """Puts a clip's groups together.

    Args:
        num_frames: ``T``.
        parts: ``[T, P, 3]`` of each group that the dataset has (``pose`` 33, ``face`` 468, ``left_hand`` and
            ``right_hand`` 21 points): x and y in frame widths and heights, z as MediaPipe gives it. A frame in
            which any value of a group is not finite is one in which the group was not found.
        visibility: ``[T, 33]`` of the pose in [0, 1]; zeros when None.

    Returns:
        Keypoints in the order of ``MEDIAPIPE_HOLISTIC``; groups that the dataset does not have are nowhere found.
    """
    points = np.full((num_frames, len(MEDIAPIPE_HOLISTIC.names), 3), np.nan, np.float16)
    presence = np.zeros((num_frames, len(MEDIAPIPE_HOLISTIC.groups)), bool)
    for column, (group, _) in enumerate(MEDIAPIPE_HOLISTIC.groups):
        if group in parts:
            presence[:, column] = np.isfinite(parts[group]).all(axis=(1, 2))
            points[presence[:, column], MEDIAPIPE_HOLISTIC.group_slices[group]] = parts[group][presence[:, column]]
    if visibility is None:
        visibility = np.zeros((num_frames, len(POSE_POINTS)))
    return ClipKeypoints(points=points, visibility=visibility.astype(np.float16), presence=presence)
