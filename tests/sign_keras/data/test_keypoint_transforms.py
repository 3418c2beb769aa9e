import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig, KeypointAugmentConfig
from sign_keras.data.draws import draw
from sign_keras.data.keypoint_draws import STEPS
from sign_keras.data.keypoint_transforms import (
    NUM_KNOTS,
    add_noise,
    augment_keypoints,
    between_frames,
    check_keypoint_augmentation,
)
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout

NUM_FRAMES = 24
SEED = tf.constant([3, 8], tf.int64)
HANDS = ("left_hand", "right_hand")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@pytest.fixture
def points() -> np.ndarray:
    points = np.random.default_rng(1).uniform(0, 1, (NUM_FRAMES, 543, 3)).astype(np.float32)
    points[5, MEDIAPIPE_HOLISTIC.group_slices["right_hand"]] = np.nan
    return points


def configured(**steps) -> KeypointAugmentConfig:
    """These steps always happen."""
    return KeypointAugmentConfig.model_validate({name: {"probability": 1, **more} for name, more in steps.items()})


EVERYTHING = configured(**{name: {} for name in STEPS})


def drawn_from(config, seed=SEED, **changes):
    return draw(AugmentConfig(), NUM_FRAMES, seed, config).keypoints._replace(**changes)


def changed(points, config, aspect=1.0, **changes) -> np.ndarray:
    drawn = drawn_from(config, **changes)
    points = tf.constant(points, tf.float32)
    return augment_keypoints(points, MEDIAPIPE_HOLISTIC, aspect, own=drawn, config=config).numpy()


def lost(points, config, aspect=1.0, **changes) -> np.ndarray:
    """``[T, K]`` bool: points lost, besides those missing before; all others are as they were."""
    after = changed(points, config, aspect, **changes)
    missing = np.isnan(after)
    assert (missing.any(axis=2) == missing.all(axis=2)).all()
    np.testing.assert_array_equal(after[~missing], points[~missing])
    return missing[..., 0] & ~np.isnan(points[..., 0])


def rows_of(*prefixes: str) -> np.ndarray:
    return np.array([name.startswith(prefixes) for name in MEDIAPIPE_HOLISTIC.names])


def test_a_configuration_of_nothing_changes_nothing(points):
    np.testing.assert_array_equal(changed(points, KeypointAugmentConfig()), points)


def test_a_step_that_was_not_drawn_changes_nothing(points):
    rare = KeypointAugmentConfig.model_validate({name: {"probability": 1e-6} for name in STEPS})
    np.testing.assert_allclose(changed(points, rare), points, atol=1e-6)


def test_a_step_that_is_off_is_no_part_of_the_graph():
    def operations(config):
        def augment(points):
            return augment_keypoints(points, MEDIAPIPE_HOLISTIC, 1.0, own=drawn_from(config), config=config)

        graph = tf.function(augment).get_concrete_function(tf.TensorSpec([NUM_FRAMES, 543, 3])).graph
        used = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), [graph.outputs[0].op.name])
        return {node.op for node in used.node}

    assert operations(KeypointAugmentConfig()) <= {"Placeholder", "Identity"}
    assert "Slice" not in operations(configured(affine={}))
    assert "Abs" not in operations(configured(hand_dropout={}))
    assert {"Slice", "Abs", "MatMul", "SelectV2"} <= operations(EVERYTHING)


def test_the_same_draw_gives_the_same_clip_eagerly_and_in_tf_data(points):
    def augment(seed):
        own = drawn_from(EVERYTHING, seed)
        return augment_keypoints(tf.constant(points), MEDIAPIPE_HOLISTIC, 1.5, own=own, config=EVERYTHING)

    seeds = [tf.constant([3, number], tf.int64) for number in range(3)]
    in_data = list(tf.data.Dataset.from_tensor_slices(seeds).map(augment).as_numpy_iterator())
    for seed, clip in zip(seeds, in_data, strict=True):
        np.testing.assert_allclose(clip, augment(seed), atol=1e-6)
    assert not np.array_equal(in_data[0], in_data[1], equal_nan=True)


def test_a_temporal_mask_takes_all_points_of_one_span(points):
    config = configured(temporal_mask={"length": (0.25, 0.25)})
    gone = lost(points, config)
    start = int(drawn_from(config).spans[0, 0])
    expected = np.zeros(NUM_FRAMES, bool)
    expected[start : start + 6] = True
    np.testing.assert_array_equal(gone.any(axis=1), expected)
    assert gone[expected].sum() == 6 * 543 - 21 * expected[5]


