"""``python -m sign_keras.ablate``: what are the parts of a configuration worth?

It is trained as it is and with one thing changed at a time, over several seeds, as its study says
(``studies.ablation``). Output: the runs, ``RUNS/VARIANT_seed_1`` and so on, and ``RUNS/ablation.md``, ``.json`` and
``.html``. A run that has been evaluated is not trained again, and one that was interrupted goes on, so the same
command continues where it was stopped.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from sign_keras.config import load_config
from sign_keras.quiet import quiet_tensorflow
from sign_keras.studies.ablation import format_markdown, load_study, plan_trainings, study_of, summarise
from sign_keras.studies.trainings import Training, train_all
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.settings import add_overrides

EXAMPLE = """example:
  python -m sign_keras.ablate --config configs/four_stage_ctc.yaml --runs runs/ablation_four_stage_ctc

configs/ablations/NAME.yaml says what is changed, and what all trainings share: fewer epochs, say.
Stopped, the same command goes on. ablation.html is the page to look at; ablation.md has its tables.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.ablate",
        description="Trains a configuration with one thing changed at a time, and says what each is worth.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="YAML of the experiment")
    parser.add_argument("--runs", required=True, type=Path, metavar="DIR", help="folder for runs and tables")
    parser.add_argument(
        "--study",
        type=Path,
        metavar="FILE",
        help="YAML of variants and seeds (default: ablations/NAME.yaml beside the configuration)",
    )
    add_overrides(parser, "change a setting of every training, e.g. train.epochs=5; may be repeated")
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
    config = load_config(arguments.config)
    study = load_study(arguments.study or study_of(arguments.config, config.name))
    if unknown := set(arguments.only or []) - study.variants.keys():
        raise UserError(f"--only {min(unknown)}: no variant; there are {', '.join(study.variants)}")
    trainings = plan_trainings(study, arguments.config, arguments.runs, arguments.overrides)
    if arguments.only:
        train_all([training for training in trainings if training.config in arguments.only])
        return SUCCESS
    train_all(trainings)
    summary = summarise(trainings, trainings[0].load_config().model.task)
    write_tables(arguments.runs, summary, trainings[0])
    return SUCCESS


def write_tables(runs: Path, summary: dict[str, Any], first: Training) -> None:
    """Writes what was found as JSON, Markdown and a page, and prints the Markdown.

    Args:
        runs: folder to write to.
        summary: from ``studies.ablation.summarise``.
        first: the first variant's training.
    """
    text = format_markdown(summary)
    write_atomically(runs / "ablation.json", json.dumps(summary, indent=1, ensure_ascii=False))
    write_atomically(runs / "ablation.md", text)
    print(text)
    quiet_tensorflow()

    from sign_keras.reporting.ablation import render_ablation

    config = first.load_config()
    page = render_ablation(summary, name=config.name, configuration=config.to_yaml())
    write_atomically(runs / "ablation.html", page)
    print(f"tables: {', '.join(str(runs / name) for name in ('ablation.html', 'ablation.md', 'ablation.json'))}")


if __name__ == "__main__":
    run_command(main)
