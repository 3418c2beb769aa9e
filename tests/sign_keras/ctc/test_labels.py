import numpy as np
import pytest

from sign_keras.ctc.labels import frames_needed, gloss_ids, log_probabilities
from tests.sign_keras.ctc.brute_force import paths_by_sentence
from tfrecords_tools.label_map import LabelMap, LabelMapError

GLOSSES = LabelMap(["HOUSE", "GO", "JOHN"])


def test_glosses_become_ids():
    assert gloss_ids(["JOHN", "GO", "GO"], GLOSSES, "a.mp4") == [2, 1, 1]
    assert gloss_ids([], GLOSSES, "a.mp4") == []


def test_unknown_gloss_is_named_with_clip_and_place():
    with pytest.raises(LabelMapError, match=r"a\.mp4: gloss 2 of 3: gloss 'HOUS' .* did you mean 'HOUSE'"):
        gloss_ids(["JOHN", "HOUS", "GO"], GLOSSES, "a.mp4")


@pytest.mark.parametrize("num_frames", range(5))
def test_frames_needed_is_the_shortest_clip_that_has_a_path(num_frames: int):
    possible = set(paths_by_sentence(np.zeros((num_frames, 4))))
    for sentence in paths_by_sentence(np.zeros((4, 4))):
        assert (sentence in possible) == (frames_needed(sentence) <= num_frames)


def test_log_probabilities_leave_out_padding():
    logits = np.array([[[0.0, 1.0], [np.nan, np.inf]], [[2.0, -np.inf], [5.0, 5.0]]])
    terms = log_probabilities(logits, [1, 2])
    np.testing.assert_allclose(np.exp(terms[0, 0]).sum(), 1)
    np.testing.assert_array_equal(terms[0, 1], 0)
    np.testing.assert_allclose(terms[1], [[0, -np.inf], [-np.log(2), -np.log(2)]])


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf])
def test_logits_without_probabilities_are_refused(fault: float):
    logits = np.zeros((2, 3, 2))
    logits[1, 1] = fault
    with pytest.raises(ValueError, match="clip 1, frame 1"):
        log_probabilities(logits, [3, 3])


@pytest.mark.parametrize(
    ("shape", "num_frames", "message"),
    [
        ((2, 3), [3, 3], "expected"),
        ((2, 3, 1), [3, 3], "gloss beside the blank"),
        ((2, 3, 4), [3], "frame counts"),
        ((2, 3, 4), [3, 4], "from 3 to 4 of 3"),
        ((2, 3, 4), [-1, 3], "from -1 to 3 of 3"),
    ],
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...], num_frames: list[int], message: str):
    with pytest.raises(ValueError, match=message):
        log_probabilities(np.zeros(shape), num_frames)
