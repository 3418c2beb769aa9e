"""Which keypoints a model looks at, by name: presets, groups and single points of any layout.

Names are MediaPipe Holistic's, as ``MEDIAPIPE_HOLISTIC`` has them. A layout with OpenPose's names is understood
wherever OpenPose has the point: ``OPENPOSE`` says which is which.

Sources: the face mesh's outlines are the points of ``FACEMESH_LIPS``, ``FACEMESH_LEFT_EYE`` and
``FACEMESH_RIGHT_EYE`` of ``mediapipe.python.solutions.face_mesh_connections`` (Apache-2.0). The preset ``islr`` is
the 118 points of the first place of Google's Isolated Sign Language Recognition (Kaggle 2023;
https://github.com/hoyso48/Google---Isolated-Sign-Language-Recognition-1st-place-solution): lips, hands, nose, eyes.
"""

import difflib
from collections.abc import Sequence

from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import HAND_POINTS, KeypointLayout

LIPS = (
    *(0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181),
    *(185, 191, 267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415),
)
LEFT_EYE = (249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466)
RIGHT_EYE = (7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246)
NOSE = (1, 2, 98, 327)  # tip, base and both wings, as the first place chose

_HANDS = ("left_hand", "right_hand")
_UPPER_BODY = (
    "pose/nose",
    *(
        f"pose/{side}_{point}"
        for point in ("eye", "ear", "shoulder", "elbow", "wrist")
        for side in ("left", "right")
    ),
)
_LIPS = tuple(f"face/{index}" for index in LIPS)
PRESETS: dict[str, tuple[str, ...]] = {
    "hands": _HANDS,
    "upper_body": _UPPER_BODY,
    "hands_pose": (*_HANDS, *_UPPER_BODY),
    "lips": _LIPS,
    "hands_pose_lips": (*_HANDS, *_UPPER_BODY, *_LIPS),
    "islr": (*_HANDS, *_LIPS, *(f"face/{index}" for index in (*NOSE, *LEFT_EYE, *RIGHT_EYE))),
}

# OpenPose's BODY_25 and hand models, named as pose-format names them (pose_format/utils/openpose.py). A hand's 21
# points have MediaPipe's order.
_OPENPOSE_HAND = (
    "BASE",
    *("T_STT", "T_BCMC", "T_MCP", "T_IP"),
    *(f"{finger}_{joint}" for finger in "IMRP" for joint in ("CMC", "MCP", "PIP", "DIP")),
)
_OPENPOSE_BODY = {
    "eye": "Eye",
    "ear": "Ear",
    "shoulder": "Shoulder",
    "elbow": "Elbow",
    "wrist": "Wrist",
    "hip": "Hip",
    "knee": "Knee",
    "ankle": "Ankle",
    "heel": "Heel",
    "foot_index": "BigToe",
}
OPENPOSE = {
    "pose/nose": "pose_keypoints_2d/Nose",
    **{
        f"pose/{side}_{point}": f"pose_keypoints_2d/{side[0].upper()}{twin}"
        for point, twin in _OPENPOSE_BODY.items()
        for side in ("left", "right")
    },
    **{
        f"{side}_hand/{point}": f"hand_{side}_keypoints_2d/{twin}"
        for point, twin in zip(HAND_POINTS, _OPENPOSE_HAND, strict=True)
        for side in ("left", "right")
    },
}


def find_rows(layout: KeypointLayout, names: Sequence[str]) -> tuple[int, ...] | None:
    """Rows of points by MediaPipe's full names; None where the layout lacks one of them."""
    known = set(layout.names)
    found = [name if name in known else OPENPOSE.get(name) for name in names]
    if not known.issuperset(found):
        return None
    return layout.rows([name for name in found if name is not None])


def hand_rows(layout: KeypointLayout, side: str) -> tuple[int, ...] | None:
    """Rows of the 21 points of the ``left`` or ``right`` hand in MediaPipe's order; None where one is lacking."""
    return find_rows(layout, [f"{side}_hand/{point}" for point in HAND_POINTS])


def select_rows(layout: KeypointLayout, names: Sequence[str]) -> tuple[int, ...]:
    """Rows of what presets, groups and points name, each once and in the layout's order.

    Args:
        layout: of the keypoints.
        names: see ``FeaturesConfig.points``.

    Raises:
        UserError: a name says nothing here, or the layout lacks one of a preset's points (the first is named).
    """
    chosen: set[int] = set()
    for name in names:
        if name in layout.group_slices:
            group = layout.group_slices[name]
            chosen.update(range(group.start, group.stop))
        elif name in PRESETS:
            chosen.update(_row(layout, point, f"the preset {name!r} needs") for point in _points_of(name))
        else:
            chosen.add(_row(layout, name, "features.points asks for"))
    return tuple(sorted(chosen))


def _points_of(preset: str) -> list[str]:
    """Full names of a preset's points."""
    return [
        full
        for name in PRESETS[preset]
        for full in ([name] if "/" in name else [f"{name}/{point}" for point in HAND_POINTS])
    ]


def _row(layout: KeypointLayout, name: str, asked: str) -> int:
    rows = find_rows(layout, [name])
    if rows is not None:
        return rows[0]
    choices = [*PRESETS, *layout.group_slices]
    near = difflib.get_close_matches(name, [*choices, *layout.names], n=1)
    raise UserError(
        f"{asked} {name!r}, which the keypoint layout {layout.name!r} has not"
        + (f"; did you mean {near[0]!r}?" if near else f"; name one of {', '.join(choices)}, or points of it")
    )
