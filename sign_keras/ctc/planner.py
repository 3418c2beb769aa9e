"""Which clips can carry their glosses, once frames have been left out: before training, from counts alone.

CTC gives each frame one label, so a sentence needs a frame for each gloss and one more, for a blank, between two
that are the same. Keyframe selection keeps ``ceil(ratio * frames)`` of a clip's real frames; a model that halves
the frame rate (strides, pooling) then keeps ``ceil(frames / downsampling)``. What is left has to be enough: a clip
of which it is not has an infinite loss, and belongs out of training, and on a list.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from sign_keras.config.ratio import FramesPerLogit, ratio_share
from sign_keras.ctc.labels import frames_needed, logit_frames
from tfrecords_tools.command_line import writing

INFEASIBLE_NAME = "infeasible.csv"


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
        too_long: whether the model takes fewer frames than it has, which would cut its sentence.
    """

    path: str
    num_frames: int
    num_glosses: int
    frames_left: int
    frames_needed: int
    smallest_ratio: float | None
    fewest_frames: int
    too_long: bool = False

    @property
    def carries(self) -> bool:
        """Whether enough frames are left for its glosses."""
        return self.frames_left >= self.frames_needed

    @property
    def feasible(self) -> bool:
        """Whether it can be trained on."""
        return self.carries and not self.too_long


@dataclass(frozen=True)
class Plan:
    """All clips, in the order they came in.

    Attributes:
        clips: each.
        ratio: of frames that selection keeps.
        downsampling: frames of the clip for one frame of the logits.
        longest: frames that the model takes; None: any number.
    """

    clips: tuple[PlannedClip, ...]
    ratio: float
    downsampling: int
    longest: int | None = None

    @property
    def infeasible(self) -> list[PlannedClip]:
        """Clips to leave out."""
        return [clip for clip in self.clips if not clip.feasible]

    def summary(self) -> str:
        """One line for people: how many clips cannot be trained on, and what would help."""
        if not self.clips:
            return "no clips to plan"
        out, of_all = [clip for clip in self.clips if not clip.carries], _clips(len(self.clips))
        places = [f"selection.ratio={self.ratio:g}"] if self.ratio < 1 else []
        places += [f"downsampling by {self.downsampling}"] if self.downsampling > 1 else []
        place = f" at {' and '.join(places)}" if places else ""
        line = f"{of_all} can carry their glosses{place}"
        if out:
            line = f"{len(out)} of {of_all} cannot carry their glosses{place}"
            ratios = [clip.smallest_ratio for clip in out if clip.smallest_ratio is not None]
            hopeless = len(out) - len(ratios)
            if ratios:
                line += f"; {max(ratios):g} would carry {'all' if not hopeless else f'{len(ratios)} of them'}"
            if hopeless and self.ratio < 1:
                line += f"; {_clips(hopeless)} would be too short at any ratio"
        long = [clip.num_frames for clip in self.clips if clip.too_long]
        if long:
            line += f"; {_clips(len(long))} of up to {max(long)} frames would be cut at "
            line += f"sampling.num_frames={self.longest}"
        return line

    def write_infeasible(self, directory: Path) -> Path:
        """Writes ``infeasible.csv``, a row for each clip to leave out; only its head where there are none.

        Raises:
            UserError: it cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            [
                "path",
                "frames",
                "glosses",
                "frames_left",
                "frames_needed",
                "smallest_ratio",
                "fewest_frames",
                "reason",
            ]
        )
        for clip in self.infeasible:
            ratio = "" if clip.smallest_ratio is None else f"{clip.smallest_ratio:g}"
            counts = [clip.num_frames, clip.num_glosses, clip.frames_left, clip.frames_needed]
            reason = f"longer than {self.longest} frames" if clip.too_long else "too few frames for its glosses"
            writer.writerow([clip.path, *counts, ratio, clip.fewest_frames, reason])
        path = directory / INFEASIBLE_NAME
        with writing(path):
            directory.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.unfinished")
            unfinished.write_text(text.getvalue(), encoding="utf-8")
            unfinished.replace(path)
        return path


def plan_clips(
    clips: Sequence[SentenceClip], ratio: float = 1.0, downsampling: int = 1, longest: int | None = None
) -> Plan:
    """Compares the frames that each clip will have left with those that its glosses need.

    Args:
        clips: of a split.
        ratio: share of a clip's real frames that selection keeps, in (0, 1]; 1 where there is no selection.
        downsampling: how many of the frames that are kept become one frame of the logits.
        longest: frames that the model takes: of a longer clip, part of the sentence would be lost. None: any
            number.

    Raises:
        ValueError: the ratio or the downsampling is out of range, or a clip has fewer than no frames.
    """
    if downsampling < 1:
        raise ValueError(f"downsampling by {downsampling}; expected 1, 2, ...")
    share = ratio_share(ratio)
    planned = tuple(_planned(clip, share, downsampling, longest) for clip in clips)
    return Plan(planned, ratio, downsampling, longest)


def frames_left(num_frames: int, ratio: float = 1.0, downsampling: int = 1) -> int:
    """``ceil(ceil(ratio * num_frames) / downsampling)``, exactly.

    In floating point, ``0.07 * 100`` is above 7 and would keep 8.

    Raises:
        ValueError: as in ``plan_clips``.
    """
    if num_frames < 0 or downsampling < 1:
        raise ValueError(f"{num_frames} frames, downsampled by {downsampling}; expected 0, 1, ... and 1, 2, ...")
    left: int = logit_frames(num_frames, downsampling / ratio_share(ratio))
    return left


def fewest_frames(needed: Any, frames_per_logit: FramesPerLogit) -> Any:
    """The fewest frames that leave so many, at least one, of the logits; integers of any library."""
    return (needed - 1) * frames_per_logit.numerator // frames_per_logit.denominator + 1


def _planned(clip: SentenceClip, share: Fraction, downsampling: int, longest: int | None) -> PlannedClip:
    needed = frames_needed(clip.glosses)
    selected = fewest_frames(needed, downsampling) if needed else 0
    fewest = fewest_frames(needed, downsampling / share) if needed else 0
    return PlannedClip(
        path=clip.path,
        num_frames=clip.num_frames,
        num_glosses=len(clip.glosses),
        frames_left=frames_left(clip.num_frames, float(share), downsampling),
        frames_needed=needed,
        smallest_ratio=_smallest_ratio(clip.num_frames, selected),
        fewest_frames=fewest,
        too_long=longest is not None and clip.num_frames > longest,
    )


def _smallest_ratio(num_frames: int, selected: int) -> float | None:
    """In hundredths; of a clip that needs no frames 0.01, the least there is."""
    if selected > num_frames:
        return None
    return (100 * (selected - 1) // num_frames + 1) / 100 if selected else 0.01


def _clips(count: int) -> str:
    return f"{count} clip{'s' if count != 1 else ''}"
