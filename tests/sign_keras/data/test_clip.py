import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig, ViewsConfig
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


def prepare(parsed, augment=None, drawn=None):
    clip = prepare_clip(parsed, SAMPLING, NAMES, layout=MEDIAPIPE_HOLISTIC, augment=augment, drawn=drawn)
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
