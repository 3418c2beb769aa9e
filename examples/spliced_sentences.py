"""More sentences to learn from: pieces of training sentences whose words' times are known, put together anew.

A hundred sentences repeat each other, and a network that learns from them by CTC learns sentences more than it
learns signs. Here they are cut between their words into pieces of one to ``LONGEST_PIECE`` words, which are drawn
at random and joined: each sign is then seen before and behind many others. Where two pieces meet, hands jump from
one place to another. Only training needs to know which frames are whose; a model is tested without.

A piece's chance grows with the rarity of its words: a gloss that is seen a hundred times as often as another is
drawn ten times as often. How frequent it is in signing, a language model tells at the test.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfrecords_tools.array_records import ArrayClip

LONGEST_PIECE = 3  # words
FEWEST_FRAMES = 3  # of a word; sentences with a shorter one are not cut up
EVENNESS = 0.5  # 0: glosses are drawn as often as they are signed; 1: all equally often
Piece = tuple[np.ndarray, list[str]]
"""Frames, and the glosses that they show."""


def splice(sentences: Sequence[ArrayClip], count: int, seed: int = 0) -> Iterator[ArrayClip]:
    """Makes training sentences out of others; none has more frames than the longest of these.

    Args:
        sentences: with ``glosses``, ``signer`` and ``segments`` (a gloss's first frame and the one after its last,
            ``8:18 22:51``); those of other splits than ``train`` are left alone.
        count: how many to make, of each signer as many as of any other, give or take one.
        seed: of the choice of pieces.
    """
    training = [sentence for sentence in sentences if sentence.columns["split"] == "train"]
    frequency = Counter(gloss for sentence in training for gloss in sentence.columns["glosses"].split())
    pieces: dict[str, dict[float, list[Piece]]] = defaultdict(lambda: defaultdict(list))
    for sentence in training:
        for piece in pieces_of(sentence):
            pieces[sentence.columns["signer"]][chance(piece[1], frequency)].append(piece)
    longest = max((len(sentence.array) for sentence in training), default=0)
    rng, signers = random.Random(seed), sorted(pieces)
    for number in range(count if signers else 0):
        signer = signers[number % len(signers)]
        arrays: list[np.ndarray] = []
        glosses: list[str] = []
        while True:
            array, words = draw(pieces[signer], rng)
            if arrays and sum(map(len, arrays)) + len(array) > longest:
                break
            arrays.append(array)
            glosses += words
        columns = {"glosses": " ".join(glosses), "signer": signer, "split": "train"}
        yield ArrayClip(f"spliced_{number:05}.npy", np.concatenate(arrays), columns, training[0].modified_ns)


def pieces_of(sentence: ArrayClip) -> Iterator[Piece]:
    """Every one to ``LONGEST_PIECE`` words that follow each other; none of a sentence that cannot be cut."""
    glosses, cuts = sentence.columns["glosses"].split(), cuts_between_words(sentence)
    if min(np.diff(cuts), default=0) < FEWEST_FRAMES:
        return
    for start, end in itertools.combinations(range(len(cuts)), 2):
        if end - start <= LONGEST_PIECE:
            yield sentence.array[cuts[start] : cuts[end]], glosses[start:end]


def cuts_between_words(sentence: ArrayClip) -> list[int]:
    """``[words + 1]`` frames: 0, the middle between each word's end and the next one's beginning, and the last."""
    words = [tuple(map(int, segment.split(":"))) for segment in sentence.columns["segments"].split()]
    middles = [(end + start + 1) // 2 for (_, end), (start, _) in itertools.pairwise(words)]
    return [0, *middles, len(sentence.array)]


def chance(glosses: Sequence[str], frequency: Mapping[str, int]) -> float:
    """How often a piece is drawn, next to others: the mean of its words' rarities, and less the more words it has,
    so that as many words come in pieces of one as in pieces of two.
    """
    rarities = [frequency[gloss] ** -EVENNESS for gloss in glosses]
    return sum(rarities) / len(glosses) ** 2


def draw(pieces: Mapping[float, Sequence[Piece]], rng: random.Random) -> Piece:
    """One of pieces that are listed by their chances."""
    shares = [chance * len(alike) for chance, alike in pieces.items()]
    (alike,) = rng.choices(list(pieces.values()), shares)
    return rng.choice(alike)
