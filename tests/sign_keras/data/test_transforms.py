import cv2
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig
from sign_keras.data.transforms import augment_frames, augment_keypoints, draw
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

SEED = tf.constant([3, 5], tf.int64)
NO_CHANGE = AugmentConfig(temporal_jitter=0)
EVERYTHING = AugmentConfig(zoom=0.3, rotation=20, mirror=0.5, brightness=0.2, contrast=0.3, saturation=0.3)


def picture(height: int = 40, width: int = 40, num_frames: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    small = rng.uniform(0, 255, (num_frames, 8, 8, 3))
    return tf.image.resize(small, [height, width]).numpy().astype(np.uint8)


def mirrored(config: AugmentConfig = NO_CHANGE):
    return draw(config.model_copy(update={"mirror": 1.0}), 3, SEED)


def test_no_augmentation_changes_nothing():
    frames = picture()
    np.testing.assert_array_equal(augment_frames(frames, draw(NO_CHANGE, 3, SEED), NO_CHANGE, 40, 40), frames)


def test_mirroring_frames_twice_is_identity():
    frames = picture()
    once = augment_frames(frames, mirrored(), NO_CHANGE, 40, 40)
    np.testing.assert_array_equal(once, frames[:, :, ::-1])
    np.testing.assert_array_equal(augment_frames(once, mirrored(), NO_CHANGE, 40, 40), frames)


def test_mirroring_keypoints_twice_is_identity_and_swaps_hands():
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 1, (3, 543, 3)).astype(np.float32)
    points[0, 501:522] = np.nan
    once = augment_keypoints(points, mirrored(), MEDIAPIPE_HOLISTIC, 1.0).numpy()
    left, right = (MEDIAPIPE_HOLISTIC.row(f"{side}_hand/index_tip") for side in ("left", "right"))
    np.testing.assert_allclose(once[1, left, 0], 1 - points[1, right, 0], atol=1e-6)
    assert np.isnan(once[0, 522:]).all()
    assert not np.isnan(once[0, 501:522]).any()
    twice = augment_keypoints(once, mirrored(), MEDIAPIPE_HOLISTIC, 1.0).numpy()
    np.testing.assert_allclose(twice, points, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_keypoints_follow_the_picture(seed):
    """A bright dot in the picture and a keypoint on it end at the same place."""
    size, place = 101, (0.62, 0.41)
    frames = np.zeros((1, size, size, 3), np.uint8)
    x, y = (round(share * size - 0.5) for share in place)
    frames[0, y - 2 : y + 3, x - 2 : x + 3] = 255
    config = AugmentConfig(zoom=0.2, rotation=20, mirror=0.5)
    drawn = draw(config, 1, tf.constant([seed, 1], tf.int64))
    top, left, height, width = (round(float(share) * size) for share in drawn.window)
    cut = frames[:, top : top + height, left : left + width]
    moved = augment_frames(cut, drawn, config, size, size).numpy()[0, ..., 0].astype(float)
    ys, xs = np.mgrid[:size, :size]
    seen = np.array([(xs * moved).sum(), (ys * moved).sum()]) / moved.sum() / size + 0.5 / size
    points = np.full((1, 543, 3), 0.5, np.float32)
    points[..., :2] = (np.array([x, y]) + 0.5) / size
    expected = augment_keypoints(points, drawn, MEDIAPIPE_HOLISTIC, 1.0).numpy()[0, 0, :2]
    np.testing.assert_allclose(seen, expected, atol=0.012)


def test_augmentation_is_the_same_for_all_frames_of_a_clip():
    frames = np.repeat(picture(num_frames=1), 3, axis=0)
    result = augment_frames(frames, draw(EVERYTHING, 3, SEED), EVERYTHING, 32, 32).numpy()
    np.testing.assert_array_equal(result[0], result[1])
    np.testing.assert_array_equal(result[0], result[2])
    assert result.std() > 0


def test_augmentation_is_the_same_eagerly_and_in_tf_data():
    frames = picture()

    def augment(seed):
        return augment_frames(frames, draw(EVERYTHING, 3, seed), EVERYTHING, 32, 32)

    in_data = next(iter(tf.data.Dataset.from_tensors(SEED).map(augment)))
    np.testing.assert_array_equal(in_data, augment(SEED))


def test_warping_agrees_with_opencv():
    drawn = draw(EVERYTHING, 3, SEED)
    geometry = EVERYTHING.model_copy(update={"brightness": 0, "contrast": 0, "saturation": 0})
    frames, size = picture(50, 44), 36
    ours = augment_frames(frames, drawn, geometry, size, size).numpy().astype(float)
    # Output pixel to source pixel, both counted from the middle of the picture.
    flip, angle = (-1 if drawn.mirrored else 1), float(drawn.angle)
    scale = np.diag([44 / size * flip, 50 / size])
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ scale
    shift = np.array([43 / 2, 49 / 2]) - linear @ np.full(2, (size - 1) / 2)
    for frame, warped in zip(frames, ours, strict=True):
        reference = cv2.warpAffine(
            frame,
            np.column_stack([linear, shift]),
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        # OpenCV rounds places to 1/32 of a pixel.
        np.testing.assert_allclose(warped, reference, atol=6)
        assert abs((warped - reference).mean()) < 0.1


def test_recolouring_agrees_with_its_definition():
    colour = EVERYTHING.model_copy(update={"zoom": 0, "rotation": 0, "mirror": 0})
    drawn, frames = draw(colour, 3, SEED), picture()
    grey = (frames @ np.array([0.299, 0.587, 0.114]))[..., np.newaxis]
    expected = grey + (frames - grey) * float(drawn.saturation)
    expected = expected.mean() + (expected - expected.mean()) * float(drawn.contrast)
    expected = np.clip(np.round(expected + float(drawn.brightness) * 255), 0, 255)
    np.testing.assert_allclose(augment_frames(frames, drawn, colour, 40, 40), expected, atol=1)


def test_draws_differ_by_seed_and_stay_in_range():
    draws = [draw(EVERYTHING, 4, tf.constant([0, index], tf.int64)) for index in range(50)]
    windows = np.stack([item.window for item in draws])
    assert (windows[:, 2] >= 0.7).all()
    assert (windows[:, :2] + windows[:, 2:] <= 1 + 1e-6).all()
    assert len(np.unique(windows[:, 0])) > 40
    assert 5 < sum(bool(item.mirrored) for item in draws) < 45
    offsets = np.stack([item.offsets for item in draws])
    assert offsets.min() >= 0
    assert offsets.max() < 1
