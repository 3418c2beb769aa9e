"""KerasTuner's oracles, which choose what to try next, such that a search that was killed goes on.

What is mended here of keras-tuner 1.4.8: its files are written in place, so that a kill leaves half of one;
``GridSearchOracle`` forgets where it was; ``BayesianOptimizationOracle`` may ask for what it knows already; failed
trials make ``HyperbandOracle`` promote fewer, down to none; a ``Float`` with a step may lose its last value.
"""

import functools
import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
    RandomSearchOracle,
)
from sklearn.exceptions import ConvergenceWarning

from sign_keras.tuning.plan import Plan
from sign_keras.tuning.space import Space
from tfrecords_tools.journal import write_atomically

OF_HYPERBAND = "tuner/"


def hyperparameters(space: Space) -> keras_tuner.HyperParameters:
    """The space in KerasTuner's terms.

    Choices and steps are texts of JSON: its own choices know neither null nor lists, and make 1 of true.
    """
    found = keras_tuner.HyperParameters()
    for path, dimension in space.items():
        values = dimension.listed()
        if values:
            found.Choice(path, [json.dumps(value) for value in values])
            continue
        assert dimension.range is not None
        kind = found.Float if dimension.int is None else found.Int
        sampling = "log" if dimension.range.log else "linear"
        kind(path, dimension.range.min, dimension.range.max, sampling=sampling)
    return found


def plain_values(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """What an oracle drew, as a configuration has it, by path."""
    return {
        path: json.loads(drawn[path]) if dimension.listed() else dimension.tidy(drawn[path])
        for path, dimension in space.items()
    }


class _Durable(keras_tuner.Oracle):
    """Of an oracle whose files are whole at any moment."""

    trials: dict[str, Trial]
    _retry_queue: list[str]

    def save(self) -> None:
        write_atomically(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        write_atomically(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", json.dumps(trial.get_state()))

    def reload(self) -> None:
        super().reload()
        # A kill between the two files leaves a trial that the oracle knows nothing of, and that nobody began.
        self.trials = {name: self.trials[name] for name in self.start_order}
        # What has ended stands among the ongoing trials until the next save.
        ended = (TrialStatus.COMPLETED, TrialStatus.FAILED)
        self._retry_queue = [name for name in self._retry_queue if self.trials[name].status not in ended]

    @property
    def was_begun(self) -> bool:
        """Whether there is something to reload."""
        return Path(self._get_oracle_fname()).exists()


class RandomOracle(_Durable, RandomSearchOracle):
    """Random search."""


class BayesianOracle(_Durable, BayesianOptimizationOracle):
    """Bayesian optimisation; what has been tried already gives way to a random draw."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """See ``keras_tuner.Oracle``."""
        with warnings.catch_warnings():
            # Few trials fit a process whose length scales are at their bounds: no fault, and nothing to do about.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = super().populate_space(trial_id)
        if found["values"] is not None and self._duplicate(found["values"]):
            return self._random_populate_space()
        return found


class HyperbandWithFailures(_Durable, HyperbandOracle):
    """Hyperband; a trial that fails in a bracket's first round is replaced, up to as many as the round has."""

    @keras_tuner.synchronized  # type: ignore[untyped-decorator]
    def end_trial(self, trial: Trial) -> None:
        """See ``keras_tuner.Oracle``."""
        super().end_trial(trial)
        if self.trials[trial.trial_id].status != TrialStatus.FAILED:
            return
        for bracket in self._brackets:
            first, replaced = bracket["rounds"][0], bracket.get("replaced", 0)
            kept = [info for info in first if info["id"] != trial.trial_id]
            if len(kept) < len(first) and replaced < self._get_size(bracket["bracket_num"], 0):
                bracket["rounds"][0], bracket["replaced"] = kept, replaced + 1
        self.save()


class GridOracle(_Durable, GridSearchOracle):
    """Grid search that remembers, after a reload, which combinations it has tried."""

    def reload(self) -> None:
        """See ``keras_tuner.Oracle``."""
        super().reload()
        tried = sorted(self.trials, key=functools.cmp_to_key(self._compare_trials))
        for trial_id in tried:
            self._ordered_ids.insert(trial_id)
        self._populate_next = tried

    def _compare_trials(self, one: str, other: str) -> int:
        values = [self.trials[trial_id].hyperparameters.values for trial_id in (one, other)]
        return int(self._compare(*values))


def build_oracle(plan: Plan) -> keras_tuner.Oracle:
    """The oracle that a search asks for; it says nothing, and never ends a search because of failures."""
    search = plan.tuning.search
    common = {
        "objective": keras_tuner.Objective(plan.monitor, "min" if plan.downwards else "max"),
        "hyperparameters": hyperparameters(plan.tuning.space),
        "seed": search.seed,
        "allow_new_entries": True,
        "tune_new_entries": True,
        "max_consecutive_failed_trials": sys.maxsize,
    }
    if search.name == "random":
        oracle = RandomOracle(**common)
    elif search.name == "bayesian":
        own = {name: getattr(search, name) for name in ("num_initial_points", "alpha", "beta")}
        oracle = BayesianOracle(**own, **common)
    elif search.name == "hyperband":
        oracle = HyperbandWithFailures(
            max_epochs=plan.common.train.epochs,
            factor=search.factor,
            hyperband_iterations=search.iterations,
            **common,
        )
    else:
        oracle = GridOracle(**common)
    oracle.max_trials = search.max_trials
    oracle.verbose = 0
    return oracle
