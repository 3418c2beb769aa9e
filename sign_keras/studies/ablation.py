"""A study of what the parts of a configuration are worth: its variants, their trainings, and their scores.

A study is a YAML file: ``seeds``, ``settings`` of every training, and ``variants``, each a name and the settings
that it changes; the first is what the others are compared with. That of a configuration lies in ``ablations``
beside it, by the configuration's name.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pydantic

from sign_keras.config import Config, Task
from sign_keras.studies import sentences, signs
from sign_keras.studies.tables import markdown_table
from sign_keras.studies.trainings import Training, as_overrides, runs_by_config, time_taken
from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import Settings, SettingsError, load_yaml, validate

FOLDER = "ablations"
CHANGES = dict[str, Any]
# What pools and compares a task's answers.
POOLED: dict[Task, ModuleType] = {"isolated": signs, "continuous": sentences}


class Study(Settings):
    """A study.

    Attributes:
        seeds: of the trainings of each variant.
        settings: of all trainings, by dotted name.
        variants: settings that each changes, by dotted name; the first is the reference.
    """

    seeds: list[int] = pydantic.Field(min_length=1)
    settings: CHANGES = pydantic.Field(default_factory=dict)
    variants: dict[str, CHANGES] = pydantic.Field(min_length=2)


def study_of(config: Path, name: str) -> Path:
    """The file of a configuration's study.

    Args:
        config: the configuration's file.
        name: the configuration's.

    Raises:
        UserError: there is none.
    """
    folder = config.parent / FOLDER
    file = folder / f"{name}.yaml"
    if not file.is_file():
        there = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"
        raise UserError(f"{file}: no such file (studies there: {there}); write one, or name another with --study")
    return file


def load_study(file: Path) -> Study:
    """Reads a study.

    Raises:
        UserError: the file is missing or has faults, or two variants would have the same folder.
    """
    study = validate(Study, load_yaml(file), str(file))
    if len({folder_of(name) for name in study.variants}) < len(study.variants):
        raise UserError(f"{file}: two variants differ in punctuation alone; rename one")
    return study


def folder_of(variant: str) -> str:
    """Name of a variant's folders."""
    return re.sub(r"\W+", "_", variant).strip("_")


def plan_trainings(study: Study, config: Path, runs: Path, overrides: Sequence[str] = ()) -> list[Training]:
    """Each variant with each seed; one seed of all variants before the next.

    Args:
        study: what to train.
        config: the configuration's file.
        runs: folder of the runs.
        overrides: ``--set`` arguments of all trainings; they go before the study's settings, not its variants.

    Raises:
        UserError: a variant's configuration has faults, is another's, or reads something else than the first's.
    """
    trainings = [
        Training(
            config=variant,
            label=f"seed {seed}",
            file=config,
            # Exports of models that are there to be compared would be of no use to anyone.
            overrides=(
                *as_overrides({"export.formats": []} | study.settings),
                *overrides,
                *as_overrides(changes | {"seed": seed}),
            ),
            run=runs / f"{folder_of(variant)}_seed_{seed}",
        )
        for seed in study.seeds
        for variant, changes in study.variants.items()
    ]
    _check_variants(trainings[: len(study.variants)])
    return trainings


def _check_variants(trainings: Sequence[Training]) -> None:
    known: dict[str, Config] = {}
    for training in trainings:
        try:
            config = training.load_config()
        except SettingsError as error:
            raise UserError(f"variant {training.config!r}: {error}") from None
        for name, other in known.items():
            if config == other:
                raise UserError(
                    f"variant {training.config!r}: is the same configuration as {name!r}; leave one out"
                )
            if config.model.task != other.model.task:
                raise UserError(
                    f"variant {training.config!r}: does not read what {name!r} reads; compare them apart"
                )
        known[training.config] = config


def summarise(trainings: Sequence[Training], task: Task) -> dict[str, Any]:
    """Scores of each variant, and what it differs by from the first, as plain JSON values.

    Args:
        trainings: all of them evaluated.
        task: of their models.

    Raises:
        UserError: see ``read_answers`` of ``signs`` and ``sentences``; or two variants were tested on different
            clips.
    """
    pooled = POOLED[task]
    runs = runs_by_config(trainings)
    answers = {variant: pooled.read_answers(list(of_variant.values())) for variant, of_variant in runs.items()}
    first, reference = next(iter(answers.items()))
    variants: dict[str, Any] = {}
    for variant, found in answers.items():
        if found.media_ids.tolist() != reference.media_ids.tolist():
            raise UserError(f"{variant}: was tested on other clips than {first}")
        each = {label: _of_training(run, pooled) for label, run in runs[variant].items()}
        variants[variant] = {"each": each, **pooled.score(found)}
        if found is not reference:
            variants[variant]["difference"] = pooled.compare(found, reference)
    return {"task": task, "scores": pooled.SCORES, "variants": variants}


def _of_training(run: Path, pooled: ModuleType) -> dict[str, Any]:
    """A run's scores, and how long it trained."""
    scores = pooled.score(pooled.read_answers([run]))
    return {name: scores[name] for name in pooled.SCORES} | time_taken(run)


def format_markdown(summary: Mapping[str, Any]) -> str:
    """The summary as tables for a page of results: one a score, and one of what the trainings took."""
    variants = summary["variants"]
    tables = [_score_table(variants, name, title) for name, title in summary["scores"].items()]
    return "\n\n".join([*tables, _training_table(variants)]) + "\n"


def _score_table(variants: Mapping[str, Any], name: str, title: str) -> str:
    labels = list(next(iter(variants.values()))["each"])
    rows = []
    for variant, scores in variants.items():
        low, high = scores[f"{name}_interval"]
        difference = ""
        if "difference" in scores:
            found = scores["difference"][name]
            difference = f"{found['difference']:+.3f}, {found['interval'][0]:+.3f} to {found['interval'][1]:+.3f}"
        each = [f"{of_run[name]:.3f}" for of_run in scores["each"].values()]
        rows.append([variant, f"{scores[name]:.3f}, {low:.3f} to {high:.3f}", *each, difference])
    return markdown_table(
        ["", f"{title}, 95 % interval", *labels, "difference from the first, 95 % interval"], rows
    )


def _training_table(variants: Mapping[str, Any]) -> str:
    labels = list(next(iter(variants.values()))["each"])
    rows = [
        [
            variant,
            *(f"{of_run['minutes']:.1f} ({of_run['epochs']})" for of_run in scores["each"].values()),
        ]
        for variant, scores in variants.items()
    ]
    return markdown_table(["minutes (epochs)", *labels], rows)
