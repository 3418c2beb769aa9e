"""Prefix beam search: the gloss sequences of one clip with the highest scores, with a language model or without.

Own, for what libraries have does not fit glosses: ``keras.ops.ctc_decode`` and TensorFlow's decoder take no
language model, pyctcdecode spells words out of characters, torchaudio's decoder needs PyTorch and a lexicon.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sign_keras.ctc.labels import BLANK

_NEVER = -np.inf


class LanguageModel(Protocol):
    """What beam search asks of a language model: ``language_model.GlossScores`` has it, of an n-gram model.

    A state stands for the beginning of a sentence; scores are natural log-probabilities.
    """

    @property
    def start(self) -> Any:
        """The state before the first gloss."""

    def advance(self, state: Any, gloss_id: int) -> Any:
        """The state after one more gloss."""

    def next_glosses(self, state: Any) -> np.ndarray:
        """``[V]``: of each gloss as the next one."""

    def end(self, state: Any) -> float:
        """Of the sentence's end."""


@dataclass(frozen=True)
class BeamSearch:
    """How to search.

    A sentence's score is ``log p(sentence | clip) + language_model_weight * log p(sentence) + gloss_bonus *
    glosses``, the first as far as its paths were followed.

    Attributes:
        width: how many beginnings of sentences are kept after each frame.
        prune_below: a gloss is not tried as the next one in a frame where its log-probability is lower; the
            likeliest label always is. None: all are tried.
        language_model: None: none.
        language_model_weight: alpha; 0 takes no notice of the model.
        gloss_bonus: beta, for each gloss; against a language model's liking for short sentences.
        num_best: how many sentences to return, at most.

    Raises:
        ValueError: the width or ``num_best`` is below 1.
    """

    width: int = 16
    prune_below: float | None = None
    language_model: LanguageModel | None = None
    language_model_weight: float = 0.5
    gloss_bonus: float = 0.0
    num_best: int = 1

    def __post_init__(self) -> None:
        if self.width < 1 or self.num_best < 1:
            raise ValueError(f"a beam of {self.width} and {self.num_best} sentences; expected at least 1 of each")


def search_sentences(terms: np.ndarray, search: BeamSearch) -> list[tuple[list[int], float]]:
    """The sentences of one clip with the highest scores, best first: at least one, as gloss ids, and their scores.

    Source: Graves 2012 (Supervised Sequence Labelling with Recurrent Neural Networks), section 7.5, with a language
    model as in Hannun et al. 2014, arXiv:1408.2873, algorithm 1. Different from there, the model scores glosses
    instead of words and judges the sentence's end too, and its scores rank beginnings without being multiplied into
    their probabilities.

    Args:
        terms: ``[frames, V + 1]`` log-probabilities of real frames, blank first.
        search: how.

    Raises:
        ValueError: no sentence is possible: a language model of the caller's rules out whatever the clip allows.
    """
    tree = _Beginnings(search, terms.shape[1] - 1)
    nodes = [0]
    # Log-probability of all paths of a beginning that end with a blank, and of those that end with its last gloss.
    in_blank, in_gloss = np.zeros(1), np.full(1, _NEVER)
    for frame in terms:
        nodes, in_blank, in_gloss = _advance(tree, frame, nodes, in_blank, in_gloss, search)
    scores = np.logaddexp(in_blank, in_gloss) + [tree.final_bonus(node) for node in nodes]
    best = np.argsort(-scores, kind="stable")[: search.num_best]
    return [(tree.sentence(nodes[place]), float(scores[place])) for place in best]


