"""Which gloss follows which: a back-off n-gram model of sentences, and its scores for a decoder.

``kneser_ney`` learns one, ``arpa`` reads and writes one. Own code: KenLM has to be compiled and refuses to learn
from few sentences; the ``arpa`` package only reads, word by word, and was last released in 2018.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # what ARPA files have for log10(0), which <s> has: nothing is followed by it
# log10 of a word that a model without <unk> does not know; as KenLM has it.
OUT_OF_VOCABULARY = -100.0
_LOG_10 = math.log(10)

Gram = tuple[str, ...]


class NGramModel:
    """A back-off n-gram model.

    The probability of a word w after a history h is that of the n-gram hw where the model lists it, else
    ``backoff(h) * p(w | h without its first word)``; a backoff that is not listed is 1. A history is what stands
    before in the sentence, from ``<s>`` on. Words that the model does not list count as ``<unk>``.

    Source: Katz 1987 (Estimation of probabilities from sparse data, IEEE ASSP 35(3)), in the form of the ARPA files
    of Doug Paul; interpolated models (see ``kneser_ney``) are written in the same form.

    Attributes:
        grams: for each n from 1, the n-grams as ``(log10 of the probability, log10 of the backoff)``. Logarithms to
            the base 10, as in ARPA files, so that reading and writing changes nothing.
        words: what may follow a history: every word of the unigrams but ``<s>``.

    Raises:
        ValueError: no unigrams, or ``</s>`` is not among them.
    """

    def __init__(self, grams: Sequence[Mapping[Gram, tuple[float, float]]]) -> None:
        if not grams or (END,) not in grams[0]:
            raise ValueError(f"an n-gram model needs unigrams, {END} among them")
        self.grams = tuple(dict(table) for table in grams)
        self.grams[0].setdefault((UNKNOWN,), (OUT_OF_VOCABULARY, 0.0))
        self.words = tuple(word for (word,) in self.grams[0] if word != START)
        self._places = {word: place for place, word in enumerate(self.words)}
        followers: dict[Gram, list[tuple[int, float]]] = defaultdict(list)
        for table in self.grams:
            for gram, (term, _) in table.items():
                if gram[-1] != START:
                    followers[gram[:-1]].append((self._place(gram[-1]), term))
        self._followers = {history: _columns(pairs) for history, pairs in followers.items()}

    @property
    def order(self) -> int:
        """The longest n."""
        return len(self.grams)

    def state(self, history: Sequence[str]) -> Gram:
        """What of a history matters: its last ``order - 1`` words, unknown ones as ``<unk>``."""
        kept = history[max(0, len(history) - self.order + 1) :]
        return tuple(word if (word,) in self.grams[0] else UNKNOWN for word in kept)

    def log_probabilities(self, history: Sequence[str]) -> np.ndarray:
        """``[len(words)]`` float64, natural: of each of ``words`` after a history. They sum to 1 in a proper model.

        Args:
            history: words from ``<s>`` on, or their end; may be empty, which is not the start of a sentence.
        """
        state = self.state(history)
        terms = np.full(len(self.words), NEVER)
        for length in range(len(state) + 1):
            context = state[len(state) - length :]
            terms += self._backoff(context)
            if (listed := self._followers.get(context)) is not None:
                terms[listed[0]] = listed[1]
        return terms * _LOG_10

    def log_probability(self, word: str, history: Sequence[str]) -> float:
        """Natural logarithm of the probability of one word, ``</s>`` included, after a history."""
        return float(self.log_probabilities(history)[self._place(word)])

    def sentence_log_probability(self, sentence: Sequence[str]) -> float:
        """Natural: of all its words, and of its end after them. An empty sentence has only an end."""
        words = [START, *sentence, END]
        return sum(self.log_probability(words[place], words[:place]) for place in range(1, len(words)))

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """The inverse of the geometric mean of the probabilities of all words and ends of sentences; at best 1.

        Unknown words count, with the probability of ``<unk>``: what a model costs that knows few words.

        Raises:
            ValueError: there are no sentences.
        """
        kept = list(sentences)
        if not kept:
            raise ValueError("no sentences: their perplexity is not defined")
        total = sum(self.sentence_log_probability(sentence) for sentence in kept)
        return math.exp(-total / sum(len(sentence) + 1 for sentence in kept))

    def _place(self, word: str) -> int:
        return self._places.get(word, self._places[UNKNOWN])

    def _backoff(self, context: Gram) -> float:
        """log10; of no context 0."""
        return self.grams[len(context) - 1].get(context, (0.0, 0.0))[1] if context else 0.0


class GlossScores:
    """An n-gram model's scores of the glosses of a label map, by id, as a decoder asks for them.

    A state is what of a beginning of a sentence matters to the model. Glosses that the model does not know have the
    probability of its ``<unk>``, each.

    Args:
        model: of gloss sentences.
        glosses: of the label map, by id.
    """

    start: Gram

    def __init__(self, model: NGramModel, glosses: Sequence[str]) -> None:
        self._model = model
        self._glosses = tuple(glosses)
        places = {word: place for place, word in enumerate(model.words)}
        self._columns = np.array([places.get(gloss, places[UNKNOWN]) for gloss in glosses], np.int64)
        self._end = places[END]
        self._cache: dict[Gram, tuple[np.ndarray, float]] = {}
        self.start = model.state([START])

    @property
    def unknown(self) -> list[str]:
        """Glosses that the model does not know."""
        return [gloss for gloss in self._glosses if gloss not in self._model.words]

    def advance(self, state: Gram, gloss_id: int) -> Gram:
        """The state after one more gloss."""
        return self._model.state([*state, self._glosses[gloss_id]])

    def next_glosses(self, state: Gram) -> np.ndarray:
        """``[V]`` float64, natural: log-probability of each gloss as the next one."""
        return self._scores(state)[0]

    def end(self, state: Gram) -> float:
        """Natural log-probability of the sentence's end."""
        return self._scores(state)[1]

    def _scores(self, state: Gram) -> tuple[np.ndarray, float]:
        if state not in self._cache:
            terms = self._model.log_probabilities(state)
            self._cache[state] = (terms[self._columns], float(terms[self._end]))
        return self._cache[state]


def _columns(pairs: Sequence[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of followers."""
    return np.array([place for place, _ in pairs], np.int64), np.array([value for _, value in pairs])
