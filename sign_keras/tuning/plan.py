"""A search that has been read and checked: what its trials are trained with, and what its best becomes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydantic

from sign_keras.config import Config, load_config
from sign_keras.config.training import improves_downwards
from sign_keras.studies.trainings import Training, as_overrides
from sign_keras.tuning.settings import Tuning
from sign_keras.tuning.space import overlap, value_at
from tfrecords_tools.command_line import UserError
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.settings import SettingsError, apply_overrides, load_yaml, validate

SEARCH_NAME = "search.json"
# What trials are told besides: the test is not theirs to look at, and nobody needs their exports.
OF_TRIALS: dict[str, Any] = {"evaluate.split": "validation", "export.formats": []}
NOT_SEARCHED = {
    "name": "names the run",
    "seed": "is in search.seeds",
    "records": "has to be the same, for trials are compared on the same clips",
    "evaluate": "says what is reported, not what is learnt",
    "export": "says what is exported, not what is learnt",
    "train.monitor": "is what trials are compared by",
    "data.no_sign": "changes what is validated on, and trials are compared by that",
}
# Of the section ``train``.
OF_THE_LOSS = (
    "loss",
    "loss_weights",
    "loss_weighting",
    "l2",
    "label_smoothing",
    "class_weights",
    "effective_number_beta",
    "logit_adjustment",
)


@dataclass(frozen=True)
class Plan:
    """A search, and where it takes place.

    Attributes:
        file: the search's YAML.
        tuning: what it holds.
        overrides: ``--set`` arguments, of the base.
        runs: folder of the trials.
    """

    file: Path
    tuning: Tuning
    overrides: tuple[str, ...]
    runs: Path

    @property
    def base_file(self) -> Path:
        """The configuration that trials change."""
        return self.file.parent / self.tuning.base

    @cached_property
    def base(self) -> Config:
        """That configuration, with ``--set``."""
        return load_config(self.base_file, self.overrides)

    @cached_property
    def common(self) -> Config:
        """What trials have in common: the base with the settings of all trials."""
        return load_config(self.base_file, self._of_trials({}))

    @property
    def monitor(self) -> str:
        """What trials are compared by."""
        return self.common.train.monitor

    @property
    def downwards(self) -> bool:
        """Whether less of that is better."""
        return improves_downwards(self.monitor)

    def _of_trials(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            *self.overrides,
            *as_overrides(self.tuning.settings),
            *as_overrides(OF_TRIALS),
            *as_overrides(values),
        )

    def folder(self, number: int) -> Path:
        """Where a trial's runs are."""
        return self.runs / f"trial_{number:04d}"

    def trainings(self, number: int, values: Mapping[str, Any]) -> list[Training]:
        """A trial's trainings, one a seed.

        Args:
            number: of the trial.
            values: of the fields of the space, by path.
        """
        return [
            Training(
                config=f"trial {number}",
                label=f"seed {seed}",
                file=self.base_file,
                overrides=(*self._of_trials(values), f"seed={seed}"),
                run=self.folder(number) / f"seed_{seed}",
            )
            for seed in self.tuning.search.seeds
        ]

    def best_config(self, values: Mapping[str, Any]) -> Config:
        """The base with these values: what to train when the search is over.

        Raises:
            SettingsError: they go with the settings of the trials alone.
        """
        return load_config(self.base_file, (*self.overrides, *as_overrides(values), f"name={self.base.name}_tuned"))

    @property
    def holds_base(self) -> bool:
        """Whether a search may come upon the base itself."""
        there = self.base.model_dump(mode="json")
        return all(dimension.holds(value_at(there, path)) for path, dimension in self.tuning.space.items())

    def claim(self) -> None:
        """Notes in the folder of the trials which search is made there.

        Raises:
            UserError: it is another one. More or fewer trials make no other one.
        """
        identity = self.tuning.model_dump(mode="json", exclude={"base": True, "search": {"max_trials"}})
        identity["base"] = self.base.model_dump(mode="json")
        path = self.runs / SEARCH_NAME
        if path.exists():
            begun = json.loads(path.read_text(encoding="utf-8"))
            if changed := [name for name in identity if begun.get(name) != identity[name]]:
                raise UserError(
                    f"{self.runs}: holds the trials of another search (it differs in {', '.join(changed)}); choose "
                    "another --runs, or delete that folder"
                )
            return
        self.runs.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(identity, indent=1, ensure_ascii=False))


