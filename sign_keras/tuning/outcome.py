"""What a search found: ``trials.md`` with how far its trials can be told apart, and ``best.yaml``.

Trials stand in the order of what is monitored. How sure that order is, validation says clip by clip: the scores of
the first trials have intervals over signers, and so have their differences from the first (``bootstrap``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from sign_keras.studies.ablation import POOLED
from sign_keras.studies.tables import markdown_table
from sign_keras.tuning.naming import short_names, short_text
from sign_keras.tuning.plan import Plan
from sign_keras.tuning.trials import Trial
from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import SettingsError

# Intervals of more would be read by nobody, and the first of many are flattered the most.
COMPARED = 10


@dataclass(frozen=True)
class Standing:
    """What validation clips say of a trial.

    Attributes:
        scores: of ``studies.signs.score`` or ``studies.sentences.score``: all seeds together.
        difference: from the first trial, ``PairedDifference`` as a mapping; None of the first.
    """

    scores: Mapping[str, Any]
    difference: Mapping[str, Any] | None

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return (
            self.difference is not None
            and not self.difference["interval"][0] <= 0 <= self.difference["interval"][1]
        )

    def is_better(self, *, downwards: bool) -> bool:
        """Whether it is told apart from the first as better than that."""
        return (
            self.is_told_apart and self.difference is not None and (self.difference["difference"] < 0) == downwards
        )


def in_order(plan: Plan, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that did not fail, the best first."""
    ended = [trial for trial in trials if not trial.reason]
    return sorted(ended, key=lambda trial: trial.score if plan.downwards else -trial.score)


def compare(plan: Plan, ranked: Sequence[Trial]) -> list[Standing]:
    """What validation clips say of the first trials.

    Raises:
        UserError: a run's predictions are missing or damaged.
    """
    pooled: ModuleType = POOLED[plan.common.model.task]
    name = next(iter(pooled.SCORES))
    answers = [pooled.read_answers(trial.runs) for trial in ranked[:COMPARED]]
    return [
        Standing(pooled.score(found), pooled.compare(found, answers[0])[name] if found is not answers[0] else None)
        for found in answers
    ]


def format_trials(plan: Plan, trials: Sequence[Trial]) -> str:
    """The page: what was searched, the table, what it does and does not say, and what failed."""
    ranked = in_order(plan, trials)
    standings = compare(plan, ranked)
    search = plan.tuning.search
    parts = [
        f"# Search of {plan.file.name}",
        f"{search.name}; base {plan.base_file.name}; {len(trials)} configurations, {len(trials) - len(ranked)} of "
        f"them failed; compared by {plan.monitor}, {'less' if plan.downwards else 'more'} is better.",
    ]
    if ranked:
        parts += [_table(plan, ranked, standings), *_caveats(plan, ranked, standings)]
    failed = [trial for trial in trials if trial.reason]
    if failed:
        parts.append("## Failed\n\n" + "\n".join(f"- trial {trial.number}: {trial.reason}" for trial in failed))
    return "\n\n".join(parts) + "\n"


def _table(plan: Plan, ranked: Sequence[Trial], standings: Sequence[Standing]) -> str:
    name, title = next(iter(POOLED[plan.common.model.task].SCORES.items()))
    several = len(plan.tuning.search.seeds) > 1
    header = ["trial", *short_names(list(plan.tuning.space)), plan.monitor, *(["each seed"] if several else [])]
    header += [f"{title}, 95 % interval", "difference from the first, 95 % interval", "epochs", "minutes"]
    rows = []
    for place, trial in enumerate(ranked):
        scored = ["", ""] if place >= len(standings) else _intervals(standings[place], name)
        rows.append(
            [
                str(trial.number),
                *map(short_text, trial.values.values()),
                f"{trial.score:.4f}",
                *([", ".join(f"{score:.4f}" for score in trial.scores)] if several else []),
                *scored,
                str(trial.epochs),
                f"{trial.minutes:.1f}",
            ]
        )
    return markdown_table(header, rows)


