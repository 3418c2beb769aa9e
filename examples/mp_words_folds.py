"""Configurations compared on isolated words of signers whom training has not seen, by cross-validation.

    python examples/mp_words_folds.py --input mp_words --output data/mp_words_folds --runs runs/mp_words_folds \
        --config configs/A.yaml --config configs/B.yaml

The input is that of ``mp_words.py``. Signers who are kept back for a test (``test`` in ``splits.csv``) stay out.

- By default, signers are in five folds, which ``mp_words_folds.csv`` lists: each fold is tested by a model that was
  trained on the others, its epoch chosen on half of the next one's signers. Every signer is tested once.
- ``--random-folds``: the same with clips dealt at random, as many published scores have it. Training then knows the
  people that the test is about; the gap between the two is what that flatters.
- ``--fixed-split``: the split of ``splits.csv``, once for each of ``--seeds``. Scores are of validation, which the
  epoch was chosen on, too: to choose settings, not to report.
- ``--choose NAME=A,B``: of these configurations, each fold takes the one that did best on the signers of the other
  folds, and the tables show NAME in their place: settings chosen without looking at the tested signers.

Output: the records, whose shards all folds share (half a gigabyte; as much again with ``--random-folds``); a run
for each configuration and fold, ``RUNS/NAME_fold_0`` and so on; and ``RUNS/signer_folds.md`` (or ``random_folds``,
``fixed_split``) with tables of the configurations that are named, the same as ``.json``. A run that has been
evaluated is not trained again, and one that was interrupted goes on, so the same command continues where it was
stopped.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from divisions import Clips, Division, list_clips, places_of, random_divisions, random_parts, signer_divisions
from inner_choice import choose, parse_choices
from linked_records import link_records
from mp_words import COMMON_TIER, LAYOUT, read_clips
from pooled_scores import format_markdown, summarise
from sign_keras.config import Config, load_config
from sign_keras.studies.trainings import Training, refuse_own_settings, runs_by_config, train_all
from signer_folds import NUM_FOLDS, SUSPECT
from tfrecords_tools.array_records import ArrayClip, convert_arrays
from tfrecords_tools.clips import SkippedPath
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import FILE_NAME, LABEL_MAP_NAME, SKIPPED_NAME, DatasetInfo
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import add_overrides

EXAMPLE = """example:
  python examples/mp_words_folds.py --input mp_words --output data/mp_words_folds \\
      --runs runs/mp_words_folds --config configs/A.yaml --config configs/B.yaml
  python examples/mp_words_folds.py --input mp_words --output data/mp_words_folds \\
      --runs runs/mp_words_folds --config configs/A.yaml --fixed-split --seeds 1 2 3
