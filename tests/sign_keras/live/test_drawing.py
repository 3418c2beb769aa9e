import numpy as np
import pytest

from sign_keras.inference.predictor import ScoredGloss
from sign_keras.live.drawing import COLOURS, LOWEST, PANEL_WIDTH, STRIP_HEIGHT, Screen, draw_landmarks, draw_screen
from tests.sign_keras.inference.landmark_streams import landmarks

SCORES = (ScoredGloss("hello", 0.9), ScoredGloss("wait", 0.1))
IMAGE = np.full((240, 321, 3), 90, np.uint8)


def screen(**changes):
    values = {"scores": SCORES, "active": True, "glosses": ("yes", "hello"), "seconds": 3.2} | changes
    return Screen(**values)


def panel(picture):
    return picture[:-STRIP_HEIGHT, -PANEL_WIDTH:]


def test_a_picture_holds_the_frame_a_panel_and_the_text():
    picture = draw_screen(IMAGE, np.full((543, 3), np.nan), screen())
    assert picture.shape == (LOWEST + STRIP_HEIGHT, 642 + PANEL_WIDTH, 3)
    assert (picture[:LOWEST, :642] == 90).all()
    other = draw_screen(IMAGE, np.full((543, 3), np.nan), screen(glosses=("yes", "wait")))
    assert (panel(other) == panel(picture)).all()
    assert (other[-STRIP_HEIGHT:] != picture[-STRIP_HEIGHT:]).any()


@pytest.mark.parametrize("height", [100, 480, 501, 720, 1081])
def test_sizes_are_those_that_videos_may_have(height):
    picture = draw_screen(np.zeros((height, height, 3), np.uint8), landmarks(), screen())
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    assert 480 <= picture.shape[0] - STRIP_HEIGHT <= 720


def test_bars_are_as_long_as_glosses_are_probable():
    def length(probability):
        drawn = panel(draw_screen(IMAGE, landmarks(), screen(scores=(ScoredGloss("hello", probability),))))
        return (drawn == (0, 158, 115)).all(axis=-1).any(axis=0).sum()

    assert length(0.5) == pytest.approx(length(1.0) / 2, abs=2)
    assert length(0.0) == 0


def test_keypoints_are_drawn_where_they_are():
    points = landmarks(x=0.2, y=-0.2)
    drawn = draw_landmarks(np.zeros((400, 400, 3), np.uint8), points)
    ys, xs = np.nonzero((drawn == COLOURS["right_hand"]).all(axis=-1))
    assert (xs.mean(), ys.mean()) == (pytest.approx(240, abs=1), pytest.approx(200, abs=1))
    assert not (drawn == COLOURS["left_hand"]).all(axis=-1).any()  # not found
    ends = landmarks()
    ends[:] = np.nan
    assert not draw_landmarks(np.zeros((400, 400, 3), np.uint8), ends).any()


def test_a_mirror_turns_the_frame_and_no_text():
    image = IMAGE.copy()
    image[:, :100] = 200
    plain, mirrored = (draw_screen(image, landmarks(), screen(), mirrored=side) for side in (False, True))
    np.testing.assert_array_equal(plain[:LOWEST, :642], mirrored[:LOWEST, :642][:, ::-1])
    np.testing.assert_array_equal(panel(plain), panel(mirrored))


def test_long_words_and_many_stay_inside():
    long_words = tuple(f"a_gloss_with_a_very_long_name_{number}" * 3 for number in range(50))
    scores = tuple(ScoredGloss(word, 0.02) for word in long_words)
    picture = draw_screen(IMAGE, landmarks(), screen(scores=scores, glosses=long_words, num_dropped=12))
    ground = picture[0, -1]
    assert (panel(picture)[:, -10:] == ground).all()
    assert (picture[-STRIP_HEIGHT:, -10:] == picture[-1, -1]).all()
