"""What a clip is, what is made of it, and which split it belongs to.

``Clip`` is one row of a manifest: a labelled span of a video. ``ClipSpec`` is everything that turns it into
the numbers a model sees; it travels in ``dataset_info.json`` and inside every exported model, and is never
typed twice.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pydantic

from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import Settings
from tfrecords_tools.video import WHOLE_VIDEO, Span

SPLITS = ("train", "validation", "test")
# The splits' names as datasets write them.
SPLIT_NAMES = {name: name for name in SPLITS} | dict.fromkeys(("val", "valid", "dev"), "validation")


@dataclass(frozen=True)
class Clip:
    """A contiguous labelled span of a video, or of what a dataset gives in a video's place.

    Attributes:
        path: file to read, or a folder of images, one a frame.
        glosses: the glosses signed, in order; one for an isolated sign.
        media_id: the clip's name within its dataset; unique.
        signer: who signs; empty when not known.
        split: ``train``, ``validation`` or ``test``; None to have it assigned.
        span: which part of the video.
        bbox: ``(x0, y0, x1, y1)`` in pixels: the part of the picture that is the clip's frame.
        frame_rate: frames per second of a folder of images, which does not say; None elsewhere.
        gloss_seconds: from when to when each gloss is signed, in seconds of the video; empty when not known.
        metadata: whatever else the source knows.
    """

    path: str
    glosses: tuple[str, ...]
    media_id: str
    signer: str = ""
    split: str | None = None
    span: Span = WHOLE_VIDEO
    bbox: tuple[int, int, int, int] | None = None
    frame_rate: float | None = None
    gloss_seconds: tuple[tuple[float, float], ...] = ()
    metadata: dict[str, str] = field(default_factory=dict, hash=False)


class ClipError(UserError):
    """A clip that cannot be read whole."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class SkippedPath:
    """An input that became no record, and why."""

    path: str
    reason: str


class CropSpec(Settings):
    """Which part of the picture becomes the frame.

    Attributes:
        mode: ``full`` frame, or ``hands``: one square around both hands over the whole clip.
        margin: how much larger than the hands the square is, as a share of its side.
    """

    mode: Literal["full", "hands"] = "full"
    margin: float = pydantic.Field(default=0.25, ge=0, le=2)


class SamplingSpec(Settings):
    """Which frames of a clip a model sees, and at what size.

    Attributes:
        num_frames: ``T``.
        frame_rate: None spreads ``T`` frames evenly over the clip, whatever its length (frames repeat
            where it has fewer); a number takes frames at that rate from the middle ``T / frame_rate``
            seconds and pads shorter clips, with a mask.
        height: of a model's frame, in pixels.
        width: likewise.
    """

    num_frames: int = pydantic.Field(ge=1, le=1024)
    frame_rate: float | None = pydantic.Field(default=None, gt=0)
    height: int = pydantic.Field(ge=16, le=1024)
    width: int = pydantic.Field(ge=16, le=1024)


class ClipSpec(Settings):
    """Everything that turns a video into the numbers a model sees.

    Attributes:
        frames: whether frames are kept; False makes keypoint-only records, as datasets of keypoints do.
        crop: see ``CropSpec``.
        short_side: stored frames are shrunk to this short side, in pixels; never enlarged.
        jpeg_quality: 1 to 100.
        keypoints: ``mediapipe_holistic``, or None to run no keypoint model; a dataset of keypoints says itself
            what its layout is.
        sampling: None in records, which keep every frame; set in models.
    """

    frames: bool = True
    crop: CropSpec = CropSpec()
    short_side: int = pydantic.Field(default=256, ge=16, le=4096)
    jpeg_quality: int = pydantic.Field(default=92, ge=1, le=100)
    keypoints: str | None = "mediapipe_holistic"
    sampling: SamplingSpec | None = None

    @pydantic.model_validator(mode="after")
    def _check(self) -> "ClipSpec":
        if self.crop.mode == "hands" and self.keypoints is None:
            raise ValueError("crop.mode=hands needs keypoints to find the hands; set keypoints too")
        if not self.frames and self.keypoints is None:
            raise ValueError("neither frames nor keypoints: nothing to record")
        return self


