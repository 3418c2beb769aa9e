"""What a model makes of a clip: the answer, when it says what, and which frames it kept.

The one place that looks at a model's outputs by name: what a model does not have is None here.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from sign_keras.calibration import softmax
from sign_keras.ctc.alignment import forced_alignments
from sign_keras.ctc.labels import frames_needed, frames_of_logits
from sign_keras.decoding import Decoder
from sign_keras.inference.artefact import Artefact
from sign_keras.inference.info import OUTPUT
from sign_keras.inference.timed_glosses import TimedGloss, gloss_attention, timed_glosses
from sign_keras.pictures.clips import ShownClip
from sign_keras.pictures.evidence import Score


@dataclass(frozen=True)
class Keyframes:
    """Which of a clip's n real frames a model that selects kept.

    Attributes:
        kept: ``[n]`` bool.
        scores: ``[n]`` float in [0, 1]; None where frames are chosen without any.
    """

    kept: np.ndarray
    scores: np.ndarray | None


@dataclass(frozen=True)
class SignReading:
    """The answer to a clip of one sign.

    Attributes:
        probabilities: ``[V]``, at the model's temperature.
        answer: the likeliest gloss.
        accepted: false where it counts as no sign.
        right: None where nobody says what is signed.
        score: what is to be explained: the answer's logit.
    """

    probabilities: np.ndarray
    answer: str
    accepted: bool
    right: bool | None
    score: Score


@dataclass(frozen=True)
class SentenceReading:
    """The answer to a clip of a sentence. Frames of the logits are n'.

    Attributes:
        probabilities: ``[n', V + 1]``, blank first.
        spans: ``[n', 2]``: the first frame of the clip that each frame of the logits stands for, and the one behind
            the last.
        edges: ``[n', 2]`` seconds: the same in time.
        read: the glosses it reads.
        signed: the glosses that are signed, laid along the clip by the likeliest path; None where there is none.
        why_not_signed: then, why.
        right: None where nobody says what is signed.
        keyframes: None where every frame is kept.
        frame_attention: ``[glosses read, n]``: of a model that aligns frames with glosses, where it looks most like
            each; rows sum to 1. Else None.
        score: what is to be explained: the logits of what it reads, along the likeliest path.
    """

    probabilities: np.ndarray
    spans: np.ndarray
    edges: np.ndarray
    read: tuple[TimedGloss, ...]
    signed: tuple[TimedGloss, ...] | None
    why_not_signed: str
    right: bool | None
    keyframes: Keyframes | None
    frame_attention: np.ndarray | None
    score: Score


Reading = SignReading | SentenceReading


def read_clip(artefact: Artefact, clip: ShownClip) -> Reading:
    """Lets a model read a clip.

    Args:
        artefact: the model.
        clip: of its records, or a video.
    """
    outputs = artefact.outputs(clip.inputs)
    return _sentence(artefact, clip, outputs) if artefact.task == "continuous" else _sign(artefact, clip, outputs)


def _sign(artefact: Artefact, clip: ShownClip, outputs: dict[str, np.ndarray]) -> SignReading:
    probabilities = softmax(outputs[OUTPUT], artefact.temperature)
    best = int(probabilities[0].argmax())
    answer = artefact.label_map.glosses[best]
    return SignReading(
        probabilities[0],
        answer,
        bool(artefact.accepts(probabilities)[0]),
        None if clip.glosses is None else clip.glosses == (answer,),
        lambda logits: logits[0, best],
    )


def _sentence(artefact: Artefact, clip: ShownClip, outputs: dict[str, np.ndarray]) -> SentenceReading:
    glosses = artefact.label_map.glosses
    indices = outputs["keyframe_indices"][0] if "keyframe_indices" in outputs else None
    spans = frames_of_logits(clip.num_frames, artefact.frames_per_logit, indices)
    logits = outputs[OUTPUT][:, : len(spans)]
    probabilities = softmax(logits[0])
    (decoded,) = Decoder(artefact.sentence_decoding, glosses).decode(logits, [len(spans)])
    edges = clip.edges[spans]
    read = timed_glosses(decoded.glosses, edges, glosses)
    signed, why = _signed(artefact, clip, logits, probabilities, edges)
    places = [
        (frame, gloss.gloss_id + 1)
        for gloss in decoded.glosses
        for frame in range(gloss.first_frame, gloss.last_frame + 1)
    ]
    similarity = outputs.get("gloss_similarity")
    attention = None
    if similarity is not None and decoded.glosses:
        attention = gloss_attention(similarity[0], decoded.gloss_ids, clip.num_frames)
    return SentenceReading(
        probabilities,
        spans,
        edges,
        read,
        signed,
        why,
        None if clip.glosses is None else clip.glosses == tuple(gloss.gloss for gloss in read),
        _keyframes(clip, spans, indices, outputs.get("frame_scores")),
        attention,
        lambda logits: _sum_at(logits, places),
    )


def _signed(
    artefact: Artefact, clip: ShownClip, logits: np.ndarray, probabilities: np.ndarray, edges: np.ndarray
) -> tuple[tuple[TimedGloss, ...] | None, str]:
    """The reference laid along the clip, or why it cannot be."""
    if clip.glosses is None:
        return None, "nobody says what is signed in this video"
    if unknown := [gloss for gloss in clip.glosses if gloss not in artefact.label_map]:
        return None, f"the model does not have the gloss {unknown[0]}"
    if len(edges) < (needed := frames_needed(clip.glosses)):
        return None, f"{len(edges)} frames of the logits cannot carry the sentence, which needs {needed}"
    ids = [artefact.label_map.id(gloss) for gloss in clip.glosses]
    (alignment,) = forced_alignments(logits, [len(edges)], [ids])
    return tuple(
        TimedGloss(
            gloss,
            float(edges[first, 0]),
            float(edges[last, 1]),
            float(probabilities[first : last + 1, gloss_id + 1].mean()),
        )
        for gloss, gloss_id, (first, last) in zip(clip.glosses, ids, alignment.spans, strict=True)
    ), ""


def _keyframes(
    clip: ShownClip, spans: np.ndarray, indices: np.ndarray | None, scores: np.ndarray | None
) -> Keyframes | None:
    if indices is None:
        return None
    kept = np.zeros(clip.num_frames, bool)
    kept[spans[:, 0]] = True
    return Keyframes(kept, None if scores is None else np.asarray(scores[0, : clip.num_frames], np.float64))


def _sum_at(logits: Any, places: list[tuple[int, int]]) -> Any:
    """The sum of ``logits[0]`` at (frame, label); 0 where nothing is read."""
    picked = np.zeros(logits.shape, np.float32)
    for frame, label in places:
        picked[0, frame, label] = 1
    return keras.ops.sum(logits * picked)
