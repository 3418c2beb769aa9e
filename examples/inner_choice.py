"""Settings chosen inside each fold: of several configurations, the one that its validation signers did best with.

Choosing by the tested signers, or once for all folds by signers of whom some are tested, flatters the choice
(Cawley and Talbot 2010, JMLR 11, "On over-fitting in model selection and subsequent selection bias in performance
evaluation").
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfrecords_tools.command_line import UserError


def parse_choices(texts: Sequence[str], configs: Sequence[str]) -> dict[str, list[str]]:
    """Names of configurations to choose among, by the choice's name.

    Args:
        texts: ``NAME=A,B``.
        configs: names of those that are trained.

    Raises:
        UserError: a text is none, or names a configuration that is not trained or is in two choices.
    """
    choices: dict[str, list[str]] = {}
    for text in texts:
        name, _, candidates = text.partition("=")
        choices[name] = [candidate.strip() for candidate in candidates.split(",")]
        if not name or len(choices[name]) < 2:
            raise UserError(f"--choose {text}: expected NAME=A,B with two names of configurations or more")
    named = [candidate for candidates in choices.values() for candidate in candidates]
    for candidate in named:
        if candidate not in configs:
            raise UserError(f"--choose: {candidate} is not the name of a --config; there are {', '.join(configs)}")
        if named.count(candidate) > 1:
            raise UserError(f"--choose: {candidate} is named twice")
    return choices


def choose(
    runs: Mapping[str, Mapping[str, Path]], choices: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Path]]:
    """Runs by name and fold: each choice's in place of its candidates'.

    Args:
        runs: of each configuration, by fold.
        choices: see ``parse_choices``.
    """
    chosen = {
        name: {
            label: max((runs[candidate][label] for candidate in candidates), key=validation_score)
            for label in runs[candidates[0]]
        }
        for name, candidates in choices.items()
    }
    candidates = {candidate for of_choice in choices.values() for candidate in of_choice}
    return chosen | {name: of_config for name, of_config in runs.items() if name not in candidates}


def validation_score(run: Path) -> tuple[float, float]:
    """Top-1 of a run's best epoch on validation, and where these are alike, its negative loss then."""
    with (run / "history.csv").open(encoding="utf-8", newline="") as stream:
        return max((float(row["val_top1"]), -float(row["val_loss"])) for row in csv.DictReader(stream))