"""
TABLE = Path(__file__).with_suffix(".csv")
# What this command sets itself.
OWN_SETTINGS = ("records", "evaluate.split")


def make_parts(
    folder: Path,
    clips: Clips,
    parts: Mapping[str, Mapping[str, str]],
    output: Path,
    label_map: Path,
    workers: int | None,
) -> dict[str, Path]:
    """Makes the records of each part, unless they are there; returns their folders.

    Args:
        folder: the input.
        clips: of it.
        parts: gloss of each clip's name, by part.
        output: folder for the parts.
        label_map: the file.
        workers: processes.

    Raises:
        UserError: a clip cannot be read.
    """
    newest = max(file.stat().st_mtime for file in folder.iterdir())
    folders = {part: output / part for part in parts}
    for number, (part, glosses) in enumerate(parts.items(), start=1):
        directory = folders[part]
        if _is_made(directory, glosses, label_map, newest):
            continue
        print(f"records of {part} ({number} of {len(parts)})", flush=True)
        signers = {signer for signer, names in clips.glosses.items() if names.keys() & glosses.keys()}
        found = (
            replace(clip, columns=clip.columns | {"split": "train"}) if isinstance(clip, ArrayClip) else clip
            for clip in read_clips(folder, None, COMMON_TIER, signers=signers)
            if isinstance(clip, SkippedPath) or clip.path in glosses
        )
        info = convert_arrays(found, LAYOUT, directory, label_map=label_map, workers=workers)
        if info.num_skipped or info.splits["train"].clips != len(glosses):
            raise UserError(f"{directory}: not every clip could be read; see {directory / SKIPPED_NAME}")
    return folders


def _is_made(directory: Path, glosses: Mapping[str, str], label_map: Path, newest: float) -> bool:
    """Whether a part has the records that it is to have, made after the input was."""
    if not (directory / FILE_NAME).exists() or (directory / FILE_NAME).stat().st_mtime < newest:
        return False
    info = DatasetInfo.load(directory)
    same_glosses = LabelMap.load(directory / LABEL_MAP_NAME) == LabelMap.load(label_map)
    return same_glosses and not info.num_skipped and info.splits["train"].glosses == Counter(glosses.values())


def plan_trainings(
    arguments: argparse.Namespace, configs: Mapping[Path, Config], divisions: Mapping[str, Division]
) -> list[Training]:
    """Every configuration on every division, or with every seed; a fold's trainings follow each other."""
    trainings = []
    for label, division in divisions.items():
        for seed in arguments.seeds or [None]:
            suffix = division.name if seed is None else f"{division.name}_seed_{seed}"
            # Exports of the same model from every fold would be of no use to anyone.
            own = [
                f"records.directory={arguments.output / division.name}",
                "records.prepare=null",
                f"evaluate.split={division.tested}",
                "export.formats=[]",
                *([] if seed is None else [f"seed={seed}"]),
            ]
            trainings += [
                Training(
                    config=config.name,
                    label=label if seed is None else f"seed {seed}",
                    file=file,
                    overrides=(*arguments.overrides, *own),
                    run=arguments.runs / f"{config.name}_{suffix}",
                )
                for file, config in configs.items()
            ]
    return trainings


def load_configs(files: Sequence[Path], overrides: Sequence[str]) -> dict[Path, Config]:
    """The configurations, by file.

    Raises:
        UserError: one has faults, two have the same name, or a setting is this command's own.
    """
    refuse_own_settings(overrides, OWN_SETTINGS)
    configs = {file: load_config(file, overrides) for file in files}
    names = Counter(config.name for config in configs.values())
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"--config: several are called {twice[0]}; their runs would be in each other's way")
    return configs


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python examples/mp_words_folds.py",
        description="Compares configurations on signers whom training has not seen.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", required=True, type=Path, metavar="DIR", help="folder to read, see mp_words.py")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for the records")
    parser.add_argument("--runs", required=True, type=Path, metavar="DIR", help="folder for runs and tables")
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="YAML of a model; may be repeated (default: make the records only)",
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--random-folds", action="store_true", help="deal clips to folds, not signers")
    way.add_argument("--fixed-split", action="store_true", help="the split of splits.csv, tested on validation")
    parser.add_argument(
        "--folds",
        type=int,
        nargs="+",
        choices=range(NUM_FOLDS),
        metavar="K",
        help=f"some of 0 to {NUM_FOLDS - 1} (default: all)",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", metavar="N", help="with --fixed-split: one training each (default: 1 2 3)"
    )
    parser.add_argument(
        "--choose",
        action="append",
        default=[],
        metavar="NAME=A,B",
        help="configurations among which each fold chooses by the others' scores; may be repeated",
    )
    parser.add_argument(
        "--table",
        type=Path,
        default=TABLE,
        metavar="FILE",
        help="who is in which fold; written if missing (default: mp_words_folds.csv beside this script)",
    )
    add_overrides(parser, "change a setting of every configuration, e.g. train.epochs=5; may be repeated")
    parser.add_argument("--workers", type=int, metavar="N", help="processes to make records (default: one a core)")
    return parser