def load_plan(
    file: Path, overrides: Sequence[str] = (), runs: Path | None = None, max_trials: int | None = None
) -> Plan:
    """Reads a search and checks all of it, before anything is trained.

    Args:
        file: the search's YAML.
        overrides: ``--set`` arguments, of the base.
        runs: folder of the trials; None: ``runs/tune_FILE``.
        max_trials: in place of the file's.

    Raises:
        UserError: a file is missing or has faults; the space names what the configuration does not have, or values
            that it does not take.
    """
    values = load_yaml(file)
    if max_trials is not None:
        values = apply_overrides(values, [f"search.max_trials={max_trials}"])
    tuning = validate(Tuning, values, str(file) if max_trials is None else f"{file} with --max-trials")
    plan = Plan(file, tuning, tuple(overrides), runs or Path("runs") / f"tune_{file.stem}")
    _check_paths(plan)
    try:
        plan.common, plan.base  # noqa: B018 (read here, so that faults are found here)
    except SettingsError as error:
        raise UserError(f"{file}: base or settings: {error}") from None
    _check_loss(plan)
    _check_grid(plan)
    for path in tuning.space:
        _check_values(plan, path)
    return plan


def _check_paths(plan: Plan) -> None:
    tuning, paths = plan.tuning, list(plan.tuning.space)
    reasons = dict(NOT_SEARCHED)
    if tuning.search.name == "hyperband":
        reasons["train.epochs"] = "is what hyperband deals out"
    for place, path in enumerate(paths):
        where = f"{plan.file}: space.{path}"
        for name, reason in reasons.items():
            if overlap(path, name):
                raise UserError(f"{where}: {name} {reason}; leave it out of the space")
        for other in paths[:place]:
            if overlap(path, other):
                raise UserError(f"{where}: is a part of {other}, or the other way round; leave one out")
        for name in tuning.settings:
            if overlap(path, name):
                raise UserError(f"{where}: settings have {name} too; leave one out")
        for override in plan.overrides:
            if overlap(path, override.partition("=")[0]):
                raise UserError(f"--set {override}: the space of {plan.file} has {path}; leave one out")


def _check_loss(plan: Plan) -> None:
    """Losses of trials that are measured differently say nothing about the trials."""
    for path in plan.tuning.space if plan.monitor == "val_loss" else ():
        for name in OF_THE_LOSS:
            if overlap(path, f"train.{name}"):
                other = "val_wer" if plan.common.model.task == "continuous" else "val_top1"
                raise UserError(
                    f"{plan.file}: space.{path}: changes what val_loss measures, which trials are compared by; "
                    f"set train.monitor to {other}, or leave it out of the space"
                )


def _check_grid(plan: Plan) -> None:
    for path, dimension in plan.tuning.space.items() if plan.tuning.search.name == "grid" else ():
        if dimension.range is not None and not dimension.range.grid():
            raise UserError(f"{plan.file}: space.{path}: a grid needs a step; give one, or a choice")


def _check_values(plan: Plan, path: str) -> None:
    """Whether the configuration takes every value of a field, each with some value of one other field at least."""
    space = plan.tuning.space
    trials = apply_overrides(load_yaml(plan.base_file), plan._of_trials({}))
    others = [{other: value} for other in space if other != path for value in space[other].examples()]
    for value in space[path].examples():
        changed = {path: value}
        # A rule about several fields may be met where another one changes too.
        if not any(_is_taken(trials, changed | other) for other in ({}, *others)):
            where = f"{plan.file}: space.{path}: {json.dumps(value)} will not do"
            validate(Config, apply_overrides(trials, as_overrides(changed)), where)


def _is_taken(trials: dict[str, Any], changes: Mapping[str, Any]) -> bool:
    try:
        Config.model_validate(apply_overrides(trials, as_overrides(changes)))
    except pydantic.ValidationError:
        return False
    return True
