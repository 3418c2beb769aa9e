"""Sentences without an end: a stream of frames read by windows that overlap, into glosses that never change again.

A window goes over the stream in steps. A model of whole clips looks at each window anew; through a causal one every
frame goes once, and windows are of its logits alone. ``ctc.local_agreement`` says what two windows are agreed on.
"""

import abc
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sign_keras.config.ratio import FramesPerLogit
from sign_keras.ctc.decoding import DecodedGloss
from sign_keras.ctc.labels import frames_of_logits
from sign_keras.ctc.local_agreement import LocalAgreement
from sign_keras.decoding import Decoder
from sign_keras.inference.artefact import Artefact
from sign_keras.inference.info import OUTPUT
from tfrecords_tools.command_line import UserError

# How far apart two windows may see the same gloss: less than the quickest signing repeats a sign in.
NEARBY_SECONDS = 0.3
# Where nothing is said about it, a window moves on by this share of itself.
HOP_SHARE = 1 / 8


@dataclass(frozen=True)
class WindowFrames:
    """A window, in frames of the model's ``sampling.frame_rate``.

    Attributes:
        length: of the window.
        hop: how far it moves on.
        margin: at each of its ends, where signs may be cut off; a gloss there is left to the window before or
            after.

    Raises:
        ValueError: one is not positive, or not every frame is trusted by two windows.
    """

    length: int
    hop: int
    margin: int

    def __post_init__(self) -> None:
        if min(self.length, self.hop, self.margin) < 1 or self.length < 2 * (self.hop + self.margin):
            raise ValueError(
                f"a window of {self.length} frames with a hop of {self.hop} and margins of {self.margin}; expected "
                "at least twice hop and margin together, and each at least 1"
            )

    @classmethod
    def of(cls, artefact: Artefact, seconds: float, hop_seconds: float | None = None) -> "WindowFrames":
        """A window for a model; margins are as wide as the hop.

        Args:
            artefact: the model.
            seconds: length of the window.
            hop_seconds: how far it moves on; None: an eighth of the window.

        Raises:
            UserError: the model reads no sentences or takes no window as long; or the window is too short.
        """
        rate = _frame_rate(artefact)
        grid = _grid(artefact.frames_per_logit)
        hop_seconds = seconds * HOP_SHARE if hop_seconds is None else hop_seconds
        # To rates of float32 a window of just the model's length may lack a frame.
        length, hop = (int(value * rate / grid + 1e-3) * grid for value in (seconds, hop_seconds))
        if length > artefact.sampling.num_frames and not artefact.streams:
            longest = artefact.sampling.num_frames / rate
            raise UserError(f"a window of {seconds:g} s: {artefact.name} takes {longest:g} s at most")
        if hop < 1 or length < 4 * hop:
            raise UserError(
                f"a window of {seconds:g} s that moves on by {hop_seconds:g} s: it must be at least 4 times as "
                f"long, and move on by {grid / rate:.3g} s or more"
            )
        return cls(length, hop, margin=hop)


