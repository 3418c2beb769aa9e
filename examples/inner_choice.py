"""Settings chosen inside each fold: of several configurations, the one that did best on the signers of other folds.

A fold's own tested signers have no say in what they are tested with. The other folds' signers are those that it
trains on and chooses its epoch by; their scores come from the models that were tested on them. Four validation
signers alone say too little to choose by. Choosing once for all folds, by everybody, flatters (Cawley and Talbot
2010, JMLR 11, "On over-fitting in model selection and subsequent selection bias in performance evaluation").
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sign_keras.bootstrap import macro_recall
from sign_keras.studies.signs import read_answers
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
        runs: of each configuration, by fold; two folds at least.
        choices: see ``parse_choices``.

    Raises:
        UserError: see ``read_answers``.
    """

    def score_elsewhere(candidate: str, fold: str) -> float:
        answers = read_answers([run for label, run in runs[candidate].items() if label != fold])
        return macro_recall(answers.glosses, answers.correct)

    chosen = {
        name: {
            fold: runs[max(candidates, key=lambda candidate, fold=fold: score_elsewhere(candidate, fold))][fold]
            for fold in runs[candidates[0]]
        }
        for name, candidates in choices.items()
    }
    candidates = {candidate for of_choice in choices.values() for candidate in of_choice}
    return chosen | {name: of_config for name, of_config in runs.items() if name not in candidates}
