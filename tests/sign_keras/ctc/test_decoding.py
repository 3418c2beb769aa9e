import time

import numpy as np
import pytest

from sign_keras.ctc.beam_search import BeamSearch, search_sentences
from sign_keras.ctc.decoding import beam_decode, greedy_decode
from sign_keras.ctc.kneser_ney import learn_language_model
from sign_keras.ctc.labels import log_probabilities
from sign_keras.ctc.language_model import GlossScores
from tests.sign_keras.ctc.brute_force import collapse, padded_batch, sentence_probabilities

FRAMES = (5, 3, 0, 4)
EVERYTHING = BeamSearch(width=10**6, num_best=10**6)
# Of two frames, "blank, blank" is the likeliest path (.36), but all paths of the gloss together have .64.
BEAM_BEATS_GREEDY = np.log([[[0.6, 0.4], [0.6, 0.4]]])


@pytest.mark.parametrize("seed", range(5))
def test_unlimited_beam_finds_every_sentence_with_its_probability(seed: int):
    logits = padded_batch(seed)
    for clip, length, decodings in zip(logits, FRAMES, beam_decode(logits, FRAMES, EVERYTHING), strict=True):
        expected = sentence_probabilities(clip[:length])
        found = {tuple(decoding.gloss_ids): decoding for decoding in decodings}
        assert found.keys() == expected.keys()
        assert decodings[0].gloss_ids == list(max(expected, key=expected.__getitem__))
        for sentence, decoding in found.items():
            assert np.exp(decoding.score) == pytest.approx(expected[sentence], rel=1e-9)
            assert np.exp(decoding.log_probability) == pytest.approx(expected[sentence], rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_the_likeliest_path(seed: int):
    logits = padded_batch(seed)
    for clip, length, decoding in zip(logits, FRAMES, greedy_decode(logits, FRAMES), strict=True):
        path = clip[:length].argmax(axis=1)
        assert tuple(decoding.gloss_ids) == collapse(tuple(path))
        terms = log_probabilities(clip[None], [length])[0]
        assert decoding.score == pytest.approx(terms[np.arange(length), path].sum())
        of_sentence = sentence_probabilities(clip[:length])[tuple(decoding.gloss_ids)]
        assert np.exp(decoding.log_probability) == pytest.approx(of_sentence)


def test_beam_search_finds_what_greedy_misses():
    (greedy,) = greedy_decode(BEAM_BEATS_GREEDY, [2])
    ((best, second),) = beam_decode(BEAM_BEATS_GREEDY, [2], BeamSearch(width=2, num_best=2))
    assert (greedy.gloss_ids, best.gloss_ids, second.gloss_ids) == ([], [0], [])
    assert np.exp([best.log_probability, second.log_probability]) == pytest.approx([0.64, 0.36])


def test_narrow_beam_never_claims_more_than_there_is():
    """A narrow beam loses paths: its score is at most the true probability, and mostly close to it."""
    logits = np.random.default_rng(0).normal(0, 3, (20, 30, 6))
    wide = beam_decode(logits, [30] * 20, BeamSearch(width=64))
    for (narrow,), (best,) in zip(beam_decode(logits, [30] * 20, BeamSearch(width=3)), wide, strict=True):
        assert narrow.score <= narrow.log_probability + 1e-9
        assert narrow.log_probability <= best.log_probability + 1e-9


def test_same_gloss_again_needs_a_blank():
    frames = np.full((5, 3), 0.05)
    frames[[0, 1, 2, 3, 4], [1, 1, 0, 1, 2]] = 0.9
    for decoding in (
        greedy_decode(np.log(frames)[None], [5])[0],
        beam_decode(np.log(frames)[None], [5], BeamSearch())[0][0],
    ):
        assert decoding.gloss_ids == [0, 0, 1]
        assert [(gloss.first_frame, gloss.last_frame) for gloss in decoding.glosses] == [(0, 1), (3, 3), (4, 4)]


def test_confidence_is_the_mean_probability_of_a_gloss_over_its_frames():
    logits = np.log([[[0.2, 0.7, 0.1], [0.4, 0.5, 0.1], [0.9, 0.05, 0.05]]])
    (gloss,) = greedy_decode(logits, [3])[0].glosses
    assert gloss.confidence == pytest.approx(0.6)


def test_all_blank_is_an_empty_sentence():
    logits = np.zeros((1, 6, 4))
    logits[:, :, 0] = 50
    for decoding in (greedy_decode(logits, [6])[0], beam_decode(logits, [6], BeamSearch())[0][0]):
        assert decoding.glosses == ()
        assert decoding.log_probability == pytest.approx(0, abs=1e-12)


def test_pruning_keeps_what_is_likely():
    logits = np.random.default_rng(3).normal(0, 4, (4, 20, 8))
    for plain, pruned in zip(
        beam_decode(logits, [20] * 4, BeamSearch()),
        beam_decode(logits, [20] * 4, BeamSearch(prune_below=-9.0)),
        strict=True,
    ):
        assert plain[0].gloss_ids == pruned[0].gloss_ids
        assert pruned[0].score == pytest.approx(plain[0].score, abs=0.01)


def test_pruning_everything_still_leaves_the_likeliest_label():
    frames = np.log([[0.3, 0.4, 0.3], [0.5, 0.2, 0.3]])
    ((sentence, score),) = search_sentences(frames, BeamSearch(prune_below=0.0))
    assert sentence == [0]
    # Its paths, "blank, gloss" among them: a sentence that is there already gets all that is its own.
    assert np.exp(score) == pytest.approx(0.4 * 0.5 + 0.4 * 0.2 + 0.3 * 0.2)


class TestWithLanguageModel:
    GLOSSES = ("A", "B", "C")
    MODEL = learn_language_model([["A", "B"], ["A", "B", "C"], ["C", "B"], []], GLOSSES, order=2)

    @pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.0), (0.7, 0.0), (1.5, 0.9), (0.5, -1.0)])
    def test_ranks_every_sentence_by_clip_model_and_length(self, weight: float, bonus: float):
        logits = padded_batch(7)
        scores = GlossScores(self.MODEL, self.GLOSSES)
        search = BeamSearch(10**6, None, scores, weight, bonus, 10**6)
        for clip, length, decodings in zip(logits, FRAMES, beam_decode(logits, FRAMES, search), strict=True):
            expected = {
                sentence: np.log(probability)
                + weight * self.MODEL.sentence_log_probability([self.GLOSSES[gloss] for gloss in sentence])
                + bonus * len(sentence)
                for sentence, probability in sentence_probabilities(clip[:length]).items()
            }
            ranked = sorted(expected, key=expected.__getitem__, reverse=True)
            assert [tuple(decoding.gloss_ids) for decoding in decodings] == ranked
            assert [decoding.score for decoding in decodings] == pytest.approx([expected[s] for s in ranked])

    def test_decides_where_the_clip_does_not(self):
        logits = np.zeros((1, 3, 4))
        logits[0, 0, 1] = logits[0, 1, 0] = 20  # A, blank, and then B or C
        logits[0, 2, 2:] = (20, 20.01)
        scores = GlossScores(self.MODEL, self.GLOSSES)
        assert beam_decode(logits, [3], BeamSearch())[0][0].gloss_ids == [0, 2]
        assert beam_decode(logits, [3], BeamSearch(language_model=scores))[0][0].gloss_ids == [0, 1]

    def test_that_allows_nothing_is_an_error(self):
        class Forbidding:
            start = None

            def advance(self, state: None, gloss_id: int) -> None: ...

            def next_glosses(self, state: None) -> np.ndarray:
                return np.full(2, -np.inf)

            def end(self, state: None) -> float:
                return 0.0

        frames = np.array([[-np.inf, -0.5, -0.9]])
        with pytest.raises(ValueError, match="no sentence is possible"):
            search_sentences(frames, BeamSearch(language_model=Forbidding()))
        assert search_sentences(frames, BeamSearch(language_model=Forbidding(), language_model_weight=0))


@pytest.mark.parametrize("values", [{"width": 0}, {"num_best": 0}])
def test_senseless_search_is_refused(values: dict[str, int]):
    with pytest.raises(ValueError, match="at least 1"):
        BeamSearch(**values)


def test_two_hundred_frames_of_120_glosses_take_a_tenth_of_a_second():
    """With a model, of one core's own time: other processes do not count. The best of five."""
    glosses = [f"G{number}" for number in range(120)]
    rng = np.random.default_rng(0)
    sentences = [[glosses[number] for number in rng.integers(0, 120, 6)] for _ in range(100)]
    scores = GlossScores(learn_language_model(sentences, glosses), glosses)
    logits = rng.normal(0, 2, (1, 200, 121))
    logits[0, :, 0] += 6
    seconds = []
    for _ in range(5):
        start = time.process_time()
        beam_decode(logits, [200], BeamSearch(width=16, language_model=scores))
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1
