import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig, KeypointAugmentConfig, ViewsConfig
from sign_keras.data.clip import prepare_clip
from sign_keras.data.draws import PictureDraw, draw
from sign_keras.data.parsing import parse_record
from sign_keras.data.views import make_views
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.schema import encode_record

SAMPLING = SamplingSpec(num_frames=4, height=32, width=40)
NAMES = ("frames", "keypoints", "frame_mask")
AUGMENT = AugmentConfig(
    zoom=0.3, aspect=0.3, rotation=20, mirror=0.5, blur=1, brightness=0.2, contrast=0.3, saturation=0.3, hue=0.2
)
SEED = tf.constant([4, 9], tf.int64)


@pytest.fixture
def parsed(make_extracted):
    return parse_record(encode_record(make_extracted(8), label_ids=[0]), MEDIAPIPE_HOLISTIC)


def prepare(parsed, augment=None, drawn=None, of_keypoints=None, sampling=SAMPLING):
    clip = prepare_clip(
        parsed,
        sampling,
        NAMES,
        layout=MEDIAPIPE_HOLISTIC,
        augment=augment,
        of_keypoints=of_keypoints,
        drawn=drawn,
    )
    return {name: value.numpy() for name, value in clip.items()}


def test_every_frame_gets_its_own_draw_where_consistency_is_off(parsed):
    config = AUGMENT.model_copy(update={"consistent": False})
    drawn = draw(config, 4, SEED)
    together = prepare(parsed, config, drawn)
    for frame in range(4):
        own = PictureDraw(*(field[frame] for field in drawn.picture))
        alone = prepare(parsed, AUGMENT, drawn._replace(picture=own))
        # The contrast's mean is the frame's own here and the clip's there: the frames of the fixture differ little.
        difference = together["frames"][frame].astype(int) - alone["frames"][frame]
        assert np.abs(difference).max() <= 2
        np.testing.assert_allclose(together["keypoints"][frame], alone["keypoints"][frame], atol=1e-6)


def test_a_clip_whose_pictures_stay_is_that_of_an_evaluation(parsed):
    config = AugmentConfig(temporal_jitter=0)
    plain, trained = prepare(parsed), prepare(parsed, config, draw(config, 4, SEED))
    for name in NAMES:
        np.testing.assert_array_equal(plain[name], trained[name])


def test_a_view_moves_keypoints_with_the_picture(parsed):
    _, left, _ = make_views(ViewsConfig(crops=3), 4)
    plain, view = prepare(parsed)["keypoints"], prepare(parsed, drawn=left)["keypoints"]
    np.testing.assert_allclose(view[..., 0], plain[..., 0] / 0.875, atol=1e-5)
    np.testing.assert_allclose(view[..., 1], (plain[..., 1] - 0.0625) / 0.875, atol=1e-5)
    np.testing.assert_array_equal(view[..., 2], plain[..., 2])


def test_a_mirrored_view_swaps_the_hands(parsed):
    _, mirrored = make_views(ViewsConfig(mirror=True), 4)
    plain, view = prepare(parsed), prepare(parsed, drawn=mirrored)
    left, right = (MEDIAPIPE_HOLISTIC.row(f"{side}_hand/index_tip") for side in ("left", "right"))
    np.testing.assert_array_equal(view["frames"], plain["frames"][:, :, ::-1])
    np.testing.assert_allclose(view["keypoints"][:, left, 0], 1 - plain["keypoints"][:, right, 0], atol=1e-5)


def test_keypoints_alone_change_where_asked(parsed):
    of_keypoints = KeypointAugmentConfig(hand_dropout={"probability": 1, "length": (1, 1)})
    still = AugmentConfig(temporal_jitter=0)
    drawn = draw(still, 4, SEED, of_keypoints)
    plain, clip = prepare(parsed), prepare(parsed, still, drawn, of_keypoints)
    for name in ("frames", "frame_mask"):
        np.testing.assert_array_equal(clip[name], plain[name])
    hands = [MEDIAPIPE_HOLISTIC.group_slices[f"{side}_hand"] for side in ("left", "right")]
    lost, kept = hands if drawn.keypoints.hands[0] else hands[::-1]
    assert np.isnan(clip["keypoints"][:, lost]).all()
    np.testing.assert_array_equal(clip["keypoints"][:, kept], plain["keypoints"][:, kept])


def test_a_mirrored_clip_loses_the_hand_that_it_shows(parsed):
    """Mirroring comes first: a left hand that is lost was the right one before."""
    of_keypoints = KeypointAugmentConfig(hand_dropout={"probability": 1, "length": (1, 1)})
    mirrored = AugmentConfig(temporal_jitter=0, mirror=1)
    drawn = draw(mirrored, 4, SEED, of_keypoints)
    drawn = drawn._replace(keypoints=drawn.keypoints._replace(hands=tf.constant([True, False])))
    clip, plain = prepare(parsed, mirrored, drawn, of_keypoints)["keypoints"], prepare(parsed)["keypoints"]
    left, right = (MEDIAPIPE_HOLISTIC.group_slices[f"{side}_hand"] for side in ("left", "right"))
    assert np.isnan(clip[:, left]).all()
    np.testing.assert_allclose(clip[:, right, 0], 1 - plain[:, left, 0], atol=1e-5)


def test_interpolated_keypoints_move_evenly_in_slow_motion(parsed):
    """Eight frames shown in sixteen: repeated without, on the line between their neighbours with interpolation."""
    sampling = SAMPLING.model_copy(update={"num_frames": 16})
    of_keypoints, still = KeypointAugmentConfig(interpolate=True), AugmentConfig(temporal_jitter=0)
    drawn = draw(still, 16, SEED, of_keypoints)
    plain = prepare(parsed, sampling=sampling)["keypoints"]
    clip = prepare(parsed, still, drawn, of_keypoints, sampling)["keypoints"]
    np.testing.assert_array_equal(plain[2], plain[3])
    np.testing.assert_allclose(clip[3], 0.75 * plain[2] + 0.25 * plain[4], atol=1e-5)
    np.testing.assert_allclose(clip[4], 0.25 * plain[2] + 0.75 * plain[4], atol=1e-5)
