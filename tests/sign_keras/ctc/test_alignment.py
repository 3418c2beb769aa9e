import numpy as np
import pytest

from sign_keras.ctc.alignment import forced_alignments, sentence_log_probabilities
from sign_keras.ctc.labels import ClipTooShortError
from tests.sign_keras.ctc.brute_force import padded_batch, paths_by_sentence, sentence_probabilities

FRAMES = (5, 3, 0, 4)


def some_sentences(clip: int) -> list[list[int]]:
    """Sentences that a clip can carry, repeats among them."""
    fitting = [list(sentence) for sentence in paths_by_sentence(np.zeros((FRAMES[clip], 4)))]
    return fitting[:: max(1, len(fitting) // 12)]


def batches(seed: int):
    """Logits, frame counts and one sentence a clip, such that many sentences of every clip come up."""
    choices = [some_sentences(clip) for clip in range(len(FRAMES))]
    for number in range(max(map(len, choices))):
        yield padded_batch(seed + number), [choice[number % len(choice)] for choice in choices]


def test_sentence_probabilities_are_those_of_all_paths():
    for logits, sentences in batches(0):
        found = np.exp(sentence_log_probabilities(logits, FRAMES, sentences))
        expected = [
            sentence_probabilities(clip[:length])[tuple(sentence)]
            for clip, length, sentence in zip(logits, FRAMES, sentences, strict=True)
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_sentence_that_does_not_fit_has_no_probability():
    terms = sentence_log_probabilities(padded_batch(0), FRAMES, [[0, 0, 0, 1], [0, 0, 1], [1], []])
    assert terms[:3].tolist() == [-np.inf] * 3
    assert np.isfinite(terms[3])


def test_forced_alignment_is_the_likeliest_path():
    for logits, sentences in batches(1):
        alignments = forced_alignments(logits, FRAMES, sentences)
        for clip, length, sentence, alignment in zip(logits, FRAMES, sentences, alignments, strict=True):
            paths = paths_by_sentence(clip[:length])[tuple(sentence)]
            best = max(paths, key=paths.__getitem__)
            assert tuple(alignment.labels) == best
            assert np.exp(alignment.log_probability) == pytest.approx(paths[best])


def test_spans_are_the_runs_of_each_gloss():
    logits = np.log([[[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]])
    (alignment,) = forced_alignments(logits, [5], [[0, 0, 1]])
    assert alignment.labels.tolist() == [1, 1, 0, 1, 2]
    assert alignment.spans == ((0, 1), (3, 3), (4, 4))


def test_all_blank_of_an_empty_sentence():
    (alignment,) = forced_alignments(np.zeros((1, 4, 3)), [3], [[]])
    assert alignment.labels.tolist() == [0, 0, 0]
    assert alignment.spans == ()
    assert np.exp(alignment.log_probability) == pytest.approx(1 / 27)


@pytest.mark.parametrize(("num_frames", "sentence", "needed"), [(2, [0, 0], 3), (3, [0, 1, 0, 1], 4), (0, [1], 1)])
def test_clip_too_short_is_named(num_frames: int, sentence: list[int], needed: int):
    with pytest.raises(ClipTooShortError, match=rf"b\.mp4: {num_frames} frames .* need {needed}"):
        forced_alignments(np.zeros((2, 4, 3)), [4, num_frames], [[0], sentence], ["a.mp4", "b.mp4"])
    with pytest.raises(ClipTooShortError, match="clip 1 of the batch"):
        forced_alignments(np.zeros((2, 4, 3)), [4, num_frames], [[0], sentence])


def test_gloss_without_any_probability_is_an_error():
    logits = np.zeros((2, 4, 3))
    logits[1, :, 2] = -np.inf
    with pytest.raises(ValueError, match=r"no path of the glosses \[0, 1\]"):
        forced_alignments(logits, [4, 4], [[0, 1], [0, 1]])


@pytest.mark.parametrize("gloss", [-1, 2])
def test_gloss_id_outside_the_logits_is_an_error(gloss: int):
    with pytest.raises(ValueError, match=r"not all in \[0, 2\)"):
        forced_alignments(np.zeros((1, 4, 3)), [4], [[gloss]])


def test_as_many_sentences_as_clips():
    with pytest.raises(ValueError, match="1 sentences for 2 clips"):
        forced_alignments(np.zeros((2, 4, 3)), [4, 4], [[0]])
