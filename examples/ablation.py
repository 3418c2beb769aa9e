"""What parts of a configuration are worth: it is trained as it is and with one thing changed, over several seeds.

    python examples/ablation.py --study examples/ablations/r2plus1d_18.yaml --runs runs/ablation_r2plus1d_18

A study is a YAML file: ``config``, ``seeds``, ``settings`` of every training, and ``variants``, each a name and the
settings that it changes; the first is what the others are compared with. Every variant is trained once a seed, and
scored on the split that the configuration evaluates.

Output: the runs, ``RUNS/VARIANT_seed_1`` and so on, and ``RUNS/ablation.md`` and ``.json``. A run that has been
evaluated is not trained again, and one that was interrupted goes on, so the same command continues where it was
stopped.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from pooled_scores import compare, read_answers, score
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.settings import Settings, validate
from trainings import Training, train_all

EXAMPLE = """example:
  python examples/ablation.py --study examples/ablations/r2plus1d_18.yaml --runs runs/ablation_r2plus1d_18
"""
CHANGES = dict[str, Any]


class Study(Settings):
    """A study.

    Attributes:
        config: file of the configuration.
        seeds: of the trainings of each variant.
        settings: of all trainings, by dotted name.
        variants: settings that each changes, by dotted name; the first is the reference.
    """

    config: Path
    seeds: list[int] = pydantic.Field(min_length=1)
    settings: CHANGES = pydantic.Field(default_factory=dict)
    variants: dict[str, CHANGES] = pydantic.Field(min_length=2)


def load_study(file: Path) -> Study:
    """Reads a study.

    Raises:
        UserError: the file is missing or has faults, or two variants would have the same folder.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"--study {file}: {' '.join(str(error).split())}") from error
    study = validate(Study, content, f"--study {file}")
    if len({folder_of(name) for name in study.variants}) < len(study.variants):
        raise UserError(f"--study {file}: two variants differ in punctuation alone; rename one")
    return study


def folder_of(variant: str) -> str:
    """Name of a variant's folders."""
    return re.sub(r"\W+", "_", variant).strip("_")


def plan_trainings(study: Study, runs: Path, variants: Sequence[str]) -> list[Training]:
    """Each variant with each seed; one seed of all variants before the next."""
    return [
        Training(
            config=variant,
            label=f"seed {seed}",
            file=study.config,
            overrides=tuple(
                f"{name}={json.dumps(value)}"
                for name, value in (study.settings | study.variants[variant] | {"seed": seed}).items()
            ),
            run=runs / f"{folder_of(variant)}_seed_{seed}",
        )
        for seed in study.seeds
        for variant in variants
    ]


def summarise(trainings: Sequence[Training]) -> dict[str, Any]:
    """Scores of each variant, and what it differs by from the first, as plain JSON values.

    Raises:
        UserError: see ``read_answers``; or two variants were tested on different clips.
    """
    runs: dict[str, dict[str, Path]] = {}
    for training in trainings:
        runs.setdefault(training.config, {})[training.label] = training.run
    answers = {variant: read_answers(list(of_variant.values())) for variant, of_variant in runs.items()}
    reference, *_ = answers.values()
    summary: dict[str, Any] = {}
    for variant, found in answers.items():
        if found.media_ids.tolist() != reference.media_ids.tolist():
            raise UserError(f"{variant}: was tested on other clips than {next(iter(answers))}")
        each = {label: float(read_answers([run]).correct.mean()) for label, run in runs[variant].items()}
        summary[variant] = {"each": each, **score(found)}
        if found is not reference:
            summary[variant]["difference"] = compare(found, reference)
    return summary


def format_markdown(summary: Mapping[str, Any]) -> str:
    """The summary as a table for a page of results."""
    labels = list(next(iter(summary.values()))["each"])
    lines = [
        ["", "top-1, 95 % interval", *labels, "difference from the first, 95 % interval"],
        ["---"] * (3 + len(labels)),
    ]
    for variant, scores in summary.items():
        low, high = scores["top1_interval"]
        difference = ""
        if "difference" in scores:
            found = scores["difference"]["top1"]
            difference = f"{found['difference']:+.3f}, {found['interval'][0]:+.3f} to {found['interval'][1]:+.3f}"
        each = [f"{value:.3f}" for value in scores["each"].values()]
        lines.append([variant, f"{scores['top1']:.3f}, {low:.3f} to {high:.3f}", *each, difference])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python examples/ablation.py",
        description="Trains a configuration with one thing changed at a time, and says what each is worth.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--study", required=True, type=Path, metavar="FILE", help="YAML of variants and seeds")
    parser.add_argument("--runs", required=True, type=Path, metavar="DIR", help="folder for runs and tables")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="VARIANT",
        help="train these alone, without a table: to share the work among processes",
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    study = load_study(arguments.study)
    if unknown := set(arguments.only or []) - study.variants.keys():
        raise UserError(f"--only {min(unknown)}: no variant; there are {', '.join(study.variants)}")
    trainings = plan_trainings(study, arguments.runs, arguments.only or list(study.variants))
    train_all(trainings)
    if arguments.only:
        return SUCCESS
    summary = summarise(trainings)
    text = format_markdown(summary)
    write_atomically(arguments.runs / "ablation.json", json.dumps(summary, indent=1, ensure_ascii=False))
    write_atomically(arguments.runs / "ablation.md", text)
    print(text)
    print(f"tables: {arguments.runs / 'ablation.md'}, ablation.json")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