def check_arguments(arguments: argparse.Namespace) -> None:
    """Fills in defaults that depend on others.

    Raises:
        UserError: arguments do not go together.
    """
    if arguments.fixed_split:
        if arguments.folds:
            raise UserError("--folds: --fixed-split has none")
        if arguments.choose:
            raise UserError("--choose: --fixed-split tests on the signers that it would choose by")
        arguments.seeds = list(dict.fromkeys(arguments.seeds or [1, 2, 3]))
    elif arguments.choose and arguments.folds and len(set(arguments.folds)) < 2:
        raise UserError("--choose: a fold chooses by the scores of others; give two --folds or more")
    elif arguments.seeds:
        raise UserError("--seeds: only with --fixed-split; folds are trained once, with the configuration's seed")
    arguments.folds = sorted(set(arguments.folds or range(NUM_FOLDS)))


def prepare(arguments: argparse.Namespace, clips: Clips) -> dict[str, Division]:
    """Makes the records of every division that is asked for, and returns these by label."""
    if arguments.fixed_split:
        fixed = {signer.name: signer.split for signer in clips.signers}
        divisions = {"fixed": Division("fixed_split", fixed, tested="validation")}
    elif arguments.random_folds:
        divisions = random_divisions(arguments.folds)
    else:
        divisions = signer_divisions(places_of(clips, arguments.table), arguments.folds)
    parts = random_parts(clips) if arguments.random_folds else None
    make_divisions(arguments.input, clips, list(divisions.values()), arguments.output, arguments.workers, parts)
    return divisions


def make_divisions(
    folder: Path,
    clips: Clips,
    divisions: Sequence[Division],
    output: Path,
    workers: int | None,
    random: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Makes the records of divisions, ``OUTPUT/NAME`` each, with a label map of the glosses that there are.

    Args:
        folder: the input.
        clips: of it.
        divisions: of the same parts.
        output: folder for all of them.
        workers: processes.
        random: parts of clips that are dealt at random, see ``make_parts``; None: signers are the parts.

    Raises:
        UserError: a clip cannot be read.
    """
    label_map = output / LABEL_MAP_NAME
    label_map.parent.mkdir(parents=True, exist_ok=True)
    glosses = [gloss for of_signer in clips.glosses.values() for gloss in of_signer.values()]
    write_atomically(label_map, LabelMap.from_unsorted(glosses).to_json())
    parts = random or {signer: of_signer for signer, of_signer in clips.glosses.items() if of_signer}
    pool = output / ("random_parts" if random else "signers")
    folders = make_parts(folder, clips, parts, pool, label_map, workers)
    for division in divisions:
        by_split: dict[str, list[Path]] = {}
        for part, split in division.split_of.items():
            if part in folders:
                by_split.setdefault(split, []).append(folders[part])
        info = link_records(by_split, output / division.name)
        counts = (
            f"{split} {part.clips} clips of {len(part.signers)} signers" for split, part in info.splits.items()
        )
        print(f"{output / division.name}: {', '.join(counts)}", flush=True)


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    check_arguments(arguments)
    configs = load_configs(arguments.config, arguments.overrides)
    choices = parse_choices(arguments.choose, [config.name for config in configs.values()])
    clips = list_clips(arguments.input)
    divisions = prepare(arguments, clips)
    if not configs:
        return SUCCESS
    trainings = plan_trainings(arguments, configs, divisions)
    train_all(trainings)
    runs = choose(runs_by_config(trainings), choices)
    suspect = {signer.name for signer in clips.signers if signer.status == SUSPECT}
    name = "fixed_split" if arguments.fixed_split else "random_folds" if arguments.random_folds else "signer_folds"
    title = f"{name.replace('_', ' ').capitalize()}: {', '.join(next(iter(runs.values())))}"
    summary = {"title": title} | summarise(runs, suspect)
    text = format_markdown(summary, title)
    write_atomically(arguments.runs / f"{name}.json", json.dumps(summary, indent=1, ensure_ascii=False))
    write_atomically(arguments.runs / f"{name}.md", text)
    print(text)
    print(f"tables: {arguments.runs / name}.md, {name}.json")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
