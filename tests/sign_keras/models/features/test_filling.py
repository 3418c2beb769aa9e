"""Points not found: every case against a loop that does what the words say."""

import numpy as np
import pytest
from keras import ops

from sign_keras.models.features.filling import hold, interpolate, running_maximum


def tracks(known: np.ndarray, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(*known.shape, 2))
    return np.concatenate([values, np.ones((*known.shape, 1))], axis=-1).astype(np.float32) * known[..., None]


@pytest.mark.parametrize("num_frames", [1, 2, 3, 8, 13])
def test_random_gaps_are_filled_as_a_loop_would(num_frames):
    rng = np.random.default_rng(num_frames)
    found = tracks(rng.random((3, num_frames, 5)) < 0.4)
    past = tracks(np.array([True, False, True, False, True])[None, None].repeat(3, axis=0), seed=1)
    held, between = np.array(hold(found, past)), np.array(interpolate(ops.convert_to_tensor(found)))
    for clip, point in np.ndindex(3, 5):
        one = found[clip, :, point]
        seen = [t for t in range(num_frames) if one[t, 2]]
        for t in range(num_frames):
            before, after = [s for s in seen if s <= t], [s for s in seen if s >= t]
            expected = one[before[-1]] if before else past[clip, 0, point]
            np.testing.assert_array_equal(held[clip, t, point], expected)
            if before and after:
                a, b = before[-1], after[0]
                expected = one[a] + (one[b] - one[a]) * ((t - a) / max(b - a, 1))
            elif seen:
                expected = one[before[-1]] if before else one[after[0]]
            else:
                expected = np.zeros(3)
            np.testing.assert_allclose(between[clip, t, point], expected, atol=1e-6)


def test_interpolation_by_hand():
    # Found at frames 1 (at 10) and 4 (at 40) of six.
    found = np.zeros((1, 6, 1, 2), np.float32)
    found[0, 1, 0], found[0, 4, 0] = (10, 1), (40, 1)
    np.testing.assert_allclose(interpolate(found)[0, :, 0, 0], [10, 10, 20, 30, 40, 40], rtol=1e-6)
    np.testing.assert_array_equal(
        hold(found, np.zeros((1, 1, 1, 2), np.float32))[0, :, 0, 0], [0, 10, 10, 10, 40, 40]
    )


def test_running_maximum_is_numpy_s():
    values = np.random.default_rng(0).integers(0, 50, (2, 37, 3)).astype(np.int32)
    np.testing.assert_array_equal(running_maximum(values), np.maximum.accumulate(values, axis=1))
