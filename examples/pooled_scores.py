"""What the runs of a study said of each clip, pooled, as scores with intervals over people, and as tables.

Runs that tested different clips (folds) are put together; several of the same clip (seeds), see ``studies.signs``.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sign_keras.bootstrap import macro_recall
from sign_keras.studies.signs import SCORES, compare, read_answers, score
from sign_keras.studies.tables import markdown_table
from sign_keras.studies.trainings import time_taken
from tfrecords_tools.command_line import UserError


def summarise(runs: Mapping[str, Mapping[str, Path]], suspect: Collection[str]) -> dict[str, Any]:
    """Scores of configurations, and what each two differ by, as plain JSON values.

    Args:
        runs: of each configuration, by the training's label, e.g. ``fold 0``. All have the same labels.
        suspect: signers whose data are doubtful: scores and differences are given again without them.

    Raises:
        UserError: see ``read_answers``; or two configurations were tested on different clips.
    """
    answers = {name: read_answers(list(of_config.values())) for name, of_config in runs.items()}
    (first, expected), *others = answers.items()
    for name, found in others:
        if not np.array_equal(found.media_ids, expected.media_ids):
            raise UserError(f"{first} and {name} were tested on different clips; nothing can be compared")
    views = {"all": answers}
    if set(expected.signers) & set(suspect):
        views["without_suspect"] = {name: found.without(suspect) for name, found in answers.items()}
    return {
        "configs": {
            name: {
                "trainings": {label: describe_training(run) for label, run in of_config.items()},
                **{view: score(of_view[name]) for view, of_view in views.items() if len(of_view[name].correct)},
            }
            for name, of_config in runs.items()
        },
        "differences": [
            {"first": one, "second": other, "signers": view} | compare(of_view[one], of_view[other])
            for view, of_view in views.items()
            for one, other in itertools.combinations(runs, 2)
            if len(of_view[one].correct)
        ],
        "suspect": sorted(set(suspect) & set(expected.signers)),
    }


def describe_training(run: Path) -> dict[str, Any]:
    """One run's scores, and how long it trained."""
    answers = read_answers([run])
    return {
        "run": str(run),
        "clips": len(answers.correct),
        "top1": float(answers.correct.mean()),
        "macro_recall": macro_recall(answers.glosses, answers.correct),
        **time_taken(run),
    }


def format_markdown(summary: Mapping[str, Any], title: str) -> str:
    """The summary as tables for a page of results."""
    configs = summary["configs"]
    parts = [f"## {title}", "All signers:", _score_table(configs, "all")]
    if summary["suspect"]:
        parts += [f"Without {', '.join(summary['suspect'])} (suspect):", _score_table(configs, "without_suspect")]
    parts += ["Each training:", _training_table(configs)]
    if summary["differences"]:
        parts += [
            "Differences, the same people drawn for both (paired bootstrap over signers):",
            _difference_table(summary["differences"]),
        ]
    for what in ("signer", "gloss"):
        heading = "Share of correct clips" if what == "signer" else "Recall"
        parts += [f"{heading} of each {what}:", _share_table(configs, what, summary["suspect"])]
    return "\n\n".join(parts) + "\n"


def _with_interval(scores: Mapping[str, Any], name: str) -> str:
    low, high = scores[f"{name}_interval"]
    return f"{scores[name]:.3f}, {low:.3f} to {high:.3f}"


def _score_table(configs: Mapping[str, Any], view: str) -> str:
    rows = [
        [
            name,
            str(scores[view]["clips"]),
            str(scores[view]["signers"]),
            _with_interval(scores[view], "top1"),
            _with_interval(scores[view], "macro_recall"),
        ]
        for name, scores in configs.items()
        if view in scores
    ]
    header = ["configuration", "clips", "signers", "top-1, 95 % interval", "macro recall, 95 % interval"]
    return markdown_table(header, rows)


def _training_table(configs: Mapping[str, Any]) -> str:
    rows = []
    for name, scores in configs.items():
        trainings = scores["trainings"].values()
        for key in SCORES:
            values = [training[key] for training in trainings]
            rows.append([name, SCORES[key], f"{np.mean(values):.3f}", *(f"{value:.3f}" for value in values)])
        epochs = [str(training["epochs"]) for training in trainings]
        minutes = [training["minutes"] for training in trainings]
        rows.append([name, "run", "", *(Path(training["run"]).name for training in trainings)])
        rows.append([name, "epochs", "", *epochs])
        rows.append([name, "minutes", f"{np.mean(minutes):.1f}", *(f"{value:.1f}" for value in minutes)])
    labels = list(next(iter(configs.values()))["trainings"])
    return markdown_table(["configuration", "", "mean", *labels], rows)


def _difference_table(differences: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for pair in differences:
        signers = {"all": "all", "without_suspect": "without suspect"}[pair["signers"]]
        for key in SCORES:
            low, high = pair[key]["interval"]
            rows.append(
                [
                    f"{pair['first']} less {pair['second']}",
                    signers,
                    SCORES[key],
                    f"{pair[key]['difference']:+.3f}",
                    f"{low:+.3f} to {high:+.3f}",
                    f"{pair[key]['share_above']:.3f}",
                ]
            )
    return markdown_table(["", "signers", "score", "difference", "95 % interval", "resamples above 0"], rows)


def _share_table(configs: Mapping[str, Any], what: str, suspect: Collection[str]) -> str:
    of_first = next(iter(configs.values()))["all"][f"per_{what}"]
    rows = [
        [
            f"{name} (suspect)" if what == "signer" and name in suspect else name,
            str(shares["clips"]),
            *(f"{scores['all'][f'per_{what}'][name]['correct']:.3f}" for scores in configs.values()),
        ]
        for name, shares in of_first.items()
    ]
    return markdown_table([what, "clips", *configs], rows)
