"""Learning an n-gram model from the glosses of training sentences: interpolated Kneser-Ney smoothing.

Source: Kneser and Ney 1995 (Improved backing-off for m-gram language modeling, ICASSP), interpolated as in Chen and
Goodman 1999 (An empirical study of smoothing techniques for language modeling, Computer Speech and Language 13(4)),
section 3: an n-gram counts less a discount D, what is freed goes to the shorter n-gram, and a shorter n-gram counts
by how many *different* words come before it. Different from there, or left open there:

- One discount for each n, ``D = n1 / (n1 + 2 n2)`` of Ney, Essen and Kneser 1994 (n1 and n2: how many n-grams are
  seen once and twice). The three of "modified" smoothing need n-grams seen four times, which a hundred sentences
  lack.
- D stays within ``DISCOUNTS``, since few sentences may have no n-gram that is seen once, or none seen twice.
- n-grams that begin with ``<s>``, before which nothing comes, keep their plain counts, as in KenLM.
- Unigrams are mixed with the uniform distribution: every gloss of the vocabulary can come, seen or not.

Of few sentences (cross-validation on the 161 of RWTH-BOSTON-104), it predicts new ones better than Witten-Bell
smoothing and than plain counts, from trigrams on.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sign_keras.ctc.language_model import END, NEVER, START, UNKNOWN, Gram, NGramModel

DISCOUNTS = (0.1, 0.9)
_RESERVED = frozenset((START, END, UNKNOWN))


def learn_language_model(
    sentences: Iterable[Sequence[str]], vocabulary: Iterable[str], order: int = 3
) -> NGramModel:
    """The model of sentences, over a vocabulary that is known beforehand.

    After any history, the probabilities of the vocabulary, ``</s>`` and ``<unk>`` sum to 1, and none is 0.

    Args:
        sentences: glosses of each; empty ones count as such.
        vocabulary: every gloss that a sentence to be scored may hold (the label map's). Others are ``<unk>``, in
            ``sentences`` too.
        order: longest n; at least 1. One that is longer than the sentences does no harm.

    Raises:
        ValueError: there are no sentences, the order is below 1, or the vocabulary holds ``<s>``, ``</s>`` or
            ``<unk>``.
    """
    known = dict.fromkeys(vocabulary)
    if order < 1 or _RESERVED & known.keys():
        raise ValueError(f"order {order} and glosses: at least 1, and none of {', '.join(sorted(_RESERVED))}")
    padded = [[START, *(gloss if gloss in known else UNKNOWN for gloss in sentence), END] for sentence in sentences]
    if not padded:
        raise ValueError("no sentences to learn a language model from")
    counts = _adjusted_counts(padded, order)
    for word in (*known, END, UNKNOWN):
        counts[0].setdefault((word,), 0)
    shorter: dict[Gram, float] = {(): 1 / len(counts[0])}
    probabilities, freed = [], []
    for table in counts:
        shorter, shares = _interpolated(table, shorter)
        probabilities.append(shorter)
        freed.append(shares)
    freed.append({})
    grams = [
        {gram: (math.log10(value), math.log10(shares.get(gram, 1.0))) for gram, value in table.items()}
        for table, shares in zip(probabilities, freed[1:], strict=True)
    ]
    grams[0][START,] = (NEVER, math.log10(freed[1].get((START,), 1.0)))
    return NGramModel(grams)


def _adjusted_counts(sentences: Sequence[Sequence[str]], order: int) -> list[Counter[Gram]]:
    """Of each n-gram: how often it is there for the longest n, else how many different words come before it."""
    plain = [
        Counter(
            tuple(words[place : place + length]) for words in sentences for place in range(len(words) - length + 1)
        )
        for length in range(1, order + 1)
    ]
    del plain[0][START,]
    adjusted = [Counter({gram: count for gram, count in table.items() if gram[0] == START}) for table in plain[:-1]]
    for table, longer in zip(adjusted, plain[1:], strict=True):
        table.update(gram[1:] for gram in longer)
    return [*adjusted, plain[-1]]


def _interpolated(
    counts: Mapping[Gram, int], shorter: Mapping[Gram, float]
) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """The probabilities of n-grams, and the share of each history that goes to the n-grams one word shorter."""
    discount = _discount(counts)
    totals: Counter[Gram] = Counter()
    kinds: Counter[Gram] = Counter()
    for gram, count in counts.items():
        totals[gram[:-1]] += count
        kinds[gram[:-1]] += count > 0
    freed = {history: discount * kinds[history] / total for history, total in totals.items()}
    probabilities = {
        gram: max(count - discount, 0) / totals[gram[:-1]] + freed[gram[:-1]] * shorter[gram[1:]]
        for gram, count in counts.items()
    }
    return probabilities, freed


def _discount(counts: Mapping[Gram, int]) -> float:
    """What each n-gram counts less."""
    once, twice = (sum(count == times for count in counts.values()) for times in (1, 2))
    low, high = DISCOUNTS
    return min(max(once / max(once + 2 * twice, 1), low), high)
