import cv2
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig
from sign_keras.data.draws import PictureDraw, draw
from sign_keras.data.keypoint_transforms import augment_keypoints
from sign_keras.data.transforms import augment_frames
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

SEED = tf.constant([3, 5], tf.int64)
NO_CHANGE = AugmentConfig(temporal_jitter=0)
GEOMETRY = AugmentConfig(zoom=0.3, aspect=0.4, rotation=20, mirror=0.5)
COLOUR = AugmentConfig(brightness=0.2, contrast=0.3, saturation=0.3, hue=0.1)
EVERYTHING = AugmentConfig(
    **GEOMETRY.model_dump(exclude_defaults=True), **COLOUR.model_dump(exclude_defaults=True), blur=1
)


def picture(height: int = 40, width: int = 40, num_frames: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    small = rng.uniform(0, 255, (num_frames, 8, 8, 3))
    return tf.image.resize(small, [height, width]).numpy().astype(np.uint8)


def drawn_of(config: AugmentConfig, seed: tf.Tensor = SEED) -> PictureDraw:
    return draw(config, 3, seed).picture


def mirrored() -> PictureDraw:
    return drawn_of(AugmentConfig(mirror=1))


def test_no_augmentation_changes_nothing():
    frames = picture()
    np.testing.assert_array_equal(augment_frames(frames, drawn_of(NO_CHANGE), NO_CHANGE, 40, 40), frames)


def test_mirroring_frames_twice_is_identity():
    frames = picture()
    once = augment_frames(frames, mirrored(), NO_CHANGE, 40, 40)
    np.testing.assert_array_equal(once, frames[:, :, ::-1])
    np.testing.assert_array_equal(augment_frames(once, mirrored(), NO_CHANGE, 40, 40), frames)


@pytest.mark.parametrize("seed", range(4))
def test_keypoints_follow_the_picture(seed):
    """A bright dot in the picture and a keypoint on it end at the same place."""
    size, place = 101, (0.62, 0.41)
    frames = np.zeros((1, size, size, 3), np.uint8)
    x, y = (round(share * size - 0.5) for share in place)
    frames[0, y - 2 : y + 3, x - 2 : x + 3] = 255
    config = AugmentConfig(zoom=0.2, aspect=0.3, rotation=20, mirror=0.5)
    drawn = drawn_of(config, tf.constant([seed, 1], tf.int64))
    top, left, height, width = (round(float(share) * size) for share in drawn.window)
    cut = frames[:, top : top + height, left : left + width]
    moved = augment_frames(cut, drawn, config, size, size).numpy()[0, ..., 0].astype(float)
    ys, xs = np.mgrid[:size, :size]
    seen = np.array([(xs * moved).sum(), (ys * moved).sum()]) / moved.sum() / size + 0.5 / size
    points = np.full((1, 543, 3), 0.5, np.float32)
    points[..., :2] = (np.array([x, y]) + 0.5) / size
    expected = augment_keypoints(points, MEDIAPIPE_HOLISTIC, 1.0, picture=drawn).numpy()[0, 0, :2]
    np.testing.assert_allclose(seen, expected, atol=0.012)


def test_augmentation_is_the_same_for_all_frames_of_a_clip():
    frames = np.repeat(picture(num_frames=1), 3, axis=0)
    result = augment_frames(frames, drawn_of(EVERYTHING), EVERYTHING, 32, 32).numpy()
    np.testing.assert_array_equal(result[0], result[1])
    np.testing.assert_array_equal(result[0], result[2])
    assert result.std() > 0


def test_augmentation_is_the_same_eagerly_and_in_tf_data():
    frames = picture()

    def augment(seed):
        return augment_frames(frames, drawn_of(EVERYTHING, seed), EVERYTHING, 32, 32)

    in_data = next(iter(tf.data.Dataset.from_tensors(SEED).map(augment)))
    np.testing.assert_array_equal(in_data, augment(SEED))


def test_warping_agrees_with_opencv():
    drawn = drawn_of(EVERYTHING)
    frames, size = picture(50, 44), 36
    ours = augment_frames(frames, drawn, GEOMETRY, size, size).numpy().astype(float)
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


def test_blur_agrees_with_opencv():
    config, frames = AugmentConfig(blur=2), picture()
    drawn = drawn_of(config)
    assert float(drawn.blur) > 0.3
    ours = augment_frames(frames, drawn, config, 40, 40).numpy().astype(float)
    for frame, blurred in zip(frames, ours, strict=True):
        reference = cv2.GaussianBlur(
            frame.astype(np.float32), (13, 13), float(drawn.blur), borderType=cv2.BORDER_REFLECT
        )
        np.testing.assert_allclose(blurred, reference, atol=0.51)


def test_a_blur_of_nothing_changes_nothing():
    frames = picture()
    drawn = drawn_of(NO_CHANGE)._replace(blur=tf.constant(0.0))
    np.testing.assert_array_equal(augment_frames(frames, drawn, AugmentConfig(blur=5), 40, 40), frames)


def test_a_step_that_is_off_is_no_part_of_the_graph():
    def operations(config):
        function = tf.function(lambda frames: augment_frames(frames, drawn_of(config), config, 40, 40))
        graph = function.get_concrete_function(tf.TensorSpec([3, 40, 40, 3], tf.uint8)).graph
        return {operation.type for operation in graph.get_operations()}

    assert "DepthwiseConv2dNative" not in operations(GEOMETRY)
    assert "MatMul" not in operations(GEOMETRY)
    assert {"DepthwiseConv2dNative", "MatMul"} <= operations(EVERYTHING)
