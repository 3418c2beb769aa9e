import numpy as np
import pytest

from sign_keras.config import ViewsConfig
from sign_keras.data.clip import resize
from sign_keras.data.dataset import Records
from sign_keras.data.views import make_views
from tfrecords_tools.clips import SamplingSpec

SAMPLING = SamplingSpec(num_frames=3, height=32, width=32)


@pytest.fixture(scope="module")
def records(tiny_records):
    return Records.open(tiny_records, SAMPLING, ("frames",))


def frames(records, view=None):
    return next(iter(records.evaluation_batches("test", 100, view)))[0]["frames"].numpy()


@pytest.mark.parametrize("crops", [1, 3, 5])
@pytest.mark.parametrize("offsets", [1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_there_are_as_many_views_as_asked_for_and_no_two_alike(crops, offsets, mirror):
    views = make_views(ViewsConfig(crops=crops, offsets=offsets, mirror=mirror), 3)
    assert len(views) == crops * offsets * (1 + mirror)
    keys = {
        view and (float(view.place), *view.picture.window.numpy().tolist(), bool(view.picture.mirrored))
        for view in views
    }
    assert len(keys) == len(views)
    # The plain view is among them wherever a moment lies in the middle.
    assert (None in keys) == (offsets % 2 == 1)


def test_one_view_is_plain_evaluation():
    assert make_views(ViewsConfig(), 3) == [None]


def test_a_mirrored_view_is_the_picture_mirrored(records):
    plain, mirrored = make_views(ViewsConfig(mirror=True), 3)
    np.testing.assert_array_equal(frames(records, mirrored), frames(records, plain)[:, :, :, ::-1])


def test_corners_are_the_corners_of_the_plain_view(records):
    """Records of 40 pixels: a corner crop takes 35 of them."""
    whole = Records.open(records.directory, SAMPLING.model_copy(update={"height": 40, "width": 40}), ("frames",))
    source = frames(whole)
    _, *corners = make_views(ViewsConfig(crops=5), 3)
    places = [(top, left) for top in (0, 5) for left in (0, 5)]
    for view, (top, left) in zip(corners, places, strict=True):
        for clip, expected in zip(frames(records, view), source, strict=True):
            cut = expected[:, top : top + 35, left : left + 35]
            np.testing.assert_array_equal(clip, resize(cut, 32, 32))


def test_moments_take_other_frames_in_order(tiny_records):
    """12 to 16 thirds of a frame: clips of 6 to 8 frames, of which three are taken."""
    records = Records.open(tiny_records, SAMPLING, ("frames",))
    early, middle, late = make_views(ViewsConfig(offsets=3), 3)
    assert middle is None
    position = [_square_position(frames(records, view)) for view in (early, middle, late)]
    assert (position[0] <= position[1]).all()
    assert (position[1] <= position[2]).all()
    assert (position[0] < position[2]).any()


def _square_position(clips: np.ndarray) -> np.ndarray:
    """Where the bright square that goes from left to right is in each frame."""
    bright = (clips.astype(float).mean(axis=-1) > 240).sum(axis=2)
    return (bright * np.arange(clips.shape[3])).sum(axis=-1) / np.maximum(bright.sum(axis=-1), 1)
