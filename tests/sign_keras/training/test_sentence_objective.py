"""Loss and word error rate of sentences while a model learns, against those computed outside of the graph."""

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.ctc.alignment import sentence_log_probabilities
from sign_keras.ctc.decoding import greedy_decode
from sign_keras.error_rate import align_sentences, word_error_rate
from sign_keras.training.sentence_loss import SentenceLoss
from sign_keras.training.word_errors import WordErrorRate, likeliest_paths
from tests.sign_keras.sentence_labels import packed

NUM_GLOSSES = 4


def random_batch(seed: int) -> tuple[np.ndarray, list[list[int]], list[int]]:
    """Logits ``[5, 6, 5]`` of clips of up to 12 frames, two to a logit; sentences of up to 3 glosses."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (5, 6, NUM_GLOSSES + 1)).astype(np.float32)
    sentences = [rng.integers(0, NUM_GLOSSES, rng.integers(0, 4)).tolist() for _ in range(5)]
    return logits, sentences, rng.integers(1, 13, 5).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_loss_is_the_sentences_negative_log_likelihood_a_gloss(seed):
    logits, sentences, frames = random_batch(seed)
    lengths = [-(-count // 2) for count in frames]
    found = SentenceLoss(2).call(packed(sentences, frames), logits)
    expected = -sentence_log_probabilities(logits, np.array(lengths), sentences)
    expected /= [max(len(sentence), 1) for sentence in sentences]
    np.testing.assert_allclose(found, np.where(np.isfinite(expected), expected, 0.0), rtol=1e-4, atol=1e-5)


def test_word_error_rate_is_that_of_greedy_decoding_over_all_batches():
    metric, alignments = WordErrorRate(2), []
    update = tf.function(metric.update_state, reduce_retracing=True)
    for seed in range(8):
        logits, sentences, frames = random_batch(seed)
        update(tf.constant(packed(sentences, frames)), tf.constant(logits))
        decoded = greedy_decode(logits, np.array([-(-count // 2) for count in frames]))
        hypotheses = [list(map(str, decoding.gloss_ids)) for decoding in decoded]
        alignments += align_sentences([list(map(str, sentence)) for sentence in sentences], hypotheses)
        assert float(metric.result()) == pytest.approx(word_error_rate(alignments)["wer"])
    metric.reset_state()
    assert float(metric.result()) == 0


def test_repeats_and_blanks_are_merged_and_what_lies_behind_the_frames_is_not_read():
    labels = [[1, 1, 0, 1, 2, 2], [0, 3, 3, 3, 1, 1]]
    paths = likeliest_paths(np.eye(NUM_GLOSSES + 1, dtype=np.float32)[labels], np.array([6, 3]))
    assert paths.numpy().tolist() == [[1, 0, 0, 1, 2, 0], [0, 3, 0, 0, 0, 0]]


def test_all_blank_output_is_as_many_deletions_as_there_are_glosses():
    metric = WordErrorRate()
    blank = np.eye(NUM_GLOSSES + 1, dtype=np.float32)[np.zeros((2, 6), int)]
    metric.update_state(packed([[0, 1], [2]], [6, 6]), blank)
    assert float(metric.result()) == 1.0
    metric.reset_state()
    metric.update_state(packed([[], []], [6, 6]), blank)
    assert float(metric.result()) == 0.0
