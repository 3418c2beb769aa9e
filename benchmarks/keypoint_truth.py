"""MediaPipe's keypoints against the truth: rendered clips, of which the position of every joint is known.

A hand counts in the frames in which all its joints are inside the picture. There it is *found* or not; the
*error* of a found hand is the mean distance of its 21 joints from the truth, in hand units (the length from
wrist to middle MCP: about 9.5 cm). The *signing* hand is the signer's dominant one, in signs of two hands too.

Empty rooms are rendered beside them: a hand found there is an invention.

Example:
  python -m tfrecords_tools.synthesize --output data/truth --signers 24 --clips-per-gloss 1 --num-glosses 16
  python benchmarks/keypoint_truth.py --input data/truth --clips 60
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sample_data
from rows import Row
from tqdm import tqdm

from tfrecords_tools.clips import Clip, ClipSpec, shuffled
from tfrecords_tools.command_line import run_command
from tfrecords_tools.extract import ExtractedClip, SkippedClip
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import GROUPS, HAND_GROUPS
from tfrecords_tools.sources import SOURCES
from tfrecords_tools.synthetic import render_empty_scene
from tfrecords_tools.video import write_video
from tfrecords_tools.workers import extract_clips

SPEC = ClipSpec(frames=False)  # keypoints alone, as records hold them
MISPLACED = 0.5  # hand units: the hand found is hardly the hand that is there
EMPTY_FRAME_RATE = 15.0


@dataclass(frozen=True)
class HandFrames:
    """One hand of one clip in the frames in which it is in view.

    Attributes:
        signing: whether it is the signer's dominant hand.
        in_sign: ``[N]`` bool: within a sign, neither at rest nor on the way.
        error: ``[N]`` in hand units; NaN where MediaPipe found no such hand.
    """

    signing: bool
    in_sign: np.ndarray
    error: np.ndarray


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    clips = choose_clips(arguments.input, arguments.clips, arguments.seed)
    hands = list(measure_clips(clips, arguments.input, arguments.workers))
    results = {
        "clips": len(clips),
        "signers": len({clip.signer for clip in clips}),
        "hands": summarise(hands),
        "empty": measure_empty(arguments.empty_scenes, arguments.empty_frames, arguments.seed, arguments.workers),
    }
    print(json.dumps(results) if arguments.json else _table(results))


def quick(data: Path) -> list[Row]:
    """A few clips, and no empty rooms."""
    folder = sample_data.videos(data)
    clips = choose_clips(folder, 8, seed=0)
    found = summarise(list(measure_clips(clips, folder, os.cpu_count() or 1)))["both"]
    what = f"hands that MediaPipe finds in {len(clips)} clips"
    return [
        Row(what, "hands in view", [found["found_rate"]], [1.0], "of them", "higher"),
        Row(f"{what}: median error", "a hand hardly there", [found["median_error"]], [MISPLACED], "hand units"),
    ]


def choose_clips(directory: Path, count: int | None, seed: int) -> list[Clip]:
    """``count`` clips of a folder made by synthesize, at random, or all."""
    clips = [clip for clip in SOURCES["manifest"]().list_clips(directory).clips if "handedness" in clip.metadata]
    if not clips:
        sys.exit(f"error: {directory}: lists no rendered clips; make some with tfrecords_tools.synthesize")
    return shuffled(clips, seed)[:count]


def measure_clips(clips: list[Clip], directory: Path, workers: int) -> Iterator[HandFrames]:
    """Both hands of every clip."""
    for clip, result in zip(clips, _extracted(clips, workers, "clips"), strict=True):
        truth_file = (directory / "joints" / Path(clip.path).relative_to(directory)).with_suffix(".npz")
        with np.load(truth_file) as arrays:
            truth = dict(arrays)
        for side, group in enumerate(HAND_GROUPS):
            in_view = truth["hand_in_view"][:, side]
            yield HandFrames(
                signing=group.startswith(clip.metadata["handedness"]),
                in_sign=(truth["phase"] == "sign")[in_view],
                error=hand_errors(result, truth, side)[in_view],
            )


def hand_errors(result: ExtractedClip, truth: dict[str, np.ndarray], side: int) -> np.ndarray:
    """``[T]`` mean distance of a hand's joints from the truth, in hand units; NaN where it was not found."""
    assert result.keypoints is not None  # SPEC asks for them
    columns = [row for row, name in enumerate(truth["names"]) if name.startswith(HAND_GROUPS[side])]
    rows = MEDIAPIPE_HOLISTIC.rows(truth["names"][columns].tolist())
    offset = result.keypoints.points[:, rows, :2].astype(np.float64) - truth["joints"][:, columns]
    # Hand units are given in frame widths; y is in frame heights.
    distance = np.linalg.norm(offset * [1, result.height / result.width], axis=-1)
    return distance.mean(axis=1) / truth["hand_unit"][:, side]


