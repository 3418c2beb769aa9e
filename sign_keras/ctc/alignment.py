"""Which frames belong to which gloss of a sentence that is known: forced alignment.

A sentence of L glosses has ``2 L + 1`` *states*: blank, gloss, blank, ..., gloss, blank. A path stays in a state,
goes on to the next, or leaves out the blank between two different glosses (Graves 2012, Supervised Sequence
Labelling with Recurrent Neural Networks, section 7.3). All clips of a batch are gone through at once, frame by
frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sign_keras.ctc.labels import BLANK, ClipTooShortError, frames_needed, log_probabilities

_NEVER = -np.inf


@dataclass(frozen=True)
class ForcedAlignment:
    """The likeliest path of a sentence.

    Attributes:
        labels: ``[frames]`` int64, the label of each real frame: 0 is the blank, ``gloss id + 1`` a gloss.
        spans: first and last frame of each gloss, inclusive, in the order of the sentence.
        log_probability: of this one path, natural.
    """

    labels: np.ndarray
    spans: tuple[tuple[int, int], ...]
    log_probability: float


def forced_alignments(
    logits: np.ndarray,
    num_frames: np.ndarray | Sequence[int],
    sentences: Sequence[Sequence[int]],
    clips: Sequence[str] = (),
) -> list[ForcedAlignment]:
    """The likeliest path of each clip's sentence (Viterbi).

    An empty sentence has one path: blanks only.

    Args:
        logits: ``[B, T, V + 1]``, blank first.
        num_frames: ``[B]`` integers: how many frames of each clip are real.
        sentences: gloss ids of each clip, in [0, V).
        clips: their names, for the error's text; else their number within the batch stands there.

    Raises:
        ClipTooShortError: a clip's real frames are too few for its glosses.
        ValueError: a sentence cannot be, since a gloss of it has no probability (``-inf``) anywhere; a gloss id is
            out of range; or see ``labels.log_probabilities``.
    """
    num_frames = np.asarray(num_frames)
    states = _States(log_probabilities(logits, num_frames), num_frames, sentences)
    _check_possible(num_frames, sentences, clips)
    scores, steps = _viterbi(states)
    return [
        _trace(scores[clip], steps[clip], int(num_frames[clip]), states.labels[clip], len(sentence))
        for clip, sentence in enumerate(sentences)
    ]


def sentence_log_probabilities(
    logits: np.ndarray, num_frames: np.ndarray | Sequence[int], sentences: Sequence[Sequence[int]]
) -> np.ndarray:
    """``[B]`` float64, natural: how probable each clip's sentence is, over all paths. The CTC loss is its negative.

    ``-inf`` where a clip is too short for its sentence. Of a clip without frames, the empty sentence is certain.

    Args:
        logits: ``[B, T, V + 1]``, blank first.
        num_frames: ``[B]`` integers: how many frames of each clip are real.
        sentences: gloss ids of each clip, in [0, V).

    Raises:
        ValueError: a gloss id is out of range, or see ``labels.log_probabilities``.
    """
    num_frames = np.asarray(num_frames)
    states = _States(log_probabilities(logits, num_frames), num_frames, sentences)
    if not logits.shape[1]:
        return np.where(states.num_states == 1, 0.0, _NEVER)
    clips = np.arange(len(sentences))
    last = _forward(states)[clips, np.maximum(num_frames - 1, 0)]
    final = last[clips, states.num_states - 1]
    before = np.where(states.num_states > 1, last[clips, np.maximum(states.num_states - 2, 0)], _NEVER)
    empty = np.where(states.num_states == 1, 0.0, _NEVER)
    return np.where(num_frames == 0, empty, np.logaddexp(final, before))


class _States:
    """The states of a batch's sentences, and how probable each is in each frame.

    Attributes:
        labels: ``[B, S]`` label of each state; S is ``2 L + 1`` of the longest sentence, padded with blanks.
        num_states: ``[B]`` how many are real.
        num_frames: ``[B]``
        emissions: ``[B, T, S]`` log-probability of a state's label, ``-inf`` where the state is not real.
        skips: ``[B, S]`` bool: whether the state may follow the last but one.
        real_frames: ``[B, T]`` bool.
    """

    def __init__(self, terms: np.ndarray, num_frames: np.ndarray, sentences: Sequence[Sequence[int]]) -> None:
        num_clips, num_steps, num_labels = terms.shape
        if len(sentences) != num_clips:
            raise ValueError(f"{len(sentences)} sentences for {num_clips} clips")
        self.num_states = np.array([2 * len(sentence) + 1 for sentence in sentences], np.int64)
        self.labels = np.full((num_clips, self.num_states.max(initial=1)), BLANK)
        for clip, sentence in enumerate(sentences):
            if any(not 0 <= gloss < num_labels - 1 for gloss in sentence):
                raise ValueError(f"clip {clip}: gloss ids {list(sentence)} are not all in [0, {num_labels - 1})")
            self.labels[clip, 1 : 2 * len(sentence) : 2] = np.asarray(sentence, np.int64) + 1
        self.num_frames = num_frames
        self.real_frames = np.arange(num_steps) < num_frames[:, None]
        real = np.arange(self.labels.shape[1]) < self.num_states[:, None]
        emissions = np.take_along_axis(
            terms, np.broadcast_to(self.labels[:, None], (*terms.shape[:2], real.shape[1])), 2
        )
        self.emissions = np.where(real[:, None], emissions, _NEVER)
        self.skips = np.zeros(self.labels.shape, bool)
        self.skips[:, 2:] = (self.labels[:, 2:] != BLANK) & (self.labels[:, 2:] != self.labels[:, :-2])


def _arrivals(scores: np.ndarray, skips: np.ndarray) -> np.ndarray:
    """``[3, B, S]``: the scores of staying in a state, of the state before, and of the one before that."""
    arrivals = np.full((3, *scores.shape), _NEVER)
    arrivals[0] = scores
    arrivals[1, :, 1:] = scores[:, :-1]
    arrivals[2, :, 2:] = np.where(skips[:, 2:], scores[:, :-2], _NEVER)
    return arrivals


def _start(states: _States) -> np.ndarray:
    """``[B, S]`` scores of the first frame: a path begins with the blank or the first gloss."""
    scores = np.full(states.labels.shape, _NEVER)
    scores[:, :2] = states.emissions[:, 0, :2]
    return scores


def _forward(states: _States) -> np.ndarray:
    """``[B, T, S]``: log-probability of all beginnings of paths that end in a state at a frame, that frame
    included.
    """
    forward = np.empty_like(states.emissions)
    for frame in range(states.emissions.shape[1]):
        if frame == 0:
            forward[:, 0] = _start(states)
        else:
            forward[:, frame] = np.logaddexp.reduce(_arrivals(forward[:, frame - 1], states.skips), axis=0)
            forward[:, frame] += states.emissions[:, frame]
    return forward


def _viterbi(states: _States) -> tuple[np.ndarray, np.ndarray]:
    """``[B, T, S]``: the score of the best beginning that ends in a state at a frame, and how many states back its
    frame before was.
    """
    scores = np.empty_like(states.emissions)
    steps = np.zeros(states.emissions.shape, np.int64)
    for frame in range(states.emissions.shape[1]):
        if frame == 0:
            scores[:, 0] = _start(states)
        else:
            arrivals = _arrivals(scores[:, frame - 1], states.skips)
            steps[:, frame] = arrivals.argmax(axis=0)
            scores[:, frame] = arrivals.max(axis=0) + states.emissions[:, frame]
    return scores, steps


def _trace(
    scores: np.ndarray, steps: np.ndarray, num_frames: int, labels: np.ndarray, length: int
) -> ForcedAlignment:
    """The best path of one clip out of ``_viterbi``."""
    if not num_frames:  # of an empty sentence, or the clip would have been too short
        return ForcedAlignment(np.zeros(0, np.int64), (), 0.0)
    ends = [2 * length, 2 * length - 1] if length else [0]
    state = max(ends, key=lambda end: scores[num_frames - 1, end])
    score = float(scores[num_frames - 1, state])
    if score == _NEVER:
        raise _no_path(labels)
    path = np.empty(num_frames, np.int64)
    for frame in range(num_frames - 1, -1, -1):
        path[frame] = state
        state -= steps[frame, state]
    places = [np.flatnonzero(path == 2 * place + 1) for place in range(length)]
    return ForcedAlignment(labels[path], tuple((int(place[0]), int(place[-1])) for place in places), score)


def _no_path(labels: np.ndarray) -> ValueError:
    """For a sentence of these states' labels."""
    sentence = [int(label) - 1 for label in labels if label != BLANK]
    return ValueError(f"no path of the glosses {sentence} has any probability: the logits of some are -inf")


def _check_possible(num_frames: np.ndarray, sentences: Sequence[Sequence[int]], clips: Sequence[str]) -> None:
    """Raises ``ClipTooShortError`` of the first clip that cannot carry its sentence."""
    for number, (frames, sentence) in enumerate(zip(num_frames, sentences, strict=True)):
        if frames < (needed := frames_needed(sentence)):
            name = clips[number] if clips else f"clip {number} of the batch"
            raise ClipTooShortError(
                f"{name}: {frames} frames cannot carry {len(sentence)} glosses, which need {needed} (repeated ones "
                "need a blank between them); keep more frames of it, or leave the clip out"
            )
