import numpy as np
import pytest

from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.synthetic.anatomy import (
    JOINT_NAMES,
    LEFT,
    MIRROR_X,
    RIGHT,
    Proportions,
    hand_joints,
    pose_skeleton,
    reach,
)
from tfrecords_tools.synthetic.hand_shapes import HAND_SHAPES, LETTERS, blend, imprecise, shape_vector
from tfrecords_tools.synthetic.performance import perform
from tfrecords_tools.synthetic.signers import make_signer
from tfrecords_tools.synthetic.signs import LEXICON

BONES = [(a, a + 1) for start in (1, 5, 9, 13, 17) for a in range(start, start + 3)]


def bone_lengths(joints):
    return np.array([np.linalg.norm(joints[b] - joints[a]) for a, b in BONES])


def test_joint_names_belong_to_the_layout_and_are_unique():
    assert len(set(JOINT_NAMES)) == len(JOINT_NAMES)
    assert set(JOINT_NAMES) <= set(MEDIAPIPE_HOLISTIC.names)


def test_hand_joints_keep_bone_lengths_in_every_shape():
    rng = np.random.default_rng(0)
    straight = bone_lengths(hand_joints(shape_vector("five")))
    for name in HAND_SHAPES:
        hand = imprecise(shape_vector(name), rng, 5.0)
        np.testing.assert_allclose(bone_lengths(hand_joints(hand)), straight, atol=1e-9)


def test_hand_unit_is_wrist_to_middle_mcp():
    joints = hand_joints(shape_vector("flat"))
    assert np.linalg.norm(joints[9]) == pytest.approx(1.0, abs=0.03)


def test_blend_ends_at_both_shapes():
    first, second = shape_vector("fist"), shape_vector("five")
    np.testing.assert_array_equal(blend(first, second, 0.0), first)
    np.testing.assert_array_equal(blend(first, second, 1.0), second)


def test_hand_shapes_are_many_and_distinct():
    assert len(HAND_SHAPES) >= 16
    joints = [hand_joints(shape.vector) for shape in HAND_SHAPES.values()]
    for i, first in enumerate(joints):
        for second in joints[:i]:
            assert np.linalg.norm(first - second, axis=1).max() > 0.2
    assert set(LETTERS.values()) <= set(HAND_SHAPES)


def test_shape_vector_names_the_unknown_shape():
    with pytest.raises(KeyError, match="paw"):
        shape_vector("paw")


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_reach_gets_to_targets_within_arm_length(side):
    rng = np.random.default_rng(1)
    proportions = Proportions()
    for _ in range(200):
        shoulder = rng.normal(0.0, 1.0, 3)
        direction = rng.normal(size=3)
        target = shoulder + direction / np.linalg.norm(direction) * rng.uniform(0.5, 5.6)
        elbow, wrist = reach(shoulder, target, side, proportions)
        np.testing.assert_allclose(wrist, target, atol=1e-9)
        assert np.linalg.norm(elbow - shoulder) == pytest.approx(proportions.upper_arm)
        assert np.linalg.norm(wrist - elbow) == pytest.approx(proportions.forearm)


@pytest.mark.parametrize("distance", [0.0, 1e-9, 0.1, 20.0])
def test_reach_keeps_bones_when_the_target_is_out_of_range(distance):
    proportions = Proportions()
    elbow, wrist = reach(np.zeros(3), np.array([distance, 0.0, 0.0]), LEFT, proportions)
    assert np.linalg.norm(elbow) == pytest.approx(proportions.upper_arm)
    assert np.linalg.norm(wrist - elbow) == pytest.approx(proportions.forearm)


def test_mirrored_pose_mirrors_every_joint():
    signer = make_signer(0, 1)
    swapped = [
        JOINT_NAMES.index(MEDIAPIPE_HOLISTIC.names[MEDIAPIPE_HOLISTIC.mirror_permutation[row]])
        for row in MEDIAPIPE_HOLISTIC.rows(JOINT_NAMES)
    ]
    for pose in perform([LEXICON["same"]], signer, np.random.default_rng(0)).poses[::5]:
        joints = pose_skeleton(pose, signer.proportions).joints()
        mirrored = pose_skeleton(pose.mirrored(), signer.proportions).joints()
        np.testing.assert_allclose(mirrored[swapped], joints * MIRROR_X, atol=1e-9)
