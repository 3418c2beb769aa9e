import itertools
import math

import numpy as np
import pytest

from sign_keras.ctc.kneser_ney import learn_language_model
from sign_keras.ctc.language_model import END, START, UNKNOWN, GlossScores, NGramModel

VOCABULARY = ("A", "B", "C")
# By hand, of "A B" and "A C": bigrams <s>A twice, AB, AC, B</s>, C</s> once: D = 4 / (4 + 2 * 1). Different words
# before A, B, C: 1 each, before </s>: 2: D = 3 / (3 + 2 * 1), and 0.6 * 4 / 5 is shared by five words.
SMALL = learn_language_model([["A", "B"], ["A", "C"]], VOCABULARY, order=2)
UNIGRAMS = {"A": 0.4 / 5 + 0.096, "B": 0.4 / 5 + 0.096, "C": 0.4 / 5 + 0.096, END: 1.4 / 5 + 0.096, UNKNOWN: 0.096}


def random_sentences(seed: int = 0, num_sentences: int = 60) -> list[list[str]]:
    """Of glosses G0 to G7, each mostly followed by the next but one."""
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(num_sentences):
        gloss = rng.integers(8)
        sentences.append([f"G{(gloss + 2 * place + (rng.random() < 0.2)) % 8}" for place in range(rng.integers(7))])
    return sentences


def test_probabilities_are_those_computed_by_hand():
    assert {word: math.exp(SMALL.log_probability(word, [])) for word in UNIGRAMS} == pytest.approx(UNIGRAMS)
    by_history = {
        (START,): {"A": (2 - 2 / 3) / 2 + 1 / 3 * UNIGRAMS["A"], "B": 1 / 3 * UNIGRAMS["B"]},
        (START, "A"): {"B": (1 - 2 / 3) / 2 + 2 / 3 * UNIGRAMS["B"], "A": 2 / 3 * UNIGRAMS["A"]},
        ("B",): {END: (1 - 2 / 3) / 1 + 2 / 3 * UNIGRAMS[END]},
        (UNKNOWN,): {"A": UNIGRAMS["A"]},  # never seen: no bigrams to mix with
    }
    for history, expected in by_history.items():
        for word, probability in expected.items():
            assert math.exp(SMALL.log_probability(word, history)) == pytest.approx(probability)


def test_sentence_and_perplexity_are_products():
    pairs = (("A", [START]), ("B", ["A"]), (END, ["B"]))
    first, second, end = (math.exp(SMALL.log_probability(*pair)) for pair in pairs)
    assert math.exp(SMALL.sentence_log_probability(["A", "B"])) == pytest.approx(first * second * end)
    empty = math.exp(SMALL.log_probability(END, [START]))
    assert math.exp(SMALL.sentence_log_probability([])) == pytest.approx(empty)
    expected = (first * second * end * empty) ** (-1 / 4)
    assert SMALL.perplexity([["A", "B"], []]) == pytest.approx(expected)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one_after_every_history(order: int):
    vocabulary = [f"G{number}" for number in range(10)]  # two of them never signed
    model = learn_language_model([*random_sentences(), ["G0", "elsewhere"]], vocabulary, order)
    assert set(model.words) == {*vocabulary, END, UNKNOWN}
    histories = [
        history
        for length in range(min(order, 3))
        for history in itertools.product([START, *vocabulary, "never heard of"], repeat=length)
    ]
    for history in histories:
        assert np.exp(model.log_probabilities(history)).sum() == pytest.approx(1, abs=1e-9)
        assert np.isfinite(model.log_probabilities(history)).all()


def test_more_context_predicts_new_sentences_better():
    vocabulary = [f"G{number}" for number in range(8)]
    new = random_sentences(seed=1)
    by_order = [learn_language_model(random_sentences(), vocabulary, order).perplexity(new) for order in (1, 2)]
    uniform = 10  # eight glosses, the end, and the unknown
    assert by_order[1] < 0.75 * by_order[0] < 0.75 * uniform


def test_counts_of_different_words_before_it_keep_a_gloss_in_its_place():
    """FRANCISCO, often signed, always after SAN, is unlikely after anything else (Chen and Goodman 1999, 2.7)."""
    sentences = [["SAN", "FRANCISCO"]] * 20 + [["A", "HOUSE"], ["B", "HOUSE"], ["C", "HOUSE"]]
    model = learn_language_model(sentences, ["SAN", "FRANCISCO", "HOUSE", "A", "B", "C"], order=2)
    assert model.log_probability("HOUSE", [UNKNOWN]) > model.log_probability("FRANCISCO", [UNKNOWN])
    assert model.log_probability("FRANCISCO", ["SAN"]) > math.log(0.9)


def test_order_longer_than_the_sentences_changes_nothing():
    longer = learn_language_model([["A", "B"], ["A", "C"]], VOCABULARY, order=9)
    shorter = learn_language_model([["A", "B"], ["A", "C"]], VOCABULARY, order=4)
    for sentence in (["A", "B"], ["C", "B", "A"], []):
        assert longer.sentence_log_probability(sentence) == pytest.approx(
            shorter.sentence_log_probability(sentence)
        )


@pytest.mark.parametrize(
    ("sentences", "vocabulary", "order", "message"),
    [
        ([], VOCABULARY, 2, "no sentences"),
        ([["A"]], VOCABULARY, 0, "order 0"),
        ([["A"]], ["A", "</s>"], 2, "none of </s>"),
    ],
)
def test_nothing_to_learn_from_is_an_error(sentences, vocabulary, order: int, message: str):
    with pytest.raises(ValueError, match=message):
        learn_language_model(sentences, vocabulary, order)


def test_perplexity_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no sentences"):
        SMALL.perplexity([])


def test_model_without_unigrams_is_an_error():
    with pytest.raises(ValueError, match="unigrams"):
        NGramModel([])
    with pytest.raises(ValueError, match="</s>"):
        NGramModel([{("A",): (0.0, 0.0)}])


def test_scores_of_a_label_map_follow_its_ids():
    scores = GlossScores(SMALL, ["C", "HAT", "A", "B"])
    state = scores.advance(scores.start, 2)
    expected = [SMALL.log_probability(word, [START, "A"]) for word in ("C", UNKNOWN, "A", "B")]
    assert scores.next_glosses(state).tolist() == pytest.approx(expected)
    assert scores.end(state) == pytest.approx(SMALL.log_probability(END, [START, "A"]))
    assert scores.unknown == ["HAT"]
    after_unknown = scores.advance(scores.start, 1)
    assert scores.end(after_unknown) == pytest.approx(SMALL.log_probability(END, [START, UNKNOWN]))
