"""The sentences of RWTH-BOSTON-104 read by cross-validation: five trainings, one table.

    python examples/boston104_folds.py --input boston104 --output data/boston104_folds --runs runs/boston104_folds \
        --config configs/boston104_keypoint_ctc.yaml

The input is that of ``boston104.py``; sentences of all splits but ``test`` take part. They are dealt to ten parts,
each signer's in turn. A fold tests two parts, chooses its epoch and how sentences are read
(``evaluate.decoding``) on the part that follows, and trains on the other seven; every sentence is tested once. No
word boundaries are given in a test. Training uses them to splice more sentences (``--spliced``), and the language
model is learnt from the sentences that a fold trains on.

Folds are of sentences: signers are the same in training and test, and so are some sentences, word for word. The
table gives both kinds apart: sentences that the fold's training has too, and those that it has not.

Output: the records of each fold; a run each, ``RUNS/NAME_fold_0`` and so on; ``RUNS/NAME_folds.md`` with the table,
and the same as ``.json``. A run that has been evaluated is not trained again, and one that was interrupted goes on,
so the same command continues where it was stopped. To choose settings, look at validation alone: ``--folds 0
--set name=trial --set evaluate.split=validation``.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from boston104 import LAYOUT, read_clips, write_language_model
from sign_keras.config import Config, load_config
from sign_keras.decoding import LANGUAGE_MODEL_NAME
from sign_keras.error_rate import error_rate_metrics
from sign_keras.studies.tables import markdown_table
from sign_keras.studies.trainings import Training, refuse_own_settings, train_all
from spliced_sentences import splice
from ten_parts import NUM_FOLDS, NUM_PARTS, splits_of_parts
from tfrecords_tools.array_records import ArrayClip, convert_arrays
from tfrecords_tools.clips import SkippedPath, stable_hash
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import LABEL_MAP_NAME, SKIPPED_NAME
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import add_overrides

EXAMPLE = """example:
  python examples/boston104_folds.py --input boston104 --output data/boston104_folds \\
      --runs runs/boston104_folds --config configs/boston104_keypoint_ctc.yaml
