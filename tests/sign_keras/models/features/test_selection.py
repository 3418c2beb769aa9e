"""Presets are the points that their sources name, in whatever layout."""

import importlib.util
import re
import runpy
from pathlib import Path

import pytest

from sign_keras.models.features.selection import (
    LEFT_EYE,
    LIPS,
    OPENPOSE,
    PRESETS,
    RIGHT_EYE,
    find_rows,
    select_rows,
)
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import HAND_POINTS, MEDIAPIPE_HOLISTIC, KeypointLayout

SIZES = {"hands": 42, "upper_body": 11, "hands_pose": 53, "lips": 40, "hands_pose_lips": 93, "islr": 118}
# As OpenPose's BODY_25 and hand models order them: no layout of this project's, but what people's records have.
OPENPOSE_LAYOUT = KeypointLayout.from_names(
    "openpose",
    [name for group in ("pose", "hand_left", "hand_right") for name in OPENPOSE.values() if name.startswith(group)],
    [],
)


def test_outlines_are_mediapipe_s():
    # The file alone: the package would bring in all of MediaPipe.
    package = Path(importlib.util.find_spec("mediapipe").origin).parent
    published = runpy.run_path(str(package / "python/solutions/face_mesh_connections.py"))
    for ours, name in ((LIPS, "LIPS"), (LEFT_EYE, "LEFT_EYE"), (RIGHT_EYE, "RIGHT_EYE")):
        assert ours == tuple(sorted({point for edge in published[f"FACEMESH_{name}"] for point in edge}))


def test_presets_have_the_sizes_that_their_sources_state():
    assert {name: len(select_rows(MEDIAPIPE_HOLISTIC, [name])) for name in PRESETS} == SIZES


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_as_large_on_both_sides(preset):
    rows = set(select_rows(MEDIAPIPE_HOLISTIC, [preset]))
    assert {MEDIAPIPE_HOLISTIC.mirror_permutation[row] for row in rows} == rows


def test_names_add_up_and_each_point_is_taken_once_in_the_layout_s_order():
    rows = select_rows(MEDIAPIPE_HOLISTIC, ["right_hand", "face/17", "pose/nose", "hands", "pose/nose"])
    left, right = (MEDIAPIPE_HOLISTIC.group_slices[group].start for group in ("left_hand", "right_hand"))
    assert rows == (0, 33 + 17, *range(left, left + 21), *range(right, right + 21))


def test_openpose_s_names_are_understood():
    rows = select_rows(OPENPOSE_LAYOUT, ["hands_pose"])
    assert len(rows) == SIZES["hands_pose"]
    wrist, tip = find_rows(OPENPOSE_LAYOUT, ["right_hand/wrist", "right_hand/pinky_tip"])
    assert OPENPOSE_LAYOUT.names[wrist] == "hand_right_keypoints_2d/BASE"
    assert OPENPOSE_LAYOUT.names[tip] == "hand_right_keypoints_2d/P_DIP"
    assert find_rows(OPENPOSE_LAYOUT, ["pose/nose", "pose/mouth_left"]) is None


def test_openpose_s_names_are_those_of_pose_format():
    openpose = pytest.importorskip("pose_format.utils.openpose")
    published = {f"{part.name}/{point}" for part in openpose.OpenPose_Components for point in part.points}
    assert set(OPENPOSE.values()) <= published
    hand = next(part.points for part in openpose.OpenPose_Components if part.name == "hand_left_keypoints_2d")
    assert [OPENPOSE[f"left_hand/{point}"].partition("/")[2] for point in HAND_POINTS] == list(hand)


@pytest.mark.parametrize(
    ("layout", "name", "message"),
    [
        (MEDIAPIPE_HOLISTIC, "hand_pose", "asks for 'hand_pose'.*did you mean 'hands_pose'"),
        (MEDIAPIPE_HOLISTIC, "pose/left_ellbow", "did you mean 'pose/left_elbow'"),
        (MEDIAPIPE_HOLISTIC, "9", "name one of hands, upper_body"),
        (OPENPOSE_LAYOUT, "hands_pose_lips", "preset 'hands_pose_lips' needs 'face/0'.*layout 'openpose'"),
    ],
)
def test_what_a_layout_has_not_is_named(layout, name, message):
    with pytest.raises(UserError, match=message) as caught:
        select_rows(layout, [name])
    assert not re.search("\n", str(caught.value))
