"""All that can be said of one clip: which pictures there are of it, and why others are not."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sign_keras.config import EnsembleConfig
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.pictures import attention_figures, figures
from sign_keras.pictures.attention import attention_maps
from sign_keras.pictures.clips import ShownClip
from sign_keras.pictures.drawing import NOTHING, Picture
from sign_keras.pictures.evidence import grad_cam, keypoint_saliency, map_layer
from sign_keras.pictures.reading import Reading, SentenceReading, read_clip
from sign_keras.pictures.skeleton import draw_skeletons, shown_rows
from sign_keras.pictures.tiles import shares, with_heat
from sign_keras.run import Run

GROUP_NAMES = {"left_hand": "left hand", "right_hand": "right hand"}


@dataclass(frozen=True)
class Explanation:
    """A clip, read and explained.

    Attributes:
        clip: which one.
        reading: what the model makes of it.
        pictures: in the order of the page.
        frames: ``[n, H, W, 3]`` uint8 as the model sees them; None where it takes keypoints.
        tiles: the same with what speaks for the answer laid over them, or skeletons.
        evidence: what the tiles show, in a sentence.
        readout: for a reader of single frames: name of a value -> its text at each of the n frames.
        start: the frame with most evidence; without any, the middle one.
        left_out: why a picture is not there, a sentence each.
    """

    clip: ShownClip
    reading: Reading
    pictures: tuple[Picture, ...]
    frames: np.ndarray | None
    tiles: np.ndarray
    evidence: str
    readout: dict[str, list[str]]
    start: int
    left_out: tuple[str, ...]


def explain(artefact: RunArtefact, run: Run, clip: ShownClip) -> Explanation:
    """Reads a clip and draws up what there is to see."""
    reading, left_out = read_clip(artefact, clip), []
    is_ensemble = isinstance(run.config.model, EnsembleConfig)
    keyframes = reading.keyframes if isinstance(reading, SentenceReading) else None
    frames, tiles, groups, evidence, why_none = _evidence(artefact, clip, reading, is_ensemble)
    pictures = [_answer(artefact, clip, reading)]
    if keyframes is not None:
        pictures.append(figures.frame_scores(clip, keyframes))
    else:
        left_out.append("Frame scores: this model selects no frames, it takes all of them.")
    if groups:
        pictures.append(figures.evidence_over_time(clip, groups))
    else:
        left_out.append(f"What speaks for the answer: {why_none}.")
    pictures.append(figures.strip(clip, tiles, keyframes))
    attention = [] if is_ensemble else attention_maps(artefact.model, clip.inputs, clip.num_frames)
    pictures += attention_figures.attention(clip, attention)
    if isinstance(reading, SentenceReading) and reading.frame_attention is not None:
        names = [item.gloss for item in reading.read]
        pictures.append(attention_figures.frame_attention(clip, names, reading.frame_attention))
    elif not attention:
        left_out.append("Attention: this model has no layer that attends.")
    return Explanation(
        clip,
        reading,
        tuple(pictures),
        frames,
        tiles,
        evidence,
        _readout(artefact, clip, reading, groups),
        int(np.sum(list(groups.values()), axis=0).argmax()) if groups else clip.num_frames // 2,
        tuple(left_out),
    )


def _answer(artefact: RunArtefact, clip: ShownClip, reading: Reading) -> Picture:
    glosses = artefact.label_map.glosses
    if isinstance(reading, SentenceReading):
        return figures.alignment(clip, reading, glosses)
    return figures.probabilities(reading, glosses, clip.glosses)


def _evidence(
    artefact: RunArtefact, clip: ShownClip, reading: Reading, is_ensemble: bool
) -> tuple[np.ndarray | None, np.ndarray, dict[str, np.ndarray], str, str]:
    """Frames, tiles, evidence by frame of each group, what it is, and why there is none."""
    nothing_read = isinstance(reading, SentenceReading) and not reading.read
    why = "it reads nothing in this clip, so there is no answer to explain" if nothing_read else ""
    if "keypoints" in clip.inputs:
        assert clip.layout is not None
        points = clip.inputs["keypoints"][0, : clip.num_frames]
        saliency = np.zeros(points.shape[:2], np.float32)
        if not why:
            saliency = keypoint_saliency(artefact.model, clip.inputs, reading.score)[: clip.num_frames]
        tiles = draw_skeletons(points, shares(saliency), clip.layout, clip.aspect)
        groups = {} if why else _groups(clip, saliency)
        return None, tiles, groups, "Larger and redder points move the answer more when they move", why
    frames = clip.inputs["frames"][0, : clip.num_frames]
    at = None if is_ensemble else map_layer(artefact.model)
    if at is None:
        why = why or (
            "an ensemble has no feature maps of its own; look at its members' runs"
            if is_ensemble
            else "this model has no feature maps of places in a frame"
        )
    if why or at is None:
        return frames, frames, {}, "", why
    heat = grad_cam(artefact.model, clip.inputs, reading.score, at)[: clip.num_frames]
    groups = {"frame": heat.mean(axis=(1, 2))}
    method = "HiResCAM" if at.is_local else "Grad-CAM"
    return frames, with_heat(frames, shares(heat)), groups, f"Bright places speak for the answer ({method})", ""


def _groups(clip: ShownClip, saliency: np.ndarray) -> dict[str, np.ndarray]:
    """Saliency of each group of points that is drawn, by frame; groups that are never found are left out."""
    assert clip.layout is not None
    shown = np.zeros(saliency.shape[1], bool)
    shown[shown_rows(clip.layout)] = True
    found = {}
    for group, rows in clip.layout.group_slices.items():
        values = (saliency[:, rows] * shown[rows]).sum(axis=1)
        if values.any():
            found[GROUP_NAMES.get(group, group.replace("_", " "))] = values
    return found


def _readout(
    artefact: RunArtefact, clip: ShownClip, reading: Reading, groups: dict[str, np.ndarray]
) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    if isinstance(reading, SentenceReading):
        if reading.keyframes is not None:
            scores = reading.keyframes.scores
            rows["frame"] = ["kept" if kept else "dropped" for kept in reading.keyframes.kept]
            if scores is not None:
                rows["score"] = [f"{score:.4f}" for score in scores]
        middles = (clip.edges[:-1] + clip.edges[1:]) / 2
        for name, items in (("signed", reading.signed), ("read", reading.read)):
            if items is not None:
                rows[name] = [_at(items, float(middle)) for middle in middles]
        logit_of = np.full(clip.num_frames, -1)
        for place, (start, end) in enumerate(reading.spans):
            logit_of[start:end] = place
        columns = [("blank", 0)] + [
            (artefact.label_map.glosses[number], number + 1)
            for number in figures.shown_glosses(reading, artefact.label_map.glosses)
        ]
        for name, column in columns:
            rows[f"p({name})"] = [
                NOTHING if place < 0 else f"{reading.probabilities[place, column]:.3f}" for place in logit_of
            ]
    top = max((float(values.max(initial=0)) for values in groups.values()), default=0.0) or 1.0
    for name, values in groups.items():
        rows[f"evidence, {name}" if len(groups) > 1 else "evidence"] = [f"{value / top:.3f}" for value in values]
    return rows


def _at(items: Any, seconds: float) -> str:
    return next((item.gloss for item in items if item.start_seconds <= seconds < item.end_seconds), NOTHING)
