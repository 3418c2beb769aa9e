import numpy as np
import pytest

from sign_keras.pretraining.joints import seen_joints_error


def test_joints_out_of_the_picture_do_not_count():
    joints = np.array([[[0.5, 0.5], [1.5, 0.5]], [[0.25, 0.75], [0.5, -0.1]]], np.float32)
    predicted = np.array([[[0.7, 0.4], [9.0, 9.0]], [[0.25, 0.25], [9.0, 9.0]]], np.float32)
    assert seen_joints_error(joints, predicted).numpy() == pytest.approx([0.15, 0.25])


def test_frames_and_clips_are_measured_alike():
    rng = np.random.default_rng(0)
    joints, predicted = rng.random((2, 3, 4, 42, 2), dtype=np.float32)
    flat = [values.reshape(3, -1, 2) for values in (joints, predicted)]
    np.testing.assert_allclose(seen_joints_error(joints, predicted), seen_joints_error(*flat), rtol=1e-6)


def test_nothing_in_view_is_no_error():
    assert seen_joints_error(np.full((1, 42, 2), 2, np.float32), np.zeros((1, 42, 2), np.float32)).numpy() == [0]
