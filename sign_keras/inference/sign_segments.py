"""Single signs of a stream: what lies between two rests is a clip, answered as ``predict`` answers a file of it."""

from collections.abc import Sequence

import numpy as np

from sign_keras.calibration import softmax
from sign_keras.inference.artefact import Artefact
from sign_keras.inference.live_frames import LiveFrame, live_clip, model_inputs
from sign_keras.inference.predictor import Prediction, Predictor, ScoredGloss
from sign_keras.inference.stream_settings import StreamSettings
from sign_keras.inference.ticks import Ticks
from sign_keras.inference.timed_glosses import TimedGloss
from sign_keras.models.streaming import frame_input
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.keypoint_layout import KeypointLayout


class SignSegments:
    """Reads one sign after the other.

    While a sign is made, its scores are those of its frames so far: a causal model goes along frame by frame,
    others are asked about the clip so far now and then. Once it has ended, the clip decides.

    Attributes:
        scores: best glosses of the present sign so far, or of the last one; best first.
    """

    def __init__(self, artefact: Artefact, layout: KeypointLayout, settings: StreamSettings) -> None:
        self.scores: tuple[ScoredGloss, ...] = ()
        self._artefact, self._layout, self._settings = artefact, layout, settings
        self._predictor = Predictor(artefact, settings.top_k)
        self._start_seconds = self._next_look = 0.0
        self._frames: list[LiveFrame] = []
        self._smoothed: np.ndarray | None = None
        self._steps: _Steps | None = None

    def begin(self, start_seconds: float, frames: Sequence[LiveFrame]) -> list[TimedGloss]:
        """A sign began at ``start_seconds``, with these frames."""
        self._start_seconds, self._next_look = start_seconds, frames[-1].seconds
        self._frames, self._smoothed = [], None
        self._steps = _Steps(self._artefact, self._layout) if self._artefact.streams else None
        for frame in frames:
            self.add(frame)
        return []

    def add(self, frame: LiveFrame) -> list[TimedGloss]:
        """The sign goes on."""
        self._frames.append(frame)
        if self._steps is not None:
            self._steps.add(frame, self._frames)
        if frame.seconds >= self._next_look:
            self._next_look = frame.seconds + self._settings.refresh_seconds
            self._look()
        return []

    def end(self, end_seconds: float) -> list[TimedGloss]:
        """The sign has ended there; returns it, if the model knows it."""
        answer = self._predictor.answer(
            self._clip([frame for frame in self._frames if frame.seconds <= end_seconds])
        )
        assert isinstance(answer, Prediction)
        self._frames, self._steps, self.scores = [], None, answer.glosses
        best = answer.glosses[0]
        if not answer.accepted or best.probability < self._settings.min_confidence:
            return []
        return [TimedGloss(best.gloss, self._start_seconds, end_seconds, best.probability)]

    def _look(self) -> None:
        if self._steps is None:
            probabilities = self._artefact.probabilities(self._predictor.inputs(self._clip(self._frames)))[0]
        elif self._steps.logits is not None:
            probabilities = softmax(self._steps.logits, self._artefact.temperature)[0]
        else:
            return
        share = 0.0 if self._smoothed is None else self._settings.score_smoothing
        before = probabilities if self._smoothed is None else self._smoothed
        self._smoothed = share * before + (1 - share) * probabilities
        self.scores = self._predictor.best(self._smoothed)

    def _clip(self, frames: Sequence[LiveFrame]) -> ExtractedClip:
        return live_clip(frames, self._artefact.clip_spec, self._layout)


class _Steps:
    """A sign through a causal model, frame by frame at the model's rate."""

    def __init__(self, artefact: Artefact, layout: KeypointLayout) -> None:
        self.logits: np.ndarray | None = None
        self._artefact, self._layout, self._state = artefact, layout, artefact.initial_state()
        self._ticks: Ticks[LiveFrame] = Ticks(artefact.sampling.frame_rate or 1.0)

    def add(self, frame: LiveFrame, seen: Sequence[LiveFrame]) -> None:
        for shown in self._ticks.push(frame.seconds, frame):
            inputs = model_inputs(self._artefact, self._layout, shown, seen)
            frames = inputs[frame_input(inputs)][np.newaxis]
            self.logits, self._state = self._artefact.step(frames, self._state)