def _intervals(standing: Standing, name: str) -> list[str]:
    low, high = standing.scores[f"{name}_interval"]
    text = ""
    if standing.difference is not None:
        found = standing.difference
        text = f"{found['difference']:+.3f}, {found['interval'][0]:+.3f} to {found['interval'][1]:+.3f}"
    return [f"{standing.scores[name]:.3f}, {low:.3f} to {high:.3f}", text]


def _caveats(plan: Plan, ranked: Sequence[Trial], standings: Sequence[Standing]) -> list[str]:
    name, title = next(iter(POOLED[plan.common.model.task].SCORES.items()))
    clips, signers = (standings[0].scores[key] for key in ("clips", "signers"))
    drawn = f"the {signers} signers" if signers > 1 else "clips, as fewer than two signers are known,"
    followers = list(zip(ranked[1:], standings[1:], strict=False))
    alike = [str(trial.number) for trial, standing in followers if not standing.is_told_apart]
    better = [str(trial.number) for trial, standing in followers if standing.is_better(downwards=name == "wer")]
    several = len(plan.tuning.search.seeds) > 1
    found = [
        f"**{_verdict(ranked[0].number, alike, len(followers))}** So say intervals of {title} from drawing {drawn} "
        f"of the {clips} validation clips; they hold what other people would change, and not what "
        + ("other seeds would." if several else "another seed would (`search.seeds`)."),
        f"The first trial's scores flatter: of {len(ranked)}, it was chosen by them. `train --config` with "
        "`best.yaml` tests it on clips that chose nothing.",
    ]
    if better:
        found.insert(
            1, f"By {title}, which is not what the order is by, {_named(better)} did better than the first."
        )
    if several:
        spread = np.sqrt(np.mean([np.var(trial.scores, ddof=1) for trial in ranked]))
        found.append(f"From seed to seed, {plan.monitor} of a trial varies by {spread:.4f} (standard deviation).")
    return found


def _named(numbers: Sequence[str]) -> str:
    return f"trial{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def _verdict(first: int, alike: Sequence[str], compared: int) -> str:
    if not compared:
        return f"Trial {first} is the only one."
    if not alike:
        return f"Trial {first} can be told apart from all {compared} that were compared with it."
    told = f"{len(alike)} of {compared} that were compared with it"
    return f"Trial {first} cannot be told apart from {_named(alike)}: {told}."


def format_best(plan: Plan, trials: Sequence[Trial]) -> str:
    """The best trial's configuration as YAML, with where it comes from on top.

    Raises:
        UserError: all failed, or its values go with the settings of the trials alone.
    """
    ranked = in_order(plan, trials)
    if not ranked:
        raise UserError(f"{plan.runs}: no trial has a score; {len(trials)} failed")
    best = ranked[0]
    try:
        config = plan.best_config(best.values)
    except SettingsError as error:
        raise UserError(f"trial {best.number} goes with the settings of {plan.file} alone: {error}") from None
    seeds = plan.tuning.search.seeds
    over = f"mean of seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    changed = [f"{path}={short_text(value)}" for path, value in best.values.items()]
    settings = [f"{path}={short_text(value)}" for path, value in plan.tuning.settings.items()]
    lines = [
        f"The best of {len(ranked)} trials of {plan.file}, number {best.number}; its base is {plan.base_file}.",
        "",
        f"  python -m sign_keras.train --config {plan.runs / 'best.yaml'}",
        "",
        f"Validation {plan.monitor} {best.score:.4f} ({over}). That flatters: the trial was chosen by it.",
        f"Chosen: {'; '.join(changed)}.",
        *([f"Not taken over from the trials: {'; '.join(settings)}."] if settings else []),
        *([f"Changed by --set: {'; '.join(plan.overrides)}."] if plan.overrides else []),
    ]
    head = "\n".join(f"# {line}".rstrip() for text in lines for line in text.splitlines() or [""])
    return f"{head}\n\n{config.to_yaml()}"
