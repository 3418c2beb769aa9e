"""Photographs of signed digits: five folds, five trainings, one table.

    python examples/digits.py --input digits --output data/digits --config configs/static_frame_classifier.yaml

The input is the Sign Language Digits Dataset (Turkey Ankara Ayrancı Anadolu High School, Apache 2.0;
https://github.com/ardamavi/Sign-Language-Digits-Dataset), as it is published: ``<0-9>/IMG_<number>.JPG``, a
photograph each, of 218 students who each signed the digits 0 to 9.

It does not say who signs. The camera does: it counted on while a student signed from 0 to 9, so the number less the
digit is the same for all photographs of a student, or a few more where one was taken again, and about ten more for
the next student. Students found so are the records' signers.

- ``--folds block``: students in the camera's order are cut into ten parts. Each fold tests two parts, chooses the
  epoch on the part that follows, and trains on the other seven: nobody is in two splits, and few days are.
- ``--folds random``: the same with the photographs in random order, as most published scores have it. Training then
  knows the people that the test is about; the gap between the two is what that flatters.

Output: ``OUTPUT/records/block_0`` and so on, and ``OUTPUT/runs/NAME_block_0`` with the configuration's name.
A fold whose run has been evaluated is not trained again, and one that was interrupted goes on, so the same command
continues where it was stopped. To choose settings, look at validation alone: ``--fold 0 --set name=trial
--set evaluate.split=validation``.
"""  # noqa: RUF002

import argparse
import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sign_keras.bootstrap import bootstrap_interval
from sign_keras.config import load_config
from sign_keras.studies.trainings import Training, time_taken, train_all
from ten_parts import NUM_FOLDS, NUM_PARTS, splits_of_parts
from tfrecords_tools.clips import Clip, ClipSpec, stable_hash
from tfrecords_tools.command_line import SKIPPED_INPUTS, SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import SKIPPED_NAME
from tfrecords_tools.pipeline import ConvertSettings, convert
from tfrecords_tools.settings import add_overrides
from tfrecords_tools.sources import Listing
from tfrecords_tools.sources.folders import ImageFolders

EXAMPLE = """example:
  python examples/digits.py --input digits --output data/digits --config configs/static_frame_classifier.yaml
  python examples/digits.py --input digits --output data/digits

The second makes the records alone, e.g. for python -m sign_keras.train --config configs/static_c3d.yaml.
"""
# Number less digit grows by 4 at most between a student's photographs, and by 9 at least to the next student's.
NEXT_STUDENT = 7
SHORT_SIDE = 100  # of all photographs but a few, which are larger
NUMBER = re.compile(r"(\d+)\.[^.]+$")


@dataclass(frozen=True)
class Fold:
    """How a fold went.

    Attributes:
        split: that was evaluated.
        correct: ``[N]`` bool, of each photograph.
        signers: who signs in each.
        epochs: trained.
        minutes: that these took.
    """

    split: str
    correct: np.ndarray
    signers: list[str]
    epochs: int
    minutes: float


def find_photographs(folder: Path) -> Listing:
    """Lists the photographs in the camera's order, each with its student as signer.

    Raises:
        UserError: the folder is missing, or holds pictures other than ``<0-9>/<name><number>.<image type>``.
    """
    listing = ImageFolders().list_clips(folder)
    student, last = 0, -np.inf
    for index, clip in enumerate(sorted(listing.clips, key=lambda clip: (_camera_number(clip), clip.media_id))):
        offset = _camera_number(clip) - int(clip.glosses[0])
        student += offset - last >= NEXT_STUDENT
        last = offset
        listing.clips[index] = replace(clip, signer=f"student_{student:03}")
    return listing


def _camera_number(clip: Clip) -> int:
    if clip.glosses[0] not in set("0123456789"):
        raise UserError(f"{clip.path}: lies in folder {clip.glosses[0]!r}; expected folders 0 to 9")
    match = NUMBER.search(clip.media_id)
    if match is None:
        raise UserError(f"{clip.path}: has no number at the end of its name, as IMG_1118.JPG has")
    return int(match[1])


