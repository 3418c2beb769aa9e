"""Sentences of a stream: windows go over each stretch of signing, from one rest to the next."""

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from sign_keras.ctc.decoding import DecodedGloss
from sign_keras.inference.artefact import Artefact
from sign_keras.inference.live_frames import LiveFrame, model_inputs
from sign_keras.inference.predictor import ScoredGloss
from sign_keras.inference.sliding_window import SlidingWindow, WindowFrames
from sign_keras.inference.stream_settings import StreamSettings
from sign_keras.inference.ticks import Ticks
from sign_keras.inference.timed_glosses import TimedGloss
from tfrecords_tools.keypoint_layout import KeypointLayout


class SignedSentences:
    """Reads one stretch of signing after the other; what is said is never taken back.

    Attributes:
        scores: glosses that were read and are not sure yet, the latest first, with their confidences.
    """

    def __init__(self, artefact: Artefact, layout: KeypointLayout, settings: StreamSettings) -> None:
        """Prepares windows.

        Raises:
            UserError: the model takes no window as long.
        """
        self.scores: tuple[ScoredGloss, ...] = ()
        self._artefact, self._layout, self._settings = artefact, layout, settings
        rate = artefact.sampling.frame_rate or 1.0
        longest = settings.window_seconds if artefact.streams else artefact.sampling.num_frames / rate
        self._window = WindowFrames.of(artefact, min(settings.window_seconds, longest), settings.hop_seconds)
        self._rate = rate
        self._restart(0.0)

    def _restart(self, start_seconds: float) -> None:
        self._start_seconds = start_seconds
        self._sliding = SlidingWindow(self._artefact, self._window)
        self._ticks: Ticks[LiveFrame] = Ticks(self._rate)
        self._seen: deque[LiveFrame] = deque()

    def begin(self, start_seconds: float, frames: Sequence[LiveFrame]) -> list[TimedGloss]:
        """A stretch began at ``start_seconds``, with these frames."""
        del start_seconds  # glosses have times of their own
        self._restart(frames[0].seconds)
        return [gloss for frame in frames for gloss in self.add(frame)]

    def add(self, frame: LiveFrame) -> list[TimedGloss]:
        """Signing goes on; returns the glosses that are sure by now."""
        return self._read(self._ticks.push(frame.seconds, frame))

    def end(self, end_seconds: float) -> list[TimedGloss]:
        """Signing has ended there; returns the rest of the glosses."""
        del end_seconds  # a sentence ends with the rest that follows it, as in training
        found = self._read(self._ticks.finish()) + self._told(self._sliding.finish())
        self.scores = ()
        return found

    def _read(self, frames: Iterable[LiveFrame]) -> list[TimedGloss]:
        found = [gloss for frame in frames for gloss in self._sliding.push(self._inputs(frame))]
        names = self._artefact.label_map.glosses
        waiting = reversed(self._sliding.waiting[-self._settings.top_k :])
        self.scores = tuple(ScoredGloss(names[gloss.gloss_id], gloss.confidence) for gloss in waiting)
        return self._told(found)

    def _inputs(self, frame: LiveFrame) -> dict[str, np.ndarray]:
        """One frame as the model takes it, ``[1, ...]`` each."""
        self._seen.append(frame)
        while frame.seconds - self._seen[0].seconds > self._settings.window_seconds:
            self._seen.popleft()
        return model_inputs(self._artefact, self._layout, frame, self._seen)

    def _told(self, decoded: Iterable[DecodedGloss]) -> list[TimedGloss]:
        names, start = self._artefact.label_map.glosses, self._start_seconds
        return [
            TimedGloss(
                names[gloss.gloss_id],
                start + gloss.first_frame / self._rate,
                start + (gloss.last_frame + 1) / self._rate,
                gloss.confidence,
            )
            for gloss in decoded
            if gloss.confidence >= self._settings.min_confidence
        ]
