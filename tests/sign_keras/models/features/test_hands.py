"""Hands on their own: places in sizes of the hand, and angles, of hands made by ruler."""

import numpy as np
import pytest

from sign_keras.models.features.hands import PALM, from_wrist, joint_cosines, one_over_size, palm_sums

# Bones of length 1: each finger goes straight up from its first joint.
STRAIGHT = np.zeros((21, 3), np.float32)
for finger in range(5):
    for joint in range(4):
        STRAIGHT[1 + 4 * finger + joint] = (finger - 2, 2 + joint, 0)


def hands(points: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """``[1, 1, 1, 21, C + 1]``."""
    known = np.ones(21, np.float32) if known is None else known
    return np.concatenate([points * known[:, None], known[:, None]], axis=1)[None, None, None].astype(np.float32)


def cosines(points: np.ndarray, **options) -> np.ndarray:
    """``[5 fingers, 3 joints]``."""
    return np.array(joint_cosines(hands(points, **options), None)).reshape(5, 3)


def test_angles_of_straight_bent_and_folded_fingers():
    bent = STRAIGHT.copy()
    bent[7:9] = bent[6] + [(0, 0, 1), (0, 0, 2)]  # the index finger: a right angle at its second joint
    bent[12] = bent[10]  # the middle finger: its tip back at the joint before the last
    found = cosines(bent)
    np.testing.assert_allclose(found[1, 1:], [0, -1], atol=1e-6)
    np.testing.assert_allclose(found[2, 1:], [-1, 1], atol=1e-6)
    np.testing.assert_allclose(found[[0, 3, 4], 1:], -1, atol=1e-6)
    # At the first joint, between the wrist and the finger: the middle one is in line with the wrist.
    np.testing.assert_allclose(found[2, 0], -1, atol=1e-6)
    np.testing.assert_allclose(found[1, 0], -2 / np.sqrt(5), atol=1e-6)


def test_angles_are_the_same_from_everywhere():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(21, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    np.testing.assert_allclose(cosines(points), cosines(5 + 0.3 * points @ rotation), atol=1e-5)


def test_angles_next_to_an_unknown_point_are_zero():
    known = np.ones(21, np.float32)
    known[6] = 0  # the index finger's second joint
    found = cosines(STRAIGHT, known=known)
    np.testing.assert_array_equal(found[1], 0)
    assert np.all(found[[0, 2, 3, 4]] != 0)


def test_angles_of_points_in_one_place_are_zero():
    np.testing.assert_array_equal(cosines(np.ones((21, 3))), 0)


def test_size_is_the_mean_side_of_the_palm():
    palm = np.zeros((1, 2, 1, 3, 3), np.float32)
    palm[..., -1] = 1
    palm[:, :, 0, 1, :2], palm[:, :, 0, 2, :2] = (0.3, 0), (0, 0.4)  # sides of 0.3, 0.4 and 0.5
    palm[0, 1, 0, 1, -1] = 0  # not known in the second frame
    sums = np.array(palm_sums(palm))
    np.testing.assert_allclose(sums[0], [[0.4, 1], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(one_over_size(sums.sum(axis=1, keepdims=True)), [[[2.5]]], rtol=1e-5)


def test_a_size_that_nobody_saw_makes_zeros():
    np.testing.assert_array_equal(one_over_size(np.zeros((1, 1, 4), np.float32)), 0)
    np.testing.assert_array_equal(one_over_size(np.array([[[1e-6, 1]]], np.float32)), 0)  # a hand of no size


def test_places_are_seen_from_the_wrist():
    known = np.ones(21, np.float32)
    known[4] = 0
    found = np.array(from_wrist(hands(STRAIGHT + 7, known), 0.5))[0, 0, 0]
    expected = STRAIGHT * 0.5
    expected[4] = 0
    np.testing.assert_allclose(found, expected, atol=1e-6)
    known[0] = 0
    np.testing.assert_array_equal(from_wrist(hands(STRAIGHT, known), 0.5), 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_hand_that_points_along_any_axis_has_a_size(axis):
    flat = np.delete(STRAIGHT, axis, axis=1)[None, None, None, list(PALM)]
    palm = np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)
    assert palm_sums(palm)[0, 0, 0] > 0.3 * palm_sums(hands(STRAIGHT)[..., list(PALM), :])[0, 0, 0]
