"""Which clips can carry their glosses, once frames have been left out: before training, from counts alone.

CTC gives each frame one label, so a sentence needs a frame for each gloss and one more, for a blank, between two
that are the same. Keyframe selection keeps ``ceil(ratio * frames)`` of a clip's real frames; a model that halves
the frame rate (strides, pooling) then keeps ``ceil(frames / downsampling)``. What is left has to be enough: a clip
of which it is not has an infinite loss, and belongs out of training, and on a list.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from sign_keras.ctc.labels import frames_needed
from tfrecords_tools.command_line import writing

INFEASIBLE_NAME = "infeasible.csv"
# Ratios are kept to this denominator, so that a share of frames can be counted in whole numbers, within graphs too.
RATIO_STEPS = 1000


@dataclass(frozen=True)
class SentenceClip:
    """What the planner has to know of a clip.

    Attributes:
        path: its name.
        num_frames: its real frames, before any is left out.
        glosses: of its sentence, or their ids.
    """

    path: str
    num_frames: int
    glosses: Sequence[str] | Sequence[int]


@dataclass(frozen=True)
class PlannedClip:
    """How a clip's frames compare with its glosses.

    Attributes:
        path: its name.
        num_frames: its real frames.
        num_glosses: of its sentence.
        frames_left: after selection and downsampling.
        frames_needed: by its glosses; 0 for an empty sentence.
        smallest_ratio: of selection, in hundredths, with which enough frames would be left; None where all of them
            are too few.
        fewest_frames: real frames with which such a clip would be feasible as things are.
    """

    path: str
    num_frames: int
    num_glosses: int
    frames_left: int
    frames_needed: int
    smallest_ratio: float | None
    fewest_frames: int

    @property
    def feasible(self) -> bool:
        """Whether it can be trained on."""
        return self.frames_left >= self.frames_needed


@dataclass(frozen=True)
class Plan:
    """All clips, in the order they came in.

    Attributes:
        clips: each.
        ratio: of frames that selection keeps.
        downsampling: frames of the clip for one frame of the logits.
    """

    clips: tuple[PlannedClip, ...]
    ratio: float
    downsampling: int

    @property
    def infeasible(self) -> list[PlannedClip]:
        """Clips to leave out."""
        return [clip for clip in self.clips if not clip.feasible]

    def summary(self) -> str:
        """One line for people: how many clips cannot carry their glosses, and what would help."""
        out, of_all = self.infeasible, _clips(len(self.clips))
        place = f"selection.ratio={self.ratio:g}"
        if self.downsampling > 1:
            place += f" and downsampling by {self.downsampling}"
        if not out:
            return f"{of_all} can carry their glosses at {place}" if self.clips else "no clips to plan"
        ratios = [clip.smallest_ratio for clip in out if clip.smallest_ratio is not None]
        line = f"{len(out)} of {of_all} cannot carry their glosses at {place}"
        hopeless = len(out) - len(ratios)
        if ratios:
            line += f"; {max(ratios):g} would carry {'all' if not hopeless else f'{len(ratios)} of them'}"
        if hopeless:
            line += f"; {_clips(hopeless)} would be too short at any ratio"
        return line

    def write_infeasible(self, directory: Path) -> Path:
        """Writes ``infeasible.csv``, a row for each clip to leave out; only its head where there are none.

        Raises:
            UserError: it cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ["path", "frames", "glosses", "frames_left", "frames_needed", "smallest_ratio", "fewest_frames"]
        )
        for clip in self.infeasible:
            ratio = "" if clip.smallest_ratio is None else f"{clip.smallest_ratio:g}"
            counts = [clip.num_frames, clip.num_glosses, clip.frames_left, clip.frames_needed]
            writer.writerow([clip.path, *counts, ratio, clip.fewest_frames])
        path = directory / INFEASIBLE_NAME
        with writing(path):
            directory.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.unfinished")
            unfinished.write_text(text.getvalue(), encoding="utf-8")
            unfinished.replace(path)
        return path


def plan_clips(clips: Sequence[SentenceClip], ratio: float = 1.0, downsampling: int = 1) -> Plan:
    """Compares the frames that each clip will have left with those that its glosses need.

    Args:
        clips: of a split.
        ratio: share of a clip's real frames that selection keeps, in (0, 1]; 1 where there is no selection.
        downsampling: how many of the frames that are kept become one frame of the logits.

    Raises:
        ValueError: the ratio or the downsampling is out of range, or a clip has fewer than no frames.
    """
    if downsampling < 1:
        raise ValueError(f"downsampling by {downsampling}; expected 1, 2, ...")
    share = ratio_share(ratio)
    return Plan(tuple(_planned(clip, share, downsampling) for clip in clips), ratio, downsampling)


def frames_left(num_frames: int, ratio: float = 1.0, downsampling: int = 1) -> int:
    """``ceil(ceil(ratio * num_frames) / downsampling)``, exactly.

    In floating point, ``0.07 * 100`` is above 7 and would keep 8. A model that is to keep the same frames counts in
    whole numbers too: ``(num_frames * share.numerator + share.denominator - 1) // share.denominator``.

    Raises:
        ValueError: as in ``plan_clips``.
    """
    if num_frames < 0 or downsampling < 1:
        raise ValueError(f"{num_frames} frames, downsampled by {downsampling}; expected 0, 1, ... and 1, 2, ...")
    return math.ceil(Fraction(math.ceil(ratio_share(ratio) * num_frames), downsampling))


def ratio_share(ratio: float) -> Fraction:
    """A ratio as the fraction that is meant, of a denominator of at most ``RATIO_STEPS``: 0.7 is 7/10.

    Raises:
        ValueError: it is not in (0, 1], or so small that it comes to nothing.
    """
    share = Fraction(ratio).limit_denominator(RATIO_STEPS) if math.isfinite(ratio) else Fraction(0)
    if not 0 < share <= 1 or ratio > 1:
        raise ValueError(f"selection ratio {ratio:g}; expected a number above 0 (from {1 / RATIO_STEPS:g}), to 1")
    return share


def _planned(clip: SentenceClip, share: Fraction, downsampling: int) -> PlannedClip:
    needed = frames_needed(clip.glosses)
    selected = (needed - 1) * downsampling + 1 if needed else 0  # the fewest that leave enough
    # More frames than (selected - 1) / share: the next whole number.
    fewest = math.floor(Fraction(selected - 1) / share) + 1 if selected else 0
    return PlannedClip(
        path=clip.path,
        num_frames=clip.num_frames,
        num_glosses=len(clip.glosses),
        frames_left=frames_left(clip.num_frames, float(share), downsampling),
        frames_needed=needed,
        smallest_ratio=_smallest_ratio(clip.num_frames, selected),
        fewest_frames=fewest,
    )


def _smallest_ratio(num_frames: int, selected: int) -> float | None:
    """In hundredths; of a clip that needs no frames 0.01, the least there is."""
    if selected > num_frames:
        return None
    return (100 * (selected - 1) // num_frames + 1) / 100 if selected else 0.01


def _clips(count: int) -> str:
    return f"{count} clip{'s' if count != 1 else ''}"