class SlidingWindow:
    """Reads one stream.

    What it returns depends on the frames alone, not on how they were dealt to ``push``.

    Attributes:
        num_frames: how many frames it was given so far.
    """

    def __init__(self, artefact: Artefact, window: WindowFrames) -> None:
        """Begins a stream.

        Args:
            artefact: a model that reads sentences.
            window: see ``WindowFrames``.

        Raises:
            UserError: the model reads no sentences.
            ValueError: the window is longer than a clip of the model, or does not move by whole frames of its
                logits.
        """
        grid = _grid(artefact.frames_per_logit)
        if window.length % grid or window.hop % grid:
            raise ValueError(f"{window}: one frame of the logits stands for {grid}; expected multiples of it")
        self.num_frames = 0
        self._window, self._grid = window, grid
        self._decoder = Decoder(artefact.sentence_decoding, artefact.label_map.glosses)
        self._agreement = LocalAgreement(_frame_rate(artefact) * NEARBY_SECONDS)
        self._view: _View = _Steps(artefact) if artefact.streams else _Clips(artefact, window.length)
        self._read: tuple[int, int, list[DecodedGloss]] = (0, 0, [])

    @property
    def waiting(self) -> list[DecodedGloss]:
        """What the last window reads beyond what was returned; it may still change."""
        return list(self._agreement.waiting)

    def push(self, inputs: Mapping[str, np.ndarray]) -> list[DecodedGloss]:
        """Takes the next frames.

        Args:
            inputs: ``[n, ...]`` each, at the model's frame rate: of ``Artefact.input_names``, all but
                ``frame_mask``; what else there is is not looked at.

        Returns:
            The glosses that are now sure, often none; they follow those of the calls before. Their frames are the
            stream's, from 0, at the model's frame rate.
        """
        said = []
        available, place = len(next(iter(inputs.values()))), 0
        while place < available:
            step = min(available - place, self._window.hop - self.num_frames % self._window.hop)
            self._view.add({name: values[place : place + step] for name, values in inputs.items()})
            place += step
            self.num_frames += step
            if self.num_frames % self._window.hop == 0:
                said += self._move_on()
        return said

    def finish(self) -> list[DecodedGloss]:
        """The rest, once the stream has ended; as ``push`` returns it."""
        if not self.num_frames:
            return []
        start, end, glosses = self._read
        if end < self.num_frames:
            start = self._start(self.num_frames)
            glosses = self._look(start, self.num_frames)
        return self._agreement.finish(glosses, self._first_trusted(start))

    def _move_on(self) -> list[DecodedGloss]:
        end = self.num_frames
        start, next_start = self._start(end), self._start(end + self._window.hop)
        glosses = self._look(start, end)
        trusted = range(self._first_trusted(start), end - self._window.margin)
        said = self._agreement.add(glosses, trusted, self._first_trusted(next_start))
        self._view.forget(start)  # where the stream ends before it moves on, the last window begins in between
        self._read = (start, end, glosses)
        return said

    def _start(self, end: int) -> int:
        """Of the window that ends there, where a frame of the logits begins."""
        return -(-max(end - self._window.length, 0) // self._grid) * self._grid

    def _first_trusted(self, start: int) -> int:
        return start + self._window.margin if start else 0

    def _look(self, start: int, end: int) -> list[DecodedGloss]:
        logits, spans = self._view.logits(start, end)
        (decoded,) = self._decoder.decode(logits[np.newaxis], [len(spans)])
        return [
            DecodedGloss(
                gloss.gloss_id,
                int(spans[gloss.first_frame, 0]),
                int(spans[gloss.last_frame, 1]) - 1,
                gloss.confidence,
            )
            for gloss in decoded.glosses
        ]


class _View(abc.ABC):
    """The latest frames of a stream, as a model sees them."""

    @abc.abstractmethod
    def add(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Takes the next frames, ``[n, ...]`` each."""

    @abc.abstractmethod
    def logits(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """``[T', V + 1]`` of the frames from ``start`` up to ``end``, the latest one; and for each frame of them
        the first of the stream that it stands for and the one behind the last, ``[T', 2]``. More logits may follow.
        """

    @abc.abstractmethod
    def forget(self, before: int) -> None:
        """Frames before this one will not be asked for any more."""


class _Clips(_View):
    """Through a model of whole clips: each window is a clip, padded as in evaluation."""

    def __init__(self, artefact: Artefact, longest: int) -> None:
        if longest > artefact.sampling.num_frames:
            raise ValueError(
                f"a window of {longest} frames; {artefact.name} takes {artefact.sampling.num_frames} at most"
            )
        self._artefact = artefact
        self._names = [name for name in artefact.input_names if name != "frame_mask"]
        self._kept: dict[str, np.ndarray] = {}
        self._first = 0

    def add(self, inputs: Mapping[str, np.ndarray]) -> None:
        """See ``_View``."""
        for name in self._names:
            parts = [self._kept[name], inputs[name]] if name in self._kept else [inputs[name]]
            self._kept[name] = np.concatenate(parts)

    def logits(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``_View``."""
        wanted, num_frames = self._artefact.sampling.num_frames, end - start
        clip = {name: values[start - self._first : end - self._first] for name, values in self._kept.items()}
        inputs = {
            name: np.concatenate([values, np.repeat(values[-1:], wanted - num_frames, axis=0)])[np.newaxis]
            for name, values in clip.items()
        }
        inputs["frame_mask"] = np.arange(wanted)[np.newaxis] < num_frames
        outputs = self._artefact.outputs(inputs)
        keyframes = outputs["keyframe_indices"][0] if "keyframe_indices" in outputs else None
        spans = frames_of_logits(num_frames, self._artefact.frames_per_logit, keyframes)
        return outputs[OUTPUT][0], spans + start

    def forget(self, before: int) -> None:
        """See ``_View``."""
        self._kept = {name: values[before - self._first :] for name, values in self._kept.items()}
        self._first = before


class _Steps(_View):
    """Through a causal model: frame by frame, each once."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._state = artefact.initial_state()
        self._logits: deque[np.ndarray] = deque()
        self._first = 0

    def add(self, inputs: Mapping[str, np.ndarray]) -> None:
        """See ``_View``."""
        for frame in np.asarray(inputs["keypoints"], np.float32):
            logits, self._state = self._artefact.step(frame[np.newaxis, np.newaxis], self._state)
            self._logits.append(logits[0, 0])

    def logits(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``_View``."""
        logits = np.stack(self._logits)[start - self._first : end - self._first]
        return logits, start + frames_of_logits(end - start, 1)

    def forget(self, before: int) -> None:
        """See ``_View``."""
        for _ in range(before - self._first):
            self._logits.popleft()
        self._first = before


def _frame_rate(artefact: Artefact) -> float:
    """The rate at which a model of sentences takes frames.

    Raises:
        UserError: it is none.
    """
    rate = artefact.sampling.frame_rate
    if artefact.task != "continuous" or rate is None:
        raise UserError(f"{artefact.name}: names one sign a clip; windows are of models that read sentences")
    return rate


def _grid(frames_per_logit: FramesPerLogit) -> int:
    """How many frames one frame of the logits stands for, where that is a whole number; else 1."""
    return frames_per_logit.numerator if frames_per_logit.denominator == 1 else 1