def test_frame_dropout_takes_all_points_of_its_frames(points):
    gone = lost(points, configured(frame_dropout={"rate": 0.3}))
    frames = gone.any(axis=1)
    assert 2 <= frames.sum() <= 14
    np.testing.assert_array_equal(gone | np.isnan(points[..., 0]), frames[:, np.newaxis] | np.isnan(points[..., 0]))


@pytest.mark.parametrize("hand", [0, 1])
def test_hand_dropout_takes_one_whole_hand_for_a_span(points, hand):
    config = configured(hand_dropout={"length": (0.5, 0.5)})
    gone = lost(points, config, hands=tf.constant([hand == 0, hand == 1]))
    rows = MEDIAPIPE_HOLISTIC.group_slices[HANDS[hand]]
    assert not np.delete(gone, np.r_[rows], axis=1).any()
    start, end = (int(edge) for edge in drawn_from(config).spans[:, 2])
    missing = np.isnan(changed(points, config, hands=tf.constant([hand == 0, hand == 1])))[:, rows]
    assert missing[start:end].all()
    assert end - start == 12


def test_finger_dropout_takes_whole_fingers_and_leaves_the_wrist(points):
    config = configured(finger_dropout={"rate": 0.5, "length": (1, 1)})
    chosen = np.zeros(10, bool)
    chosen[[1, 9]] = True  # left index, right little finger
    gone = lost(points, config, fingers=tf.constant(chosen))
    expected = rows_of("left_hand/index_", "right_hand/pinky_")
    assert expected.sum() == 8
    np.testing.assert_array_equal(gone.any(axis=0), expected)
    assert gone[0, expected].all()


def test_every_finger_has_its_points(points):
    config = configured(finger_dropout={"length": (1, 1)})
    for number in range(10):
        gone = lost(points, config, fingers=tf.range(10) == number)
        np.testing.assert_array_equal(gone[0], rows_of(f"{HANDS[number // 5]}/{FINGERS[number % 5]}_"))


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.6])
def test_a_spatial_mask_takes_what_lies_in_a_square_of_pixels(points, aspect):
    square = tf.constant([0.4, 0.25, 1.0])
    gone = lost(points, configured(spatial_mask={}), aspect, square=square)
    height, width = 1000, 1000 * aspect
    side = 0.4 * min(height, width)
    left, top = 0.25 * (width - side), height - side
    x, y = points[..., 0] * width, points[..., 1] * height
    inside = (x > left) & (x < left + side) & (y > top)
    np.testing.assert_array_equal(gone, inside)
    assert gone.any()
    # Depth says nothing about the place in the picture.
    deep = points * np.array([1, 1, 1e6], np.float32)
    np.testing.assert_array_equal(gone, lost(deep, configured(spatial_mask={}), aspect, square=square))


def test_noise_has_its_deviation_in_pixels(points):
    """A picture twice as wide as high: as many pixels are twice the share of its height."""
    drawn = drawn_from(configured(noise={}), deviation=tf.constant(0.01), drift=tf.constant(0.0))
    noise = add_noise(tf.constant(points), drawn, 2.0).numpy() - points
    found = noise[~np.isnan(noise[..., 0])]
    np.testing.assert_allclose(found.std(axis=0), [0.01, 0.02, 0.01], rtol=0.03)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=5e-4)
    flat = (found / [0.01, 0.02, 0.01]).ravel()
    assert abs((np.abs(flat) < 1).mean() - 0.6827) < 0.01  # Gaussian
    assert abs(np.corrcoef(flat[:-1], flat[1:])[0, 1]) < 0.02
    np.testing.assert_array_equal(np.isnan(noise), np.isnan(points))


def test_noise_of_a_clip_shorter_than_its_drift():
    drawn = drawn_from(configured(noise={}), deviation=tf.constant(0.01), drift=tf.constant(0.01))
    drawn = drawn._replace(noise_place=tf.constant(1 - 2**-24), drift_place=tf.constant(1 - 2**-24))
    assert np.ptp(add_noise(tf.zeros([1, 543, 3]), drawn, 1.0)) > 0.01


def test_drift_is_slow_and_as_wide_everywhere():
    still = tf.zeros([NUM_FRAMES, 543, 3])
    drawn = drawn_from(configured(noise={}), deviation=tf.constant(0.0), drift=tf.constant(0.01))
    drift = add_noise(still, drawn, 1.0).numpy()
    deviations = drift.std(axis=(1, 2))
    np.testing.assert_allclose(deviations, 0.01, rtol=0.06)
    steps = np.diff(drift, axis=0).std(axis=(1, 2))
    # A half cosine from knot to knot turns by at most pi / 2 in (T - 1) / (knots - 1) frames.
    assert steps.max() < 1.1 * 0.01 * np.pi / 2 * (NUM_KNOTS - 1) / (NUM_FRAMES - 1)