class SplitSettings(Settings):
    """How clips without a split get one.

    Attributes:
        by: ``signer`` keeps every signer in one split; ``clip`` draws at random within each gloss, which
            flatters a model that has seen the same people. ``auto`` is ``signer`` where signers are known.
        validation: share of clips aimed at.
        test: likewise.
        seed: of the draw.
    """

    by: Literal["auto", "signer", "clip"] = "auto"
    validation: float = pydantic.Field(default=0.15, ge=0, lt=1)
    test: float = pydantic.Field(default=0.15, ge=0, lt=1)
    seed: int = 0

    @pydantic.model_validator(mode="after")
    def _check(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self

    def targets(self) -> dict[str, float]:
        """Share of clips of each split."""
        return {"train": 1 - self.validation - self.test, "validation": self.validation, "test": self.test}


def assign_splits(clips: Sequence[Clip], settings: SplitSettings) -> list[Clip]:
    """Gives every clip a split; splits that a source states are kept unless ``by`` is said outright.

    The result depends on the clips, not on their order. Where signers are known for some clips only, each
    unknown one is taken for a signer of its own.

    Raises:
        UserError: a split by signer is asked for, and no clip says who signs.
    """
    signers = {clip.signer for clip in clips if clip.signer}
    if settings.by == "signer" and clips and not signers:
        raise UserError(
            "split.by=signer: no clip says who signs; name the signers in the source, or use split.by=clip"
        )
    keep = settings.by == "auto"
    # One signer alone cannot be kept apart from anyone.
    if settings.by == "signer" or (settings.by == "auto" and len(signers) > 1):
        split_of = _split_by_signer(clips, settings, keep)
    else:
        split_of = _split_by_clip(clips, settings, keep)
    return [clip if keep and clip.split else replace(clip, split=split_of[clip.media_id]) for clip in clips]


def _split_by_signer(clips: Sequence[Clip], settings: SplitSettings, keep: bool) -> dict[str, str]:
    """Split of each media id; a signer with a stated split, where these are kept, stays in that one."""
    unit = {clip.media_id: clip.signer or f"clip:{clip.media_id}" for clip in clips}
    stated: dict[str, str] = {}
    for split in reversed(SPLITS):  # a signer stated in several ends in the first of them: train
        stated |= {unit[clip.media_id]: split for clip in clips if keep and clip.split == split}
    dealer = _Dealer(settings)
    sizes = Counter(unit.values())
    for name, split in stated.items():
        dealer.counts[split] += sizes[name]
    open_units = sorted(sizes.keys() - stated.keys(), key=lambda name: stable_hash(settings.seed, name))
    split_of = dict(stated)
    for index, name in enumerate(open_units):
        split_of[name] = dealer.deal(sizes[name], units_left=len(open_units) - index)
    return {media_id: split_of[name] for media_id, name in unit.items()}


def _split_by_clip(clips: Sequence[Clip], settings: SplitSettings, keep: bool) -> dict[str, str]:
    """Split of each media id, drawn within each gloss so that all splits have the same mix of glosses."""
    by_gloss: dict[tuple[str, ...], list[str]] = defaultdict(list)
    stated = {clip.media_id: clip.split for clip in clips if keep and clip.split}
    for clip in clips:
        by_gloss[clip.glosses].append(clip.media_id)
    split_of: dict[str, str] = {}
    overall = _Dealer(settings)
    for glosses in sorted(by_gloss):
        dealer = _Dealer(settings, tie_break=overall)
        ids = sorted(by_gloss[glosses], key=lambda media_id: stable_hash(settings.seed, media_id))
        for media_id in (name for name in ids if name in stated):
            dealer.counts[stated[media_id]] += 1
            overall.counts[stated[media_id]] += 1
        for media_id in (name for name in ids if name not in stated):
            split_of[media_id] = dealer.deal(1)
            overall.counts[split_of[media_id]] += 1
    return split_of


class _Dealer:
    """Deals units (a signer's clips, or single clips) to the split that is furthest below its share."""

    def __init__(self, settings: SplitSettings, tie_break: "_Dealer | None" = None) -> None:
        self._targets = {split: share for split, share in settings.targets().items() if share > 0}
        self._tie_break = tie_break
        self.counts = dict.fromkeys(SPLITS, 0)

    def shortfall(self, split: str, size: int) -> float:
        """How many clips ``split`` is below its share once ``size`` more are dealt."""
        dealt = sum(self.counts.values()) + size
        return round(self._targets[split] * dealt - self.counts[split], 6)

    def deal(self, size: int, units_left: int | None = None) -> str:
        """The split of the next unit; the last ``units_left`` go to splits that would else stay empty."""
        splits = list(self._targets)
        empty = [split for split in splits if not self.counts[split]]
        if units_left is not None and units_left <= len(empty):
            splits = empty

        def need(split: str) -> tuple[float, float]:
            # Glosses with three clips each all round the same way: the whole decides between equals.
            overall = self._tie_break.shortfall(split, size) if self._tie_break else 0.0
            return self.shortfall(split, size), overall

        split = max(splits, key=need)
        self.counts[split] += size
        return split


def stable_hash(seed: int, text: str) -> int:
    """A 64-bit hash of a text that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest(), "big")


def shuffled(clips: Sequence[Clip], seed: int) -> list[Clip]:
    """The clips in an order that depends on their names and the seed alone."""
    return sorted(clips, key=lambda clip: stable_hash(seed, clip.media_id))


def crop_to_bbox(image: np.ndarray, bbox: tuple[int, int, int, int] | None) -> np.ndarray:
    """Cuts ``(x0, y0, x1, y1)`` pixels out of an image ``[H, W, 3]``; bounds are respected."""
    if bbox is None:
        return image
    height, width = image.shape[:2]
    x0, y0 = max(0, min(bbox[0], width - 1)), max(0, min(bbox[1], height - 1))
    x1, y1 = max(x0 + 1, min(bbox[2], width)), max(y0 + 1, min(bbox[3], height))
    return image[y0:y1, x0:x1]