"""
BOOTSTRAP_SAMPLES = 10_000
# What this command sets itself.
OWN_SETTINGS = ("records", "evaluate.decoding.language_model")


@dataclass(frozen=True)
class Answer:
    """A sentence that was tested.

    Attributes:
        fold: that tested it.
        reference: the signed glosses.
        hypothesis: the recognised ones.
        is_known: whether the fold trained on the very same sentence.
        new_glosses: how many of its glosses the fold's training sentences do not have.
    """

    fold: int
    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]
    is_known: bool
    new_glosses: int


def deal_parts(sentences: Sequence[ArrayClip]) -> list[int]:
    """The part, from 0 to 9, of each sentence: each signer's in turn, in an order that names alone decide.

    Raises:
        UserError: there are fewer sentences than parts.
    """
    if len(sentences) < NUM_PARTS:
        raise UserError(f"{len(sentences)} sentences are too few for {NUM_PARTS} parts; give more")
    order = sorted(
        range(len(sentences)),
        key=lambda place: (sentences[place].columns["signer"], stable_hash(0, sentences[place].path)),
    )
    parts = {place: number % NUM_PARTS for number, place in enumerate(order)}
    return [parts[place] for place in range(len(sentences))]


def with_splits(sentences: Sequence[ArrayClip], fold: int) -> list[ArrayClip]:
    """The sentences with the splits of one fold."""
    splits = splits_of_parts(fold)
    return [
        replace(sentence, columns=sentence.columns | {"split": splits[part]})
        for sentence, part in zip(sentences, deal_parts(sentences), strict=True)
    ]


def list_sentences(folder: Path) -> list[ArrayClip]:
    """The sentences of the input, less those of its test.

    Raises:
        UserError: a table is missing or makes no sense, or a sentence cannot be read.
    """
    clips = list(read_clips(folder, None, 0))
    for clip in clips:
        if isinstance(clip, SkippedPath):
            raise UserError(f"{clip.path}: {clip.reason}; every fold needs every sentence")
    return [clip for clip in clips if isinstance(clip, ArrayClip) and clip.columns["split"] != "test"]


def make_records(sentences: Sequence[ArrayClip], directory: Path, spliced: int, workers: int | None) -> None:
    """Makes the records and the language model of one fold.

    Raises:
        UserError: a sentence cannot be converted.
    """
    label_map = directory.parent / LABEL_MAP_NAME
    clips = [*sentences, *splice(sentences, spliced)]
    info = convert_arrays(clips, LAYOUT, directory, label_map=label_map, workers=workers)
    if info.num_skipped:
        raise UserError(f"{directory}: not every sentence could be read; see {directory / SKIPPED_NAME}")
    write_language_model(sentences, directory)
    counts = ", ".join(f"{split} {part.clips}" for split, part in info.splits.items())
    print(f"{directory}: {counts} sentences, {spliced} of them spliced", flush=True)


def plan_training(arguments: argparse.Namespace, config: Config, fold: int) -> Training:
    """The training of one fold."""
    directory = arguments.output / f"fold_{fold}"
    own = [f"records.directory={directory}", "export.formats=[]"]
    if config.evaluate.decoding.language_model != "none":
        own.append(f"evaluate.decoding.language_model={directory / LANGUAGE_MODEL_NAME}")
    if not any(override.startswith("evaluate.split=") for override in arguments.overrides):
        own.append("evaluate.split=test")
    return Training(
        config=config.name,
        label=f"fold {fold}",
        file=arguments.config,
        overrides=(*arguments.overrides, *own),
        run=arguments.runs / f"{config.name}_fold_{fold}",
    )


def read_answers(run: Path, fold: int, sentences: Sequence[ArrayClip]) -> list[Answer]:
    """What an evaluated run said of each sentence.

    Args:
        run: its directory.
        fold: its number.
        sentences: with the fold's splits.
    """
    training = [tuple(clip.columns["glosses"].split()) for clip in sentences if clip.columns["split"] == "train"]
    known = {gloss for sentence in training for gloss in sentence}
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    answers = []
    for row in rows:
        reference = tuple(row["reference"].split())
        answers.append(
            Answer(
                fold=fold,
                reference=reference,
                hypothesis=tuple(row["hypothesis"].split()),
                is_known=reference in training,
                new_glosses=sum(gloss not in known for gloss in reference),
            )
        )
    return answers


def score(answers: Sequence[Answer]) -> dict[str, Any]:
    """Error rates of sentences by both scorings, with 95 % intervals over sentences, as plain JSON values."""
    rates = error_rate_metrics(
        [answer.reference for answer in answers],
        [answer.hypothesis for answer in answers],
        [""] * len(answers),
        bootstrap_samples=BOOTSTRAP_SAMPLES,
    )
    return {
        "sentences": len(answers),
        "right": sum(answer.reference == answer.hypothesis for answer in answers),
        "new_glosses": sum(answer.new_glosses for answer in answers),
        **rates,
    }


def summarise(answers: Sequence[Answer]) -> dict[str, dict[str, Any]]:
    """Scores of each fold, of all folds together, and of known and new sentences apart."""
    folds = sorted({answer.fold for answer in answers})
    parts = {f"fold {fold}": [answer for answer in answers if answer.fold == fold] for fold in folds}
    parts |= {
        "all": list(answers),
        "known sentences": [answer for answer in answers if answer.is_known],
        "new sentences": [answer for answer in answers if not answer.is_known],
    }
    return {name: score(part) for name, part in parts.items() if part}


def format_markdown(summary: Mapping[str, Mapping[str, Any]], decodings: Mapping[str, Mapping[str, Any]]) -> str:
    """The summary as a table for a page of results."""
    header = [
        "",
        "sentences",
        "glosses, of them not in training",
        "WER, 95 % interval",
        "S, D, I",
        "WER, sclite's scoring",
        "sentences right",
        "language model's weight, gloss bonus",
    ]
    rows = []
    for name, part in summary.items():
        rate, sclite = part["word_error_rate"], part["word_error_rate_sclite"]
        low, high = rate["interval"]
        how = decodings.get(name)
        row = [
            name,
            str(part["sentences"]),
            f"{rate['total_words']}, {part['new_glosses']}",
            f"{rate['wer']:.3f}, {low:.3f} to {high:.3f}",
            ", ".join(str(count) for count in rate["error_types"].values()),
            f"{sclite['wer']:.3f}",
            str(part["right"]),
            f"{how['weight']:g}, {how['gloss_bonus']:g}" if how else "",
        ]
        rows.append(row)
    return markdown_table(header, rows) + "\n"


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python examples/boston104_folds.py",
        description="Cross-validates a model on the sentences of RWTH-BOSTON-104.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", required=True, type=Path, metavar="DIR", help="what boston104.py reads")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for the records")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="for runs and tables (default: OUTPUT/runs)")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML of the model (default: make the records only)"
    )
    parser.add_argument(
        "--folds",
        type=int,
        nargs="+",
        choices=range(NUM_FOLDS),
        metavar="K",
        help=f"some of 0 to {NUM_FOLDS - 1} (default: all)",
    )
    parser.add_argument(
        "--spliced",
        type=int,
        default=1200,
        metavar="N",
        help="sentences that each fold makes of its training sentences, to train on besides (default: %(default)s)",
    )
    add_overrides(parser, "change a setting of the configuration, e.g. train.epochs=5; may be repeated")
    parser.add_argument("--workers", type=int, metavar="N", help="processes to make records (default: one a core)")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if arguments.spliced < 0:
        raise UserError(f"--spliced {arguments.spliced}: must be at least 0")
    refuse_own_settings(arguments.overrides, OWN_SETTINGS)
    arguments.runs = arguments.runs or arguments.output / "runs"
    config = load_config(arguments.config, arguments.overrides) if arguments.config else None
    sentences = list_sentences(arguments.input)
    glosses = [gloss for sentence in sentences for gloss in sentence.columns["glosses"].split()]
    folds = {fold: with_splits(sentences, fold) for fold in sorted(set(arguments.folds or range(NUM_FOLDS)))}
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.output / LABEL_MAP_NAME, LabelMap.from_unsorted(glosses).to_json())
    for fold, dealt in folds.items():
        make_records(dealt, arguments.output / f"fold_{fold}", arguments.spliced, arguments.workers)
    if config is None:
        return SUCCESS
    trainings = {fold: plan_training(arguments, config, fold) for fold in folds}
    train_all(list(trainings.values()))
    answers = [answer for fold, run in trainings.items() for answer in read_answers(run.run, fold, folds[fold])]
    decodings = {
        f"fold {fold}": json.loads((training.run / "metrics.json").read_text(encoding="utf-8"))["decoding"]
        for fold, training in trainings.items()
    }
    summary = summarise(answers)
    text = format_markdown(summary, decodings)
    table = arguments.runs / f"{config.name}_folds.md"
    content = {"config": config.name, "folds": decodings, "scores": summary}
    write_atomically(table, text)
    write_atomically(table.with_suffix(".json"), json.dumps(content, indent=1, ensure_ascii=False))
    print(f"{text}\ntables: {table}, {table.with_suffix('.json').name}")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