def deal_parts(photographs: Sequence[Clip], folds: str) -> list[int]:
    """The part, from 0 to 9, of each photograph.

    Args:
        photographs: from ``find_photographs``.
        folds: ``block`` or ``random``.

    Raises:
        UserError: there are fewer students, or photographs, than parts.
    """
    if folds == "random":
        hashes = [stable_hash(0, clip.media_id) for clip in photographs]
        ranks = np.argsort(np.argsort(hashes))
    else:  # a student's photographs all have the rank of the middle one
        places: dict[str, list[int]] = {}
        for place, clip in enumerate(photographs):
            places.setdefault(clip.signer, []).append(place)
        ranks = np.array([int(np.mean(places[clip.signer])) for clip in photographs])
    parts = [int(part) for part in ranks * NUM_PARTS // len(photographs)]
    if len(set(parts)) < NUM_PARTS:
        raise UserError(f"{len(photographs)} photographs of too few students for {NUM_PARTS} parts; give more")
    return parts


def with_splits(photographs: Sequence[Clip], parts: Sequence[int], fold: int) -> list[Clip]:
    """The photographs with the splits of one fold."""
    splits = splits_of_parts(fold)
    return [replace(clip, split=splits[part]) for clip, part in zip(photographs, parts, strict=True)]


def make_records(listing: Listing, directory: Path, workers: int | None) -> int:
    """Makes the records of one fold, unless they are there; returns how many photographs could not be read."""
    settings = ConvertSettings(clip=ClipSpec(keypoints=None, short_side=SHORT_SIDE), name="digits")
    info = convert(listing, directory, source="image_folders", settings=settings, workers=workers)
    counts = ", ".join(
        f"{split} {part.clips} photographs of {len(part.signers)} students" for split, part in info.splits.items()
    )
    skipped = f"; {info.num_skipped} skipped: see {directory / SKIPPED_NAME}" if info.num_skipped else ""
    print(f"{directory}: {counts}{skipped}", flush=True)
    return info.num_skipped


def read_fold(run: Path) -> Fold:
    """What an evaluated run left behind."""
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return Fold(
        split=metrics["split"],
        correct=np.array([row["gloss"] == row["predicted"] for row in rows]),
        signers=[row["signer"] for row in rows],
        **time_taken(run),
    )


def format_table(folds: dict[int, Fold]) -> str:
    """A line a fold, and the mean over them; intervals are 95 %, by resampling students."""
    lines = ["fold  photographs  students  top-1  95 % interval   epochs  minutes"]
    for number, fold in folds.items():
        low, high = bootstrap_interval(fold.correct, fold.signers, 2000)[0]
        lines.append(
            f"{number:4}  {len(fold.correct):11}  {len(set(fold.signers)):8}  {fold.correct.mean():.3f}  "
            f"{low:.3f} to {high:.3f}  {fold.epochs:6}  {fold.minutes:7.1f}"
        )
    correct = np.concatenate([fold.correct for fold in folds.values()])
    signers = [signer for fold in folds.values() for signer in fold.signers]
    low, high = bootstrap_interval(correct, signers, 2000)[0]
    mean = np.mean([fold.correct.mean() for fold in folds.values()])
    (split,) = {fold.split for fold in folds.values()}
    lines.append(
        f"mean {split} top-1 of {len(folds)} fold(s): {mean:.4f}; of all {len(correct)} photographs "
        f"{correct.mean():.4f}, 95 % interval {low:.4f} to {high:.4f} over {len(set(signers))} students"
    )
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python examples/digits.py",
        description="Cross-validates a model for static signs on photographs of signed digits.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", required=True, type=Path, metavar="DIR", help="folder with folders 0 to 9")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for records and runs")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML of the model (default: make the records only)"
    )
    parser.add_argument(
        "--folds",
        choices=("block", "random"),
        default="block",
        help="block keeps students apart, random does not (default: block)",
    )
    parser.add_argument(
        "--fold", type=int, choices=range(NUM_FOLDS), metavar="K", help="one of 0 to 4 (default: all)"
    )
    add_overrides(parser, "change a setting of the configuration, e.g. train.epochs=5; may be repeated")
    parser.add_argument("--workers", type=int, metavar="N", help="processes to make records (default: one a core)")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    config = load_config(arguments.config, arguments.overrides) if arguments.config else None
    listing = find_photographs(arguments.input)
    parts = deal_parts(listing.clips, arguments.folds)
    trainings: dict[int, Training] = {}
    num_skipped = 0
    for fold in range(NUM_FOLDS) if arguments.fold is None else (arguments.fold,):
        records = arguments.output / "records" / f"{arguments.folds}_{fold}"
        split_listing = replace(listing, clips=with_splits(listing.clips, parts, fold))
        num_skipped = make_records(split_listing, records, arguments.workers)
        if config is not None:
            trainings[fold] = Training(
                config=config.name,
                label=f"fold {fold}",
                file=arguments.config,
                # Five exports of the same model would be of no use to anyone.
                overrides=(*arguments.overrides, f"records.directory={records}", "export.formats=[]"),
                run=arguments.output / "runs" / f"{config.name}_{records.name}",
            )
    if trainings:
        train_all(list(trainings.values()))
        print(format_table({fold: read_fold(training.run) for fold, training in trainings.items()}))
    return SKIPPED_INPUTS if num_skipped else SUCCESS


if __name__ == "__main__":
    run_command(main)
