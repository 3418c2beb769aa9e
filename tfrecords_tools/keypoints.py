"""MediaPipe Holistic on the frames of a clip: the only file that imports MediaPipe.

To be used in a process that has not loaded TensorFlow: MediaPipe would import TensorFlow and JAX for features
that are not used here, at 10 s and 750 MB a process. ``HolisticExtractor`` blocks both.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfrecords_tools.command_line import quiet_stderr
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, POSE_POINTS

GROUPS = tuple(group for group, _ in MEDIAPIPE_HOLISTIC.groups)
HAND_GROUPS = ("left_hand", "right_hand")


@dataclass(frozen=True)
class ClipKeypoints:
    """Keypoints of a clip's ``T`` frames.

    Attributes:
        points: ``[T, 543, 3]`` float16 in the order of ``MEDIAPIPE_HOLISTIC``; x, y in frame widths and
            heights, z as MediaPipe gives it (in frame widths, from the hips or the wrist); NaN where the
            group was not found. float16 because records hold that: whoever computes from keypoints computes
            from the same numbers before and after a record.
        visibility: ``[T, 33]`` float16 in [0, 1]: how sure MediaPipe is that a pose point is in view.
        presence: ``[T, 4]`` bool: whether pose, face, left hand and right hand were found.
    """

    points: np.ndarray
    visibility: np.ndarray
    presence: np.ndarray


class HolisticExtractor:
    """Runs MediaPipe Holistic over clips, one after the other; each starts with fresh tracking."""

    def __init__(self, *, static: bool = False) -> None:
        """Loads MediaPipe.

        Args:
            static: look for the person anew in every image, as for unrelated photographs.
        """
        with _without_heavy_imports(), quiet_stderr():
            from mediapipe.python.solutions.holistic import Holistic
        self._make_model = Holistic
        self._static = static
        self._model: Any = None
        self._rows: list[tuple[np.ndarray, np.ndarray, list[bool]]] = []
        self._is_tracking = False

    def start_clip(self) -> None:
        """Forgets the clip before, tracking state included."""
        self._rows, self._is_tracking = [], False

    def add_frame(self, image: np.ndarray) -> None:
        """Finds the keypoints of the clip's next frame, uint8 RGB ``[H, W, 3]``."""
        self._rows.append(self._find(image))

    def find_landmarks(self, image: np.ndarray) -> np.ndarray:
        """``[543, 3]`` float32 of a stream's next frame, NaN where not found; nothing is kept but the tracking."""
        return self._find(image)[0]

    def _find(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[bool]]:
        image = np.ascontiguousarray(image)
        found = self._model.process(image) if self._is_tracking else self._process_first(image)
        self._is_tracking = True
        points = np.full((len(MEDIAPIPE_HOLISTIC.names), 3), np.nan, np.float32)
        visibility = np.zeros(len(POSE_POINTS), np.float32)
        landmarks = {
            "pose": found.pose_landmarks,
            "face": found.face_landmarks,
            "left_hand": found.left_hand_landmarks,
            "right_hand": found.right_hand_landmarks,
        }
        for group, landmark_list in landmarks.items():
            if landmark_list is not None:
                rows = [(point.x, point.y, point.z) for point in landmark_list.landmark]
                points[MEDIAPIPE_HOLISTIC.group_slices[group]] = rows
        if found.pose_landmarks is not None:
            visibility[:] = [point.visibility for point in found.pose_landmarks.landmark]
        return points, visibility, [landmarks[group] is not None for group in GROUPS]

    def _process_first(self, image: np.ndarray) -> Any:
        # The graph starts in threads of its own and writes about its delegates until its first frame is
        # through, so starting and first frame are one quiet step.
        with quiet_stderr():
            if self._model is None:
                self._model = self._make_model(static_image_mode=self._static, model_complexity=1)
            elif not self._static:  # a static model tracks nothing
                self._model.reset()
            return self._model.process(image)

    def finish_clip(self) -> ClipKeypoints:
        """Keypoints of all frames added since ``start_clip``."""
        points, visibility, presence = zip(*self._rows, strict=True)
        return ClipKeypoints(
            points=np.stack(points).astype(np.float16),
            visibility=np.stack(visibility).astype(np.float16),
            presence=np.array(presence, bool),
        )


@contextlib.contextmanager
def _without_heavy_imports() -> Iterator[None]:
    """Makes imports of TensorFlow and JAX fail, where they are not loaded already; MediaPipe does without."""
    blocked = [name for name in ("tensorflow", "jax", "jaxlib") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]
