"""Videos to glosses or sentences of glosses, by the very code that made the training's records.

A video becomes a record in memory (frames through JPEG, keypoints through float16), the record becomes a clip as
in evaluation: so a file's answer is the answer that evaluation gave for the same clip.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from sign_keras.ctc.labels import frames_of_logits
from sign_keras.data.clip import prepare_clip
from sign_keras.data.parsing import parse_record
from sign_keras.data.pieces import clip_pieces
from sign_keras.data.sampling import clip_seconds
from sign_keras.decoding import Decoder
from sign_keras.inference.artefact import Artefact
from sign_keras.inference.info import OUTPUT
from sign_keras.inference.sliding_window import SlidingWindow, WindowFrames
from sign_keras.inference.timed_glosses import TimedGloss, gloss_attention, timed_glosses
from tfrecords_tools.clips import Clip, ClipSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.extract import ExtractedClip, SkippedClip
from tfrecords_tools.keypoint_layout import LAYOUTS
from tfrecords_tools.schema import encode_record
from tfrecords_tools.workers import extract_clips

# Of a frame: a clip that is longer than a model's frames by less loses none of its own.
TOLERANCE = 0.5


@dataclass(frozen=True)
class ScoredGloss:
    """A gloss and its probability."""

    gloss: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """A video's answer.

    Attributes:
        path: of the video.
        glosses: the most probable ones, best first.
        seconds: from the video's first frame to its last.
        accepted: false where the first one stands for no sign, or is less probable than the model's threshold.
    """

    path: str
    glosses: tuple[ScoredGloss, ...]
    seconds: float
    accepted: bool = True


@dataclass(frozen=True)
class SentencePrediction:
    """A video's sentence.

    Attributes:
        path: of the video.
        glosses: in their order; none where nothing was recognised.
        confidence: in [0, 1], the probability of this very sentence; None where windows read it, of which none saw
            all of it.
        seconds: from the video's first frame to its last.
        cut: whether the video is longer than what the model takes, which then saw its middle alone.
        frame_seconds: when each frame that the model saw is, as for glosses.
        keyframe_indices: which of these frames were kept, of a model that selects; else None.
        frame_scores: of each frame, in [0, 1], of a model that scores frames; else None.
        attention_weights: of a model that aligns frames with glosses, for each of ``glosses`` a share of each
            frame, 1 together: where it looks most like the gloss. It shows the alignment; logits do not depend on
            it.
    """

    path: str
    glosses: tuple[TimedGloss, ...]
    confidence: float | None
    seconds: float
    cut: bool = False
    frame_seconds: tuple[float, ...] = ()
    keyframe_indices: tuple[int, ...] | None = None
    frame_scores: tuple[float, ...] | None = None
    attention_weights: tuple[tuple[float, ...], ...] | None = None

    @property
    def text(self) -> str:
        """The glosses with spaces between them."""
        return " ".join(gloss.gloss for gloss in self.glosses)


Answer = Prediction | SentencePrediction


class Predictor:
    """Answers for video files.

    Attributes:
        artefact: the model.
        layout: of the keypoints that it takes; None of a model of frames.
    """

    def __init__(self, artefact: Artefact, top_k: int = 5, window: WindowFrames | None = None) -> None:
        """Prepares an artefact for files.

        Args:
            artefact: the model.
            top_k: glosses in an answer; all where the model has fewer.
            window: how to read videos that are longer than a model of sentences takes; None: their middle alone.

        Raises:
            ValueError: ``top_k`` is below 1.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        self.artefact = artefact
        self._top_k, self._window = top_k, window
        self._spec = extraction_spec(artefact.clip_spec, artefact.input_names)
        name = artefact.keypoint_layout if "keypoints" in artefact.input_names else None
        if name is not None and name not in LAYOUTS:
            raise UserError(f"this model takes keypoints of the layout {name!r}, which no video gives")
        self.layout = LAYOUTS[name] if name else None
        self._decoder = None
        if artefact.task == "continuous":
            self._decoder = Decoder(artefact.sentence_decoding, artefact.label_map.glosses)

    def predict(self, paths: Iterable[str], workers: int | None = None) -> Iterator[Answer | SkippedClip]:
        """Answers for each video, in the order given; one that cannot be read whole is a ``SkippedClip``.

        Args:
            paths: of videos; work on a few begins ahead of the answers.
            workers: processes that read videos; by default one a core.
        """
        for extracted in self.extract(paths, workers):
            yield extracted if isinstance(extracted, SkippedClip) else self.answer(extracted)

    def extract(self, paths: Iterable[str], workers: int | None = None) -> Iterator[ExtractedClip | SkippedClip]:
        """Reads each video, as far as the model looks at it; arguments as for ``predict``."""
        clips = (Clip(path=path, glosses=(), media_id=path) for path in paths)
        return extract_clips(clips, self._spec, workers)

    def inputs(self, extracted: ExtractedClip) -> dict[str, np.ndarray]:
        """A clip as the model takes it: a batch of one, as ``Artefact.logits`` wants it."""
        clip = prepare_clip(
            self.parsed(extracted), self.artefact.sampling, self.artefact.input_names, layout=self.layout
        )
        return {name: value.numpy()[np.newaxis] for name, value in clip.items()}

    def parsed(self, extracted: ExtractedClip) -> dict[str, tf.Tensor]:
        """The clip's record, as it is read from a file."""
        return parse_record(encode_record(extracted, label_ids=[]), self.layout)

    def answer(self, extracted: ExtractedClip) -> Answer:
        """Answers for a clip that was read already."""
        if self._decoder is not None:
            return self._sentence(extracted, self._decoder)
        answer = self.artefact.probabilities(self.inputs(extracted))
        accepted = bool(self.artefact.accepts(answer)[0])
        return Prediction(extracted.clip.path, self.best(answer[0]), float(extracted.seconds[-1]), accepted)

    def best(self, probabilities: np.ndarray) -> tuple[ScoredGloss, ...]:
        """The ``top_k`` most probable glosses of ``[V]`` probabilities, best first."""
        best = np.argsort(-probabilities, kind="stable")[: self._top_k]
        names = self.artefact.label_map.glosses
        return tuple(ScoredGloss(names[index], float(probabilities[index])) for index in best)

    def _sentence(self, extracted: ExtractedClip, decoder: Decoder) -> SentencePrediction:
        sampling = self.artefact.sampling
        rate = sampling.frame_rate or 1.0
        beyond = _seconds_beyond(extracted, sampling.num_frames, rate)
        cut = beyond * rate > TOLERANCE
        if cut and self._window is not None:
            return self._long_sentence(extracted, self._window, rate)
        inputs = self.inputs(extracted)
        per_logit = self.artefact.frames_per_logit
        num_frames = int(inputs["frame_mask"].sum())
        outputs = self.artefact.outputs(inputs)
        found = {name: values[0] for name, values in outputs.items() if name != OUTPUT}
        spans = frames_of_logits(num_frames, per_logit, found.get("keyframe_indices"))
        (decoded,) = decoder.decode(outputs[OUTPUT], [len(spans)])
        start = max(beyond / 2, 0.0)
        similarity = found.get("gloss_similarity")
        attention = None if similarity is None else gloss_attention(similarity, decoded.gloss_ids, num_frames)
        confidence = float(np.exp(decoded.log_probability))
        return SentencePrediction(
            extracted.clip.path,
            timed_glosses(decoded.glosses, start + spans / rate, self.artefact.label_map.glosses),
            confidence,
            float(extracted.seconds[-1]),
            cut,
            frame_seconds=tuple(start + np.arange(num_frames) / rate),
            keyframe_indices=tuple(spans[:, 0].tolist()) if "keyframe_indices" in found else None,
            frame_scores=tuple(found["frame_scores"][:num_frames].tolist()) if "frame_scores" in found else None,
            attention_weights=None if attention is None else tuple(tuple(row) for row in attention.tolist()),
        )

    def _long_sentence(self, extracted: ExtractedClip, window: WindowFrames, rate: float) -> SentencePrediction:
        stream = SlidingWindow(self.artefact, window)
        found = []
        names = [name for name in self.artefact.input_names if name != "frame_mask"]
        for piece in clip_pieces(self.parsed(extracted), self.artefact.sampling, names, window.hop):
            found += stream.push({name: value.numpy() for name, value in piece.items()})
        found += stream.finish()
        edges = frames_of_logits(stream.num_frames, 1) / rate
        glosses = timed_glosses(found, edges, self.artefact.label_map.glosses)
        return SentencePrediction(extracted.clip.path, glosses, None, float(extracted.seconds[-1]))


def _seconds_beyond(extracted: ExtractedClip, num_frames: int, rate: float) -> float:
    """How much longer a clip is than a model's frames reach; of one that is longer, the middle is seen."""
    microseconds = np.round((extracted.seconds - extracted.seconds[0]) * 1e6).astype(np.int64)
    length = float(clip_seconds(tf.constant(microseconds), rate))
    return length - num_frames / rate


def extraction_spec(spec: ClipSpec, input_names: Iterable[str]) -> ClipSpec:
    """What to extract from a video: as for records, less the keypoints that nothing looks at.

    MediaPipe takes forty times as long as decoding. The frames do not depend on it, unless the hands say where to
    crop.

    Args:
        spec: of the records.
        input_names: of the model.
    """
    needs_keypoints = spec.crop.mode == "hands" or "keypoints" in input_names
    return spec.model_copy(update={"sampling": None, "keypoints": spec.keypoints if needs_keypoints else None})
