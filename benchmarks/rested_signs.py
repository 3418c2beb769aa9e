"""Renders streams of single signs with rests between them, as people sign to a recogniser of single signs.

One video a signer, all in one scene: every gloss once, in an order of the signer's own, and between two signs the
hands stay at rest for 0.6 to 1.5 seconds, not quite still. The output is laid out as that of
``tfrecords_tools.synthesize --sentences``, with the truth of every frame.

Example:
  python benchmarks/rested_signs.py --output data/rested --signers 1 5 26 31 --num-glosses 12 --seed 2027
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rows import Row
from tqdm import tqdm

from tfrecords_tools.synthetic.anatomy import JOINT_NAMES, BodyPose
from tfrecords_tools.synthetic.performance import Performance, between, ease, perform
from tfrecords_tools.synthetic.scene import FRAME_RATES, hands_in_view, shoot
from tfrecords_tools.synthetic.signers import Signer, make_signer
from tfrecords_tools.synthetic.signs import LEXICON
from tfrecords_tools.video import write_video

REST_SECONDS = (0.6, 1.5)
SEED = 0x57  # after the data set's: other takes than its clips


def main() -> None:
    """Renders the videos, their truth and ``manifest.csv``."""
    arguments = _parse()
    make(arguments.output, arguments.signers, arguments.num_glosses, arguments.seed, arguments.size)


def make(output: Path, signers: Sequence[int], num_glosses: int, seed: int, size: int) -> None:
    """One video of each signer, the manifest last."""
    glosses = tuple(LEXICON)[:num_glosses]
    rows = []
    for index in tqdm(signers, unit="signer", disable=None):
        signer = make_signer(seed, index)
        rng = np.random.default_rng([seed, SEED, index])
        order = [glosses[place] for place in rng.permutation(len(glosses))]
        rate = float(rng.integers(FRAME_RATES[0], FRAME_RATES[1] + 1))
        render(output, signer, order, rng, rate, size)
        name = f"rested/{signer.name}.mp4"
        rows.append({"path": name, "glosses": " ".join(order), "signer": signer.name, "frame_rate": f"{rate:g}"})
    with (output / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def quick(data: Path) -> list[Row]:
    """Rendering against the length of what is rendered."""
    del data  # it is made here
    spent, lengths = [], []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(3):
            rng = np.random.default_rng(index)
            start = time.perf_counter()
            render(Path(folder), make_signer(0, index), tuple(LEXICON)[:2], rng, rate=20.0, size=256)
            spent.append(time.perf_counter() - start)
            with np.load(Path(folder) / f"joints/rested/{make_signer(0, index).name}.npz") as truth:
                lengths.append(len(truth["phase"]) / 20.0)
    return [Row("rendering a signer of 256 pixels, 20 frames/s", "the video's length", spent, lengths, "s")]


def render(
    output: Path, signer: Signer, glosses: Sequence[str], rng: np.random.Generator, rate: float, size: int
) -> None:
    """Renders one signer's video, with its truth."""
    performance = perform_rested(glosses, signer, rng, rate)
    film = shoot(performance, signer, rng, size)
    media, truth = (output / folder / f"rested/{signer.name}" for folder in ("", "joints"))
    for path in (media, truth):
        path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        truth.with_suffix(".npz"),
        names=np.array(JOINT_NAMES),
        joints=film.joints,
        hand_in_view=hands_in_view(film.joints),
        gloss_index=performance.gloss_index,
        phase=performance.phase,
    )
    write_video(media.with_suffix(".mp4"), film.frames, rate)


def perform_rested(
    glosses: Sequence[str], signer: Signer, rng: np.random.Generator, frame_rate: float
) -> Performance:
    """Performs signs one by one, with rests before, between and after them."""
    takes = [perform([LEXICON[gloss]], signer, rng, frame_rate) for gloss in glosses]
    poses: list[BodyPose] = []
    indices: list[int] = []
    phases: list[str] = []
    for number, take in enumerate([*takes, None]):
        before = takes[number - 1].poses[-1] if number else takes[0].poses[0]
        after = take.poses[0] if take is not None else before
        num_frames = round(float(rng.uniform(*REST_SECONDS)) * frame_rate)
        poses += [_between(before, after, (frame + 1) / (num_frames + 1)) for frame in range(num_frames)]
        indices += [-1] * num_frames
        phases += ["rest"] * num_frames
        if take is not None:
            poses += take.poses
            indices += [number if index == 0 else -1 for index in take.gloss_index]
            phases += take.phase.tolist()
    return Performance(tuple(poses), np.array(indices, np.int64), np.array(phases), frame_rate)


def _between(first: BodyPose, second: BodyPose, share: float) -> BodyPose:
    share = ease(share)
    return BodyPose(
        between(first.left, second.left, share),
        between(first.right, second.right, share),
        (1 - share) * first.head_angles + share * second.head_angles,
        (1 - share) * first.sway + share * second.sway,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--signers", type=int, nargs="+", required=True, metavar="N", help="their indices")
    parser.add_argument("--num-glosses", type=int, default=12, metavar="N", help="the first N of the lexicon")
    parser.add_argument("--seed", type=int, default=2027, metavar="N")
    parser.add_argument("--size", type=int, default=256, metavar="PIXELS")
    return parser.parse_args()


if __name__ == "__main__":
    main()
