"""Names, order, groups and mirror pairs of keypoints: the one place that knows which row is which.

A *layout* says what the ``K`` rows of a ``[T, K, C]`` keypoint array are. Records carry their layout's
name, so no reader ever guesses an index. Plain Python: imports nothing but the standard library.

Source of the names and of the order inside each group: MediaPipe's ``PoseLandmark`` and ``HandLandmark``
enumerations (google-ai-edge/mediapipe, Apache-2.0). The face mesh has no published names, so its points are
called by their index; the mirror pairs are derived from the mesh's symmetry (see ``FACE_MIRROR``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

POSE_POINTS = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)
HAND_POINTS = (
    "wrist",
    "thumb_cmc",
    "thumb_mcp",
    "thumb_ip",
    "thumb_tip",
    "index_mcp",
    "index_pip",
    "index_dip",
    "index_tip",
    "middle_mcp",
    "middle_pip",
    "middle_dip",
    "middle_tip",
    "ring_mcp",
    "ring_pip",
    "ring_dip",
    "ring_tip",
    "pinky_mcp",
    "pinky_pip",
    "pinky_dip",
    "pinky_tip",
)
# Pairs of points that a line is drawn between. Arms and shoulders of a pose:
ARM_BONES = (
    ("left_shoulder", "right_shoulder"),
    *((f"{side}_shoulder", f"{side}_elbow") for side in ("left", "right")),
    *((f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")),
)
# Of a hand each finger from the wrist to its tip, and the knuckles across the palm.
HAND_BONES = tuple(
    pair
    for chain in (
        *(
            ("wrist", *(point for point in HAND_POINTS if point.startswith(finger)))
            for finger in ("thumb", "index", "middle", "ring", "pinky")
        ),
        tuple(point for point in HAND_POINTS if point.endswith("mcp") and not point.startswith("thumb")),
    )
    for pair in pairwise(chain)
)
NUM_FACE_POINTS = 468

# The mesh is numbered so that the points beside the midline on the signer's right side come first, and their
# twins on the left follow from 248 on in the same order. Checked against the triangles of MediaPipe's
# FACEMESH_TESSELATION, walked from the midline edge (10, 151) to both sides at once.
FACE_MIDLINE = (
    0,
    1,
    2,
    4,
    5,
    6,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    94,
    151,
    152,
    164,
    168,
    175,
    195,
    197,
    199,
    200,
)
FACE_MIRROR = tuple(
    zip(
        (index for index in range(248) if index not in FACE_MIDLINE),
        range(248, NUM_FACE_POINTS),
        strict=True,
    )
)


@dataclass(frozen=True)
class KeypointLayout:
    """What the ``K`` rows of a keypoint array are.

    Attributes:
        name: the layout's name, as ``dataset_info.json`` carries it.
        groups: (group, point names) in row order, e.g. ``("left_hand", ("wrist", ...))``.
        mirror_pairs: full names of points that change places when the picture is mirrored.
    """

    name: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    mirror_pairs: tuple[tuple[str, str], ...]

    @classmethod
    def from_names(
        cls, name: str, points: Sequence[str], mirror_pairs: Sequence[tuple[str, str]]
    ) -> "KeypointLayout":
        """A layout out of its points' full names; those of a group must follow each other.

        Raises:
            ValueError: a name is no ``group/point``, occurs twice, or a mirror pair names no point.
        """
        groups: dict[str, list[str]] = {}
        for full_name in points:
            group, separator, point = full_name.partition("/")
            if not (group and separator and point):
                raise ValueError(f"point {full_name!r}: expected group/point, e.g. left_hand/wrist")
            if group in groups and group != next(reversed(groups)):
                raise ValueError(f"point {full_name!r}: the points of group {group!r} must follow each other")
            groups.setdefault(group, []).append(point)
        if len(set(points)) < len(points):
            raise ValueError("a point is named twice")
        if unknown := {end for pair in mirror_pairs for end in pair} - set(points):
            raise ValueError(f"mirror pairs name points that do not exist: {', '.join(sorted(unknown))}")
        ends = [end for pair in mirror_pairs for end in pair]
        if len(set(ends)) < len(ends):
            raise ValueError("a point is in two mirror pairs")
        return cls(name, tuple((group, tuple(of)) for group, of in groups.items()), tuple(mirror_pairs))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Full names in row order: ``"pose/nose"``, ``"left_hand/wrist"``, ``"face/0"``."""
        return tuple(f"{group}/{point}" for group, points in self.groups for point in points)

    @cached_property
    def group_slices(self) -> dict[str, slice]:
        """Rows of each group."""
        slices, start = {}, 0
        for group, points in self.groups:
            slices[group] = slice(start, start + len(points))
            start += len(points)
        return slices

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def mirror_permutation(self) -> tuple[int, ...]:
        """``permutation[row]`` is the row that holds the mirrored point; applying it twice is identity."""
        permutation = list(range(len(self.names)))
        for left, right in self.mirror_pairs:
            a, b = self.row(left), self.row(right)
            permutation[a], permutation[b] = b, a
        return tuple(permutation)

    def row(self, name: str) -> int:
        """Row of a point by its full name.

        Raises:
            KeyError: the layout has no such point.
        """
        if name not in self._rows:
            raise KeyError(f"layout {self.name!r} has no keypoint {name!r}")
        return self._rows[name]

    def rows(self, names: Sequence[str]) -> tuple[int, ...]:
        """Rows of several points, in the order asked for."""
        return tuple(self.row(name) for name in names)


def _left_right_pairs(group: str, points: tuple[str, ...]) -> list[tuple[str, str]]:
    return [
        (f"{group}/{point}", f"{group}/{point.replace('left', 'right')}") for point in points if "left" in point
    ]


MEDIAPIPE_HOLISTIC = KeypointLayout(
    name="mediapipe_holistic",
    groups=(
        ("pose", POSE_POINTS),
        ("face", tuple(str(index) for index in range(NUM_FACE_POINTS))),
        ("left_hand", HAND_POINTS),
        ("right_hand", HAND_POINTS),
    ),
    mirror_pairs=(
        *_left_right_pairs("pose", POSE_POINTS),
        *((f"face/{a}", f"face/{b}") for a, b in FACE_MIRROR),
        *((f"left_hand/{point}", f"right_hand/{point}") for point in HAND_POINTS),
    ),
)
"""543 points as MediaPipe Holistic orders its results: pose 33, face 468, left hand 21, right hand 21."""

LAYOUTS = {layout.name: layout for layout in (MEDIAPIPE_HOLISTIC,)}
