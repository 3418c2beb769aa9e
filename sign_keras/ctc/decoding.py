"""CTC logits to sentences that lie in time: each gloss with its frames and how sure the model is of it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sign_keras.ctc.alignment import forced_alignments, sentence_log_probabilities
from sign_keras.ctc.beam_search import BeamSearch, search_sentences
from sign_keras.ctc.labels import BLANK, log_probabilities


@dataclass(frozen=True)
class DecodedGloss:
    """One gloss of a decoded sentence.

    Attributes:
        gloss_id: in the label map.
        first_frame: of the logits, where the likeliest path of the sentence says this gloss.
        last_frame: likewise, inclusive.
        confidence: in [0, 1]: the mean over these frames of the probability (softmax) of the gloss. No language
            model and no other frame has a part in it. It is a measure to compare with; to be read as how often such
            a gloss is right, it has to be calibrated.
    """

    gloss_id: int
    first_frame: int
    last_frame: int
    confidence: float


@dataclass(frozen=True)
class Decoding:
    """A sentence, and how it lies in the clip.

    Attributes:
        glosses: none where every path of it is blank.
        log_probability: natural, of this very sentence: of all its paths. No language model has a part in it.
        score: what decoding ranked it by.
    """

    glosses: tuple[DecodedGloss, ...]
    log_probability: float
    score: float

    @property
    def gloss_ids(self) -> list[int]:
        """The sentence."""
        return [gloss.gloss_id for gloss in self.glosses]


def greedy_decode(logits: np.ndarray, num_frames: np.ndarray | Sequence[int]) -> list[Decoding]:
    """The sentence of the likeliest path, which need not be the likeliest sentence. Its score is that path's.

    Of equally likely labels, the first is taken: the blank before all glosses.

    Args:
        logits: ``[B, T, V + 1]``, blank first.
        num_frames: ``[B]`` integers: how many frames of each clip are real; with none, the sentence is empty.

    Raises:
        ValueError: see ``labels.log_probabilities``.
    """
    terms = log_probabilities(logits, num_frames)
    paths = terms.argmax(axis=2)
    sentences = [
        [label - 1 for before, label in itertools.pairwise([BLANK, *path]) if label not in (BLANK, before)]
        for path in (path[:length].tolist() for path, length in zip(paths, num_frames, strict=True))
    ]
    return _decodings(terms, num_frames, sentences, terms.max(axis=2).sum(axis=1))


def beam_decode(
    logits: np.ndarray, num_frames: np.ndarray | Sequence[int], search: BeamSearch
) -> list[list[Decoding]]:
    """The sentences of each clip with the highest scores, best first: at least one. See ``beam_search``.

    Args:
        logits: ``[B, T, V + 1]``, blank first.
        num_frames: ``[B]`` integers: how many frames of each clip are real; with none, the sentence is empty.
        search: how.

    Raises:
        ValueError: see ``labels.log_probabilities`` and ``beam_search.search_sentences``.
    """
    results = []
    for clip, length in zip(log_probabilities(logits, num_frames), num_frames, strict=True):
        found = search_sentences(clip[:length], search)
        terms = np.repeat(clip[None], len(found), axis=0)
        sentences, scores = zip(*found, strict=True)
        results.append(_decodings(terms, [length] * len(found), sentences, scores))
    return results


def _decodings(
    terms: np.ndarray,
    num_frames: np.ndarray | Sequence[int],
    sentences: Sequence[Sequence[int]],
    scores: np.ndarray | Sequence[float],
) -> list[Decoding]:
    """Sentences of clips with log-probabilities ``[B, T, V + 1]``, each laid along its clip."""
    alignments = forced_alignments(terms, num_frames, sentences)
    totals = sentence_log_probabilities(terms, num_frames, sentences)
    return [
        Decoding(
            tuple(
                DecodedGloss(gloss, first, last, float(np.exp(frames[first : last + 1, gloss + 1]).mean()))
                for gloss, (first, last) in zip(sentence, alignment.spans, strict=True)
            ),
            float(total),
            float(score),
        )
        for frames, sentence, alignment, total, score in zip(
            terms, sentences, alignments, totals, scores, strict=True
        )
    ]
