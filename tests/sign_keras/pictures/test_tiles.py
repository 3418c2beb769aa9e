import base64
import io

import numpy as np
import pytest
from PIL import Image

from sign_keras.pictures.skeleton import SALIENT, bones, draw_skeletons, shown_rows
from sign_keras.pictures.tiles import FEWEST_TILES, MOST_TILES, make_sheet, shares, with_heat
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout


def decoded(sheet) -> np.ndarray:
    """Tiles ``[rows, columns, H, W, 3]``."""
    data = base64.b64decode(sheet.source.removeprefix("data:image/webp;base64,"))
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    tiles = picture.reshape(sheet.rows, sheet.height, sheet.columns, sheet.width, 3)
    return tiles.swapaxes(1, 2)


def test_every_frame_is_where_the_page_looks_for_it():
    grey = np.arange(10, 250, 24, dtype=np.uint8)
    tiles = np.broadcast_to(grey[:, None, None, None], (10, 16, 24, 3))
    sheet = make_sheet(tiles, 100_000)
    assert (sheet.columns, sheet.rows, sheet.frames) == (4, 3, tuple(range(10)))
    found = decoded(sheet)
    for place, value in enumerate(grey):
        middle = found[divmod(place, sheet.columns)][4:12, 4:20]
        assert middle.mean() == pytest.approx(value, abs=4)


def test_a_sheet_that_would_be_too_large_has_fewer_frames():
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    most = 20_000
    sheet = make_sheet(noise, most)
    assert FEWEST_TILES <= len(sheet.frames) < 40
    assert len(sheet.source) < 1.4 * most
    assert np.unique(np.diff(sheet.frames)).size == 1
    assert len(make_sheet(np.zeros((500, 8, 8, 3), np.uint8), 10**6).frames) <= MOST_TILES


def test_heat_shows_where_it_is_and_nowhere_else():
    frames = np.full((1, 4, 4, 3), 100, np.uint8)
    heat = np.zeros((1, 4, 4))
    heat[0, 1, 2] = 1
    drawn = with_heat(frames, heat)
    assert np.argwhere((drawn != frames).any(axis=-1)).tolist() == [[0, 1, 2]]


def test_shares_are_of_the_largest_and_0_where_there_is_nothing():
    assert shares(np.array([0.0, 5, 10])).tolist() == [0, pytest.approx(5 / 9.975), 1]
    assert shares(np.zeros(3)).tolist() == [0, 0, 0]


def test_skeletons_show_what_matters_and_skip_what_is_missing():
    layout = KeypointLayout.from_names("two", ["left_hand/centre", "right_hand/centre"], [])
    points = np.array([[[0.2, 0.2, 0], [0.8, 0.8, 0]], [[np.nan] * 3, [0.8, 0.8, 0]]])
    pictures = draw_skeletons(points, np.array([[0.0, 1.0], [1.0, 0.0]]), layout, aspect=1.0)
    assert pictures.shape[0] == 2
    reddish = (np.abs(pictures.astype(int) - SALIENT) < 12).all(axis=-1)
    assert reddish[0].sum() > 20
    assert np.argwhere(reddish[0]).mean(axis=0).min() > pictures.shape[1] / 2  # the lower right one
    assert not reddish[1].any()  # the one that would matter was not found


def test_fingers_and_arms_are_joined_and_legs_left_out():
    lines, names = bones(MEDIAPIPE_HOLISTIC), MEDIAPIPE_HOLISTIC.names
    joined = {(names[a], names[b]) for a, b in lines}
    assert ("left_hand/wrist", "left_hand/thumb_cmc") in joined
    assert ("pose/left_elbow", "pose/left_wrist") in joined
    assert len(lines) == len(joined) == 5 + 2 * (5 * 4 + 3)
    shown = {names[row] for row in shown_rows(MEDIAPIPE_HOLISTIC)}
    assert "pose/left_knee" not in shown
    assert {"pose/nose", "right_hand/index_tip", "face/0"} <= shown


def test_a_clip_where_nothing_was_found_is_a_blank_picture():
    layout = KeypointLayout.from_names("one", ["head/nose"], [])
    pictures = draw_skeletons(np.full((2, 1, 3), np.nan), np.zeros((2, 1)), layout, aspect=1.0)
    assert (pictures == 255).all()