class _Beginnings:
    """Beginnings of sentences as a tree: each is a node, its parent the beginning with one gloss less."""

    def __init__(self, search: BeamSearch, num_glosses: int) -> None:
        weight = search.language_model_weight
        self._model = search.language_model if weight else None
        self._weight, self._bonus = weight, search.gloss_bonus
        self._no_gains = np.full(num_glosses, search.gloss_bonus)
        self.parents, self.labels = [-1], [BLANK]
        self.bonuses = [0.0]  # of the language model and the number of glosses
        self._states: list[Any] = [None if self._model is None else self._model.start]
        self._children: dict[tuple[int, int], int] = {}
        self._gains: dict[int, np.ndarray] = {}

    def gains(self, node: int) -> np.ndarray:
        """``[V]``: what each gloss after a beginning adds to its bonus."""
        if self._model is None:
            return self._no_gains
        if node not in self._gains:
            self._gains[node] = self._weight * self._model.next_glosses(self._states[node]) + self._bonus
        return self._gains[node]

    def child(self, node: int, label: int) -> int:
        """A beginning with one gloss more, always the same node."""
        if (node, label) not in self._children:
            self._children[node, label] = len(self.parents)
            self.parents.append(node)
            self.labels.append(label)
            self.bonuses.append(self.bonuses[node] + float(self.gains(node)[label - 1]))
            state = self._states[node]
            self._states.append(None if self._model is None else self._model.advance(state, label - 1))
        return self._children[node, label]

    def final_bonus(self, node: int) -> float:
        """A beginning's bonus if the sentence ends with it."""
        end = 0.0 if self._model is None else self._model.end(self._states[node])
        return self.bonuses[node] + self._weight * end

    def sentence(self, node: int) -> list[int]:
        """Gloss ids."""
        ids = []
        while node:
            ids.append(self.labels[node] - 1)
            node = self.parents[node]
        return ids[::-1]


def _advance(
    tree: _Beginnings,
    frame: np.ndarray,
    nodes: list[int],
    in_blank: np.ndarray,
    in_gloss: np.ndarray,
    search: BeamSearch,
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """One frame further: each beginning stays what it is or gets a gloss more; the best are kept."""
    last = np.array([tree.labels[node] for node in nodes])
    bonuses = np.array([tree.bonuses[node] for node in nodes])
    either = np.logaddexp(in_blank, in_gloss)
    stays_blank, stays_gloss = either + frame[BLANK], in_gloss + frame[last]

    tried = _tried(frame, search.prune_below)
    grown = either[:, None] + frame[tried]
    # The same gloss again is one more only after a blank.
    again = tried == last[:, None]
    grown[again] = (in_blank[:, None] + frame[tried])[again]

    # A beginning that grows into one that is here already is no new one.
    places = {node: place for place, node in enumerate(nodes)}
    for place, node in enumerate(nodes):
        if (parent := places.get(tree.parents[node])) is not None:
            before = in_blank[parent] if last[parent] == last[place] else either[parent]
            stays_gloss[place] = np.logaddexp(stays_gloss[place], before + frame[last[place]])
            grown[parent, tried == last[place]] = _NEVER

    gains = np.stack([tree.gains(node)[tried - 1] for node in nodes])
    scores = np.concatenate(
        [np.logaddexp(stays_blank, stays_gloss) + bonuses, (grown + bonuses[:, None] + gains).ravel()]
    )
    kept = _highest(scores, search.width)
    all_blank = np.concatenate([stays_blank, np.full(grown.size, _NEVER)])
    all_gloss = np.concatenate([stays_gloss, grown.ravel()])
    chosen = []
    for place in kept.tolist():
        if place < len(nodes):
            chosen.append(nodes[place])
        else:
            parent, column = divmod(place - len(nodes), len(tried))
            chosen.append(tree.child(nodes[parent], int(tried[column])))
    return chosen, all_blank[kept], all_gloss[kept]


def _tried(frame: np.ndarray, prune_below: float | None) -> np.ndarray:
    """The labels of glosses to go on with."""
    if prune_below is None:
        return np.arange(1, len(frame))
    return np.flatnonzero(frame[1:] >= min(prune_below, frame.max())) + 1


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Places of the ``count`` highest scores above ``-inf``, the highest first."""
    places = np.arange(len(scores)) if count >= len(scores) else np.argpartition(-scores, count - 1)[:count]
    places = places[scores[places] > _NEVER]
    if not len(places):
        raise ValueError("no sentence is possible: the language model rules out whatever the clip allows")
    return places[np.argsort(-scores[places], kind="stable")]
