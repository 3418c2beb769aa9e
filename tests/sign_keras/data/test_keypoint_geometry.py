import cv2
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig, KeypointAugmentConfig
from sign_keras.data.draws import PictureDraw, draw
from sign_keras.data.keypoint_draws import KeypointDraw
from sign_keras.data.keypoint_geometry import affine, mirror, move, with_the_picture
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

SEED = tf.constant([3, 5], tf.int64)
GEOMETRY = AugmentConfig(zoom=0.3, aspect=0.4, rotation=20, mirror=0.5)
ASPECT = 1.6


@pytest.fixture
def points() -> np.ndarray:
    points = np.random.default_rng(1).uniform(0, 1, (3, 543, 3)).astype(np.float32)
    points[0, MEDIAPIPE_HOLISTIC.group_slices["left_hand"]] = np.nan
    return points


def own_draw(**changes) -> KeypointDraw:
    """A draw that moves nothing, but for ``changes``."""
    still = draw(AugmentConfig(), 3, SEED, KeypointAugmentConfig()).keypoints
    values = {name: tf.constant(value, tf.float32) for name, value in changes.items()}
    return still._replace(**values)


def moved_by(points, aspect=ASPECT, **changes) -> np.ndarray:
    return move(points, affine(own_draw(**changes), aspect)).numpy()


def test_mirroring_twice_is_identity_and_swaps_hands(points):
    drawn = draw(AugmentConfig(mirror=1), 3, SEED).picture

    def mirrored(points):
        return mirror(move(points, with_the_picture(drawn, 1.0)), drawn.mirrored, MEDIAPIPE_HOLISTIC).numpy()

    once = mirrored(points)
    left, right = (MEDIAPIPE_HOLISTIC.row(f"{side}_hand/index_tip") for side in ("left", "right"))
    np.testing.assert_allclose(once[1, left, 0], 1 - points[1, right, 0], atol=1e-6)
    assert np.isnan(once[0, 522:]).all()
    assert not np.isnan(once[0, 501:522]).any()
    np.testing.assert_allclose(mirrored(once), points, atol=1e-6)


def test_one_draw_serves_all_frames_or_each_has_its_own(points):
    drawn = draw(GEOMETRY.model_copy(update={"consistent": False}), 3, SEED).picture
    assert drawn.angle.shape == drawn.mirrored.shape == [3]
    together = mirror(move(points, with_the_picture(drawn, ASPECT)), drawn.mirrored, MEDIAPIPE_HOLISTIC).numpy()
    for frame in range(3):
        own = PictureDraw(*(field[frame] for field in drawn))
        alone = move(points[frame : frame + 1], with_the_picture(own, ASPECT))
        alone = mirror(alone, own.mirrored, MEDIAPIPE_HOLISTIC).numpy()
        np.testing.assert_allclose(together[frame], alone[0], atol=1e-6)


def test_one_move_after_another_is_both(points):
    picture = with_the_picture(draw(GEOMETRY, 3, SEED).picture, ASPECT)
    own = affine(own_draw(scale=1.2, shear=[0.1, 0], shift=[0.05, -0.1], angle=0.3), ASPECT)
    both = move(points, picture.then(own)).numpy()
    np.testing.assert_allclose(both, move(move(points, picture), own).numpy(), atol=1e-5)
    per_frame = with_the_picture(draw(GEOMETRY.model_copy(update={"consistent": False}), 3, SEED).picture, ASPECT)
    both = move(points, per_frame.then(own)).numpy()
    np.testing.assert_allclose(both, move(move(points, per_frame), own).numpy(), atol=1e-5)


def test_a_draw_of_nothing_moves_nothing(points):
    np.testing.assert_allclose(moved_by(points), points, atol=1e-6)


@pytest.mark.parametrize("aspect", [0.75, 1.0, 1.6])
def test_turning_and_resizing_agree_with_opencv(points, aspect):
    """``cv2.getRotationMatrix2D`` on pixels: counter-clockwise, about the middle."""
    height, width = 100, 100 * aspect
    found = moved_by(points, aspect, scale=1.3, angle=np.deg2rad(25))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 25, 1.3)
    pixels = points[1, :, :2] * [width, height]
    expected = (pixels @ matrix[:, :2].T + matrix[:, 2]) / [width, height]
    np.testing.assert_allclose(found[1, :, :2], expected, atol=1e-4)
    np.testing.assert_allclose(found[1, :, 2], 1.3 * points[1, :, 2], rtol=1e-5)


def test_shear_and_shift_by_hand():
    """In a picture twice as wide as high: a tenth of its height below the middle is 0.05 of its width."""
    below = np.array([[[0.5, 0.6, 0.2]]], np.float32)
    np.testing.assert_allclose(moved_by(below, 2.0, shear=[0.5, 0])[0, 0], [0.525, 0.6, 0.2], atol=1e-6)
    beside = np.array([[[0.6, 0.5, 0.2]]], np.float32)
    np.testing.assert_allclose(moved_by(beside, 2.0, shear=[0, 0.5])[0, 0], [0.6, 0.6, 0.2], atol=1e-6)
    np.testing.assert_allclose(moved_by(beside, 2.0, shift=[0.1, -0.2])[0, 0], [0.7, 0.3, 0.2], atol=1e-6)


def test_missing_points_stay_missing_and_no_others_become_so(points):
    found = moved_by(points, scale=1.2, shear=[0.1, 0], shift=[0.05, -0.1], angle=0.3)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(points))