def test_clips_have_different_noise(points):
    config = configured(noise={})
    noise = [
        add_noise(tf.zeros([NUM_FRAMES, 9, 3]), drawn_from(config, tf.constant([1, seed], tf.int64)), 1.0)
        for seed in range(2)
    ]
    assert abs(np.corrcoef(noise[0].numpy().ravel(), noise[1].numpy().ravel())[0, 1]) < 0.2


def test_steps_go_in_order(points):
    """What is lost is lost by where it was moved to."""
    config = configured(affine={}, spatial_mask={})
    square = tf.constant([0.5, 0.0, 0.0])
    moved = changed(points, configured(affine={}), scale=tf.constant(1.0), shift=tf.constant([0.2, 0.0]))
    both = changed(points, config, scale=tf.constant(1.0), shift=tf.constant([0.2, 0.0]), square=square)
    inside = (np.abs(moved[..., :2] - 0.25) < 0.25).all(axis=-1)
    np.testing.assert_array_equal(np.isnan(both[..., 0]), inside | np.isnan(moved[..., 0]))


def test_between_frames_lies_on_the_line_between_their_middles():
    track = np.arange(4, dtype=np.float32)[:, np.newaxis, np.newaxis] * [[[1, 10, 100]]] + np.zeros((1, 2, 1))
    indices = tf.constant([0, 1, 1, 1, 2, 3])
    shares = tf.constant([0.25, 0.0, 0.5, 0.75, 0.9, 1.0])
    taken = between_frames(tf.constant(track, tf.float32), indices, shares).numpy()
    # Held before the first frame's middle and after the last one's.
    np.testing.assert_allclose(taken[:, 0, 0], [0, 0.5, 1, 1.25, 2.4, 3], atol=1e-6)
    np.testing.assert_allclose(taken[:, 1, 2], [0, 50, 100, 125, 240, 300], atol=1e-4)


def test_between_frames_neither_loses_nor_finds_points():
    track = np.arange(3, dtype=np.float32)[:, np.newaxis, np.newaxis] * np.ones((1, 2, 3), np.float32)
    track[1, 0] = np.nan
    indices, shares = tf.constant([0, 1, 2]), tf.constant([0.9, 0.9, 0.1])
    taken = between_frames(tf.constant(track), indices, shares).numpy()
    np.testing.assert_allclose(taken[:, 0, 0], [0, np.nan, 2])
    np.testing.assert_allclose(taken[:, 1, 0], [0.4, 1.4, 1.6], atol=1e-6)


NO_HANDS = KeypointLayout("body", (("pose", ("nose",)),), ())
NO_FINGERS = KeypointLayout("wrists", (("left_hand", ("wrist",)), ("right_hand", ("wrist",))), ())


@pytest.mark.parametrize(
    ("config", "names", "layout", "message"),
    [
        (configured(noise={}), ("frames",), MEDIAPIPE_HOLISTIC, "the model takes no keypoints"),
        (KeypointAugmentConfig(interpolate=True), ("frames",), None, "the model takes no keypoints"),
        (configured(affine={}), ("frames", "keypoints"), MEDIAPIPE_HOLISTIC, "affine: moves keypoints alone"),
        (configured(finger_dropout={}), ("keypoints",), NO_HANDS, r"finger_dropout: .*\(body: pose\)"),
        (configured(finger_dropout={}), ("keypoints",), NO_FINGERS, "have no point such as left_hand/index_tip"),
        (configured(hand_dropout={}), ("keypoints",), NO_HANDS, "have no point such as left_hand/wrist"),
    ],
)
def test_what_cannot_be_done_is_told(config, names, layout, message):
    with pytest.raises(UserError, match=rf"^data\.augment_keypoints.*{message}"):
        check_keypoint_augmentation(config, names, layout)


def test_what_can_be_done_is_let_pass():
    check_keypoint_augmentation(KeypointAugmentConfig(), ("frames",), None)
    check_keypoint_augmentation(configured(hand_dropout={}), ("keypoints",), NO_FINGERS)
    check_keypoint_augmentation(configured(finger_dropout={}, affine={}), ("keypoints",), MEDIAPIPE_HOLISTIC)
    check_keypoint_augmentation(configured(temporal_mask={}, noise={}), ("frames", "keypoints"), NO_HANDS)
