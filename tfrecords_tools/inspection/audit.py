"""The split audit: whoever or whatever is in two splits makes a score look better than it is.

It looks for signers in two splits, for clips that are the same byte for byte, for copies (encoded anew, scaled,
trimmed by a few frames, mirrored), and for glosses that a split lacks.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from tqdm import tqdm

from tfrecords_tools.clips import SPLITS
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspection.measures import ClipMeasures
from tfrecords_tools.inspection.signatures import ClipSignature, Kind, Signature, SignatureMaker, distance

# Below these distances two clips count as copies. Measured with keypoints found anew on every copy: copies (heavily
# compressed; shrunk to 0.6; trimmed by 6 frames; mirrored) of 16 rendered and 13 recorded clips are at most 0.29
# apart by keypoints and 0.23 by frames. Takes of one sign by one person are at least 0.28 and 1.3 apart where they
# are rendered (54 pairs), 0.11 by keypoints where they are recorded (nearest pairs of a random split of 4,274 clips
# of 32 people). Different signs of one person before one wall are at least 1.0 and 0.94 apart where they are
# recorded (13 signs); 0.5 by frames where they are rendered, timed alike. Of 250 photographs, heavily compressed
# ones are within 0.35, others beyond 1.9. So keypoints and frames that agree loosely, or keypoints that agree
# strictly: these decide where there are no frames (and copies have the very keypoints), or where the stored frames
# of two copies differ because a crop followed the hands found.
LOOSE = {"keypoints": 0.45, "frames": 0.4}
STRICT = 0.1
# Of each clip only the nearest in the other split, by a coarse signature, are compared in full ...
NEAREST = 8
# ... and of these only those that are no farther apart than this share of how much they move.
COARSE_LIMIT = 1.5
# Rows of the distance matrix that are in memory at once.
BLOCK = 512

Severity = Literal["leak", "error", "warning"]


@dataclass(frozen=True)
class Finding:
    """Something that the audit found.

    Attributes:
        severity: ``leak``: something is in two splits; ``error``: a gloss is tested and never trained;
            ``warning``: worth knowing.
        text: one line that names splits and clips.
        clips: media ids of the clips named.
    """

    severity: Severity
    text: str
    clips: tuple[str, ...] = ()

    @property
    def is_fatal(self) -> bool:
        """Whether the audit fails for it."""
        return self.severity != "warning"


@dataclass(frozen=True)
class Audit:
    """What an audit found, worst first.

    Attributes:
        findings: each one line.
    """

    findings: list[Finding]


def audit_clips(clips: Sequence[ClipMeasures], maker: SignatureMaker, info: DatasetInfo) -> Audit:
    """Looks for leakage between splits.

    Args:
        clips: of a folder.
        maker: which saw the same clips.
        info: of the folder.
    """
    same = list(_same_bytes(clips, maker.fingerprints))
    known = {finding.clips for finding in same}
    findings = [
        *_shared_signers(clips, info),
        *same,
        *(finding for finding in _copies(clips, maker.signatures) if finding.clips not in known),
        *_missing_glosses(clips),
    ]
    order: tuple[Severity, ...] = ("leak", "error", "warning")
    return Audit(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _shared_signers(clips: Sequence[ClipMeasures], info: DatasetInfo) -> Iterator[Finding]:
    of_signer: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        if clip.signer:
            of_signer[clip.signer][clip.split].append(clip.media_id)
    drawn = "; the splits were drawn by clip" if info.split_settings.by == "clip" else ""
    for signer in sorted(of_signer):
        parts = {split: of_signer[signer][split] for split in SPLITS if split in of_signer[signer]}
        if len(parts) > 1:
            named = " and ".join(f"{split} ({_counted(ids)})" for split, ids in parts.items())
            yield Finding(
                "leak", f"signer {signer!r} is in {named}{drawn}", tuple(ids[0] for ids in parts.values())
            )
    unknown = [clip.media_id for clip in clips if not clip.signer]
    if unknown:
        yield Finding(
            "warning",
            f"who signs is not known of {_counted(unknown)}: whether one signer is in two splits cannot be told",
            (unknown[0],),
        )


def _same_bytes(clips: Sequence[ClipMeasures], fingerprints: Sequence[bytes]) -> Iterator[Finding]:
    groups: dict[bytes, list[ClipMeasures]] = defaultdict(list)
    for clip, fingerprint in zip(clips, fingerprints, strict=True):
        if fingerprint:
            groups[fingerprint].append(clip)
    for group in groups.values():
        first, *others = sorted(group, key=lambda clip: (SPLITS.index(clip.split), clip.media_id))
        for other in others:
            severity: Severity = "leak" if first.split != other.split else "warning"
            yield _pair(severity, first, other, "are byte-identical")


def _copies(clips: Sequence[ClipMeasures], signatures: Sequence[ClipSignature]) -> Iterator[Finding]:
    found: set[tuple[int, int]] = set()
    pairs = tqdm(_all_candidates(clips, signatures), desc="comparing", unit="pair", disable=None)
    for one, other, mirrored in pairs:
        if (one, other) in found:
            continue
        apart = copy_distance(signatures[one], signatures[other], mirrored)
        if apart is not None:
            found.add((one, other))
            kind = "keypoints" if signatures[one].keypoints and signatures[other].keypoints else "frames"
            what = "mirrored, " if mirrored else ""
            text = f"show the same recording ({what}distance {apart:.2f} by {kind})"
            yield _pair("leak", clips[one], clips[other], text)


def _all_candidates(
    clips: Sequence[ClipMeasures], signatures: Sequence[ClipSignature]
) -> Iterator[tuple[int, int, bool]]:
    """Pairs of clips of two splits that may be copies, by keypoints and by frames, as they are and mirrored.

    Frames find what keypoints may miss: of a hand that is seen in a few frames, the mean over a part of a clip
    depends on which frames these are.
    """
    kinds: tuple[Kind, ...] = ("keypoints", "frames")
    for kind in kinds:
        indices = [index for index, signature in enumerate(signatures) if getattr(signature, kind) is not None]
        plain, mirror_image = _coarse([signatures[index].of(kind) for index in indices])
        in_split = {
            split: np.array([row for row, index in enumerate(indices) if clips[index].split == split], int)
            for split in SPLITS
        }
        for split, other_split in combinations(SPLITS, 2):
            for mirrored, asked in ((False, plain), (True, mirror_image)):
                for row, other_row in _candidates(plain, asked, in_split[split], in_split[other_split]):
                    yield indices[row], indices[other_row], mirrored


def copy_distance(one: ClipSignature, other: ClipSignature, mirrored: bool = False) -> float | None:
    """How far apart two clips are, if so near that they are copies of one recording; None if not.

    Args:
        one: of a pair.
        other: likewise.
        mirrored: compare the first with a mirrored second.
    """
    if one.keypoints and other.keypoints:
        apart = _apart(one.keypoints, other.keypoints, mirrored)
        if apart >= LOOSE["keypoints"]:
            return None
        agree = apart < STRICT or _apart(one.frames, other.frames, mirrored) < LOOSE["frames"]
        return apart if agree else None
    apart = _apart(one.frames, other.frames, mirrored)
    return apart if apart < LOOSE["frames"] else None


def _apart(one: Signature | None, other: Signature | None, mirrored: bool) -> float:
    """The distance of two signatures; infinity where either is missing."""
    if one is None or other is None:
        return float("inf")
    return distance(one, other.mirrored() if mirrored else other)


@dataclass(frozen=True)
class _Coarse:
    """Coarse signatures: values ``[N, E]`` float32, and what distances to each are measured in, ``[N]``."""

    values: np.ndarray
    scales: np.ndarray


def _coarse(signatures: Sequence[Signature]) -> tuple[_Coarse, _Coarse]:
    """Coarse signatures, as they are and as a mirror shows them."""
    if not signatures:
        nothing = _Coarse(np.zeros((0, 1), np.float32), np.zeros(0))
        return nothing, nothing
    values = [signature.coarse() for signature in signatures]
    mirrored = [
        (parts * signature.signs)[:, signature.mirror] for parts, signature in zip(values, signatures, strict=True)
    ]
    scales = np.array([signature.scale(signature.motion) for signature in signatures])
    return _Coarse(_flat(values), scales), _Coarse(_flat(mirrored), scales)


def _flat(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([part.ravel() for part in parts]).astype(np.float32)


def _candidates(known: _Coarse, asked: _Coarse, ones: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs that may be copies: for each clip of the second split its nearest in the first.

    Args:
        known: signatures to search among.
        asked: signatures to search for.
        ones: rows of the first split.
        others: rows of the second split.
    """
    if not len(ones) or not len(others):
        return
    values = known.values[ones]
    squares = (values**2).sum(axis=1)
    count = min(NEAREST, len(ones))
    for start in range(0, len(others), BLOCK):
        block = others[start : start + BLOCK]
        queries = asked.values[block]
        apart = squares + (queries**2).sum(axis=1)[:, None] - 2 * queries @ values.T
        nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
        root_mean_squares = np.sqrt(np.maximum(np.take_along_axis(apart, nearest, axis=1), 0) / values.shape[1])
        limits = COARSE_LIMIT * (known.scales[ones[nearest]] + asked.scales[block][:, None]) / 2
        for row, place in np.argwhere(root_mean_squares < limits).tolist():
            yield int(ones[nearest[row, place]]), int(block[row])


