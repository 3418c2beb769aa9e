"""The active hand is found through what trackers do: lost hands, trembling guesses, hands taken for each other."""

import numpy as np
import pytest

from tests.sign_keras.models.features.keypoint_clips import LAYOUT, LEFT, RIGHT, clip, features, mirrored

WRISTS = [LAYOUT.row("pose/left_wrist"), LAYOUT.row("pose/right_wrist")]
CLIPS = {
    "gaps": lambda keypoints: keypoints,
    "only the active hand is ever found": lambda keypoints: lost(keypoints, LEFT),
    "no pose": lambda keypoints: lost(keypoints, slice(0, 33)),
    "no hands: height alone": lambda keypoints: lost(lost(keypoints, LEFT), RIGHT),
    "the active hand is found half as often": lambda keypoints: lost(keypoints, RIGHT, every=2),
    "hands mistaken for each other once": lambda keypoints: exchanged(keypoints, 3),
    "the pose trembles about a hand out of sight": lambda keypoints: trembling(lost(keypoints, LEFT)),
}


def lost(keypoints: np.ndarray, points: slice, every: int = 1) -> np.ndarray:
    keypoints = keypoints.copy()
    keypoints[::every, points] = np.nan
    return keypoints


def exchanged(keypoints: np.ndarray, frame: int) -> np.ndarray:
    keypoints = keypoints.copy()
    keypoints[frame, LEFT], keypoints[frame, RIGHT] = keypoints[frame, RIGHT].copy(), keypoints[frame, LEFT].copy()
    return keypoints


def trembling(keypoints: np.ndarray) -> np.ndarray:
    keypoints = keypoints.copy()
    keypoints[:, WRISTS[0], :2] += np.random.default_rng(1).normal(0, 0.2, (len(keypoints), 2))
    return keypoints


@pytest.mark.parametrize("name", CLIPS)
def test_the_active_hand_is_shown_as_the_right_one(name):
    keypoints = CLIPS[name](clip(num_frames=16, gaps=name == "gaps"))
    as_it_is, canonical = features(canonical_hand=False), features()
    expected = as_it_is(keypoints[None])
    np.testing.assert_allclose(canonical(keypoints[None]), expected, atol=1e-5)
    np.testing.assert_allclose(canonical(mirrored(keypoints)[None]), expected, atol=1e-4)
    assert np.abs(as_it_is(mirrored(keypoints)[None]) - expected).max() > 0.1  # so that it takes a mirror


def test_the_hand_that_moves_is_the_active_one_among_two_that_are_always_found():
    keypoints = clip(num_frames=16, gaps=False)
    # The left hand is now as high as the right one.
    for points in (LEFT, WRISTS[0]):
        keypoints[:, points, 1] -= 0.25
    np.testing.assert_allclose(
        features()(mirrored(keypoints)[None]), features(canonical_hand=False)(keypoints[None]), atol=1e-4
    )


def test_of_two_hands_that_keep_still_the_raised_one_is_active():
    keypoints = np.repeat(clip(gaps=False)[:1], 8, axis=0)
    keypoints += np.random.default_rng(0).normal(0, 1e-4, keypoints.shape)
    np.testing.assert_allclose(
        features()(mirrored(keypoints)[None]), features(canonical_hand=False)(keypoints[None]), atol=1e-3
    )


def test_running_decision_settles_and_does_not_flicker():
    # A sign of two hands in mirror image: neither leads but for noise.
    keypoints = clip(num_frames=30, gaps=False)
    for right, left in ((RIGHT, LEFT), (WRISTS[1], WRISTS[0])):
        keypoints[:, left] = keypoints[:, right] * [-1, 1, 1] + [1, 0, 0]
    keypoints += np.random.default_rng(0).normal(0, 0.002, keypoints.shape)
    choices = {"causal": True, "center": "none", "scale": "none", "differences": ()}
    plain, canonical = (features(canonical_hand=on, **choices)(keypoints[None]) for on in (False, True))
    np.testing.assert_allclose(canonical, plain, atol=1e-6)


def test_running_decision_follows_a_left_hander():
    keypoints = mirrored(clip(num_frames=16))
    found = features(causal=True)(keypoints[None])[:, 8:]
    expected = features(causal=True, canonical_hand=False)(mirrored(keypoints)[None])[:, 8:]
    np.testing.assert_allclose(found, expected, atol=1e-4)
