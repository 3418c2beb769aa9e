"""How well a recogniser does on sentences: the content of ``metrics.json``, in plain NumPy."""

import datetime
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sign_keras.ctc.alignment import forced_alignments
from sign_keras.ctc.decoding import Decoding
from sign_keras.ctc.labels import BLANK, frames_needed, log_probabilities
from sign_keras.error_rate import Alignment, align_sentences, error_rate_metrics, word_error_rate
from sign_keras.stage_metrics import ClipStages, first_stages_metrics
from tfrecords_tools.label_map import LabelMap


@dataclass(frozen=True)
class SentenceLogits:
    """What a recogniser says of every frame of each clip of a split.

    Attributes:
        logits: of each clip ``[frames, V + 1]`` float32, real frames alone, blank first.
        references: the signed glosses of each clip, as the records write them.
        media_ids: the clips' names.
        paths: the videos they came from.
        signers: who signs; empty where not known.
        cut: media ids of clips with more frames than the recogniser takes: it saw the middle of their sentences.
        stages: what the recogniser's stages say of each clip; empty where it has none.
    """

    logits: list[np.ndarray]
    references: list[tuple[str, ...]]
    media_ids: list[str]
    paths: list[str]
    signers: list[str]
    cut: frozenset[str] = field(default_factory=frozenset)
    stages: list[ClipStages] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.logits)


@dataclass(frozen=True)
class ReadSentences:
    """The clips of a split, and what was read out of their logits.

    Attributes:
        clips: see ``SentenceLogits``.
        decodings: of each clip.
        hypotheses: the recognised glosses of each.
        alignments: of both, at unit costs.
    """

    clips: SentenceLogits
    decodings: list[Decoding]
    hypotheses: list[tuple[str, ...]]
    alignments: list[Alignment]

    @classmethod
    def of(cls, clips: SentenceLogits, decodings: list[Decoding], label_map: LabelMap) -> "ReadSentences":
        """Puts glosses in the place of ids and lays them along the references."""
        hypotheses = [
            tuple(label_map.glosses[gloss_id] for gloss_id in decoding.gloss_ids) for decoding in decodings
        ]
        return cls(clips, decodings, hypotheses, align_sentences(clips.references, hypotheses))


def sentence_metrics(
    read: ReadSentences, label_map: LabelMap, *, split: str, bootstrap_samples: int, seed: int = 0
) -> dict[str, Any]:
    """The content of ``metrics.json``, as plain JSON values; ``docs/continuous.md`` says what each means.

    Args:
        read: every clip of the split; at least one.
        label_map: of the V glosses.
        split: which clips these are.
        bootstrap_samples: resamplings behind the intervals.
        seed: of the resampling.
    """
    clips = read.clips
    rates = error_rate_metrics(
        clips.references, read.hypotheses, clips.signers, bootstrap_samples=bootstrap_samples, seed=seed
    )
    unknown = sorted({gloss for sentence in clips.references for gloss in sentence if gloss not in label_map})
    per_signer = _per_group(read.alignments, clips.signers)
    per_signer.pop("", None)
    lengths = [str(len(sentence)) for sentence in clips.references]
    return {
        "timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": "continuous",
        "split": split,
        "clips": len(clips),
        "signers": len(per_signer),
        **rates,
        "stage_metrics": first_stages_metrics(clips.stages) | {"stage4": stage_metrics(read, label_map)},
        "glosses_not_in_label_map": unknown,
        "clips_cut": len(clips.cut),
        "per_gloss": _per_gloss(read.alignments),
        "per_signer": per_signer,
        "per_length": dict(sorted(_per_group(read.alignments, lengths).items(), key=lambda item: int(item[0]))),
    }


def stage_metrics(read: ReadSentences, label_map: LabelMap) -> dict[str, float | None]:
    """What CTC itself does.

    Returns:
        - ``sequence_accuracy``: share of clips whose whole sentence is right.
        - ``ctc_alignment_score``: along the likeliest path of the signed sentence, the mean probability of its
          label, over the frames of all clips. In [0, 1]; None where no clip can carry its sentence or the model
          knows none of them.
        - ``blank_usage``: share of frames whose likeliest label is the blank.
    """
    clips = read.clips
    right = [not alignment.errors for alignment in read.alignments]
    scores: list[np.ndarray] = []
    blanks: list[np.ndarray] = []
    for logits, reference in zip(clips.logits, clips.references, strict=True):
        blanks.append(logits.argmax(axis=1) == BLANK)
        if len(logits) < frames_needed(reference) or any(gloss not in label_map for gloss in reference):
            continue
        terms = log_probabilities(logits[None], [len(logits)])
        ids = [label_map.id(gloss) for gloss in reference]
        (alignment,) = forced_alignments(terms, [len(logits)], [ids])
        scores.append(np.exp(terms[0, np.arange(len(logits)), alignment.labels]))
    return {
        "sequence_accuracy": float(np.mean(right)),
        "ctc_alignment_score": float(np.concatenate(scores).mean()) if scores else None,
        "blank_usage": float(np.concatenate(blanks).mean()),
    }


def _per_gloss(alignments: Sequence[Alignment]) -> dict[str, dict[str, int]]:
    """Of each gloss that was signed or recognised: ``signed``, ``hits``, ``substituted``, ``deleted``,
    ``inserted``, the last also where it was recognised in another's place.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for step in (step for alignment in alignments for step in alignment.steps):
        if step.reference is not None:
            counts[step.reference]["signed"] += 1
            counts[step.reference][_OF_REFERENCE[step.outcome]] += 1
        if step.hypothesis is not None and step.outcome != "hit":
            counts[step.hypothesis]["inserted"] += 1
    names = ("signed", "hits", "substituted", "deleted", "inserted")
    return {gloss: {name: counts[gloss][name] for name in names} for gloss in sorted(counts)}


_OF_REFERENCE = {"hit": "hits", "substitution": "substituted", "deletion": "deleted"}


def _per_group(alignments: Sequence[Alignment], groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``wer``, ``errors``, ``words`` and ``clips`` of the clips of each group."""
    members: dict[str, list[Alignment]] = defaultdict(list)
    for alignment, group in zip(alignments, groups, strict=True):
        members[group].append(alignment)
    found = {}
    for group in sorted(members):
        rate = word_error_rate(members[group])
        found[group] = {
            "wer": rate["wer"],
            "errors": rate["total_errors"],
            "words": rate["total_words"],
            "clips": len(members[group]),
        }
    return found