def _missing_glosses(clips: Sequence[ClipMeasures]) -> Iterator[Finding]:
    clips_of: dict[str, dict[str, list[str]]] = {split: defaultdict(list) for split in SPLITS}
    for clip in clips:
        for gloss in set(clip.glosses):
            clips_of[clip.split][gloss].append(clip.media_id)
    filled = [split for split in SPLITS if clips_of[split]]
    for split in SPLITS:
        if split not in filled:
            yield Finding("warning", f"split {split} is empty")
    severities: dict[str, Severity] = {"test": "error", "validation": "warning"}
    for split in (name for name in ("test", "validation") if "train" in filled):
        for gloss in sorted(clips_of[split].keys() - clips_of["train"].keys()):
            ids = clips_of[split][gloss]
            text = f"gloss {gloss!r} is in {split} ({_counted(ids)}) and not in train: it cannot be learnt"
            yield Finding(severities[split], text, (ids[0],))
    for split in (name for name in ("validation", "test") if name in filled):
        for gloss in sorted(clips_of["train"].keys() - clips_of[split].keys()):
            ids = clips_of["train"][gloss]
            yield Finding("warning", f"gloss {gloss!r} is in train ({_counted(ids)}) and not in {split}", (ids[0],))


def _pair(severity: Severity, one: ClipMeasures, other: ClipMeasures, text: str) -> Finding:
    names = " and ".join(f"{clip.split} {clip.media_id!r}" for clip in (one, other))
    if one.glosses != other.glosses:
        text += ", as different glosses: " + " and ".join(repr(" ".join(clip.glosses)) for clip in (one, other))
    return Finding(severity, f"{names} {text}", (one.media_id, other.media_id))


def _counted(ids: Sequence[str]) -> str:
    return f"{len(ids)} clip{'s' if len(ids) != 1 else ''}, {'e.g. ' if len(ids) > 1 else ''}{ids[0]!r}"