def summarise(hands: list[HandFrames]) -> dict[str, dict[str, float]]:
    """Counts and errors of each kind of hand."""

    def row(signing: tuple[bool, ...], during_signs: bool = False) -> dict[str, float]:
        chosen = [hand for hand in hands if hand.signing in signing]
        parts = [hand.error[hand.in_sign] if during_signs else hand.error for hand in chosen]
        error = np.concatenate(parts) if parts else np.zeros(0)
        found = error[~np.isnan(error)]
        if not found.size:
            return {"in_view": error.size, "found_rate": 0.0}
        return {
            "in_view": error.size,
            "found_rate": found.size / error.size,
            "median_error": float(np.median(found)),
            "error_90th_percentile": float(np.quantile(found, 0.9)),
            "misplaced_rate": float(np.mean(found > MISPLACED)),
        }

    return {
        "both": row((True, False)),
        "signing": row((True,)),
        "other": row((False,)),
        "signing, in the sign": row((True,), during_signs=True),
    }


def measure_empty(scenes: int, num_frames: int, seed: int, workers: int) -> dict[str, float]:
    """Share of the frames of empty rooms in which MediaPipe finds a hand."""
    columns = [GROUPS.index(group) for group in HAND_GROUPS]
    with tempfile.TemporaryDirectory() as folder:
        clips = []
        for number in range(scenes):
            path = Path(folder) / f"{number}.mp4"
            frames = render_empty_scene(np.random.default_rng([seed, number]), num_frames=num_frames)
            write_video(path, frames, EMPTY_FRAME_RATE)
            clips.append(Clip(str(path), ("empty",), path.name))
        presence = [
            result.keypoints.presence[:, columns].any(axis=1)
            for result in _extracted(clips, workers, "empty rooms")
            if result.keypoints is not None
        ]
    found = np.concatenate(presence) if presence else np.zeros(0)
    return {"scenes": scenes, "frames": found.size, "hand_rate": float(found.mean()) if found.size else 0.0}


def _extracted(clips: list[Clip], workers: int, description: str) -> Iterator[ExtractedClip]:
    for result in tqdm(extract_clips(clips, SPEC, workers), description, len(clips), disable=None):
        if isinstance(result, SkippedClip):
            sys.exit(f"error: {result.clip.path}: {result.reason}")
        yield result


def _table(results: dict[str, Any]) -> str:
    lines = [
        f"{results['clips']} clips of {results['signers']} signers; errors in hand units",
        f"  {'hand':<22}{'in view':>8}{'found':>8}{'median error':>14}{'90 %':>8}{f'above {MISPLACED}':>11}",
    ]
    for name, row in results["hands"].items():
        line = f"  {name:<22}{row['in_view']:>8}{row['found_rate']:>8.1%}"
        if "median_error" in row:
            line += f"{row['median_error']:>14.3f}{row['error_90th_percentile']:>8.3f}"
            line += f"{row['misplaced_rate']:>11.1%}"
        lines.append(line)
    empty = results["empty"]
    lines.append(
        f"{empty['scenes']} empty rooms, {empty['frames']} frames: a hand found in {empty['hand_rate']:.1%}"
    )
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder made by synthesize")
    parser.add_argument("--clips", type=int, metavar="N", help="so many of them, at random (default: all)")
    parser.add_argument("--empty-scenes", type=int, default=20, metavar="N", help="(default: 20)")
    parser.add_argument("--empty-frames", type=int, default=10, metavar="N", help="of each (default: 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of choice and rooms (default: 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
