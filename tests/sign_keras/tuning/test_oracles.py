"""The oracles on made-up scores, with nothing trained."""

import itertools
import json
from pathlib import Path

import pytest
from keras_tuner.engine.trial import TrialStatus

from sign_keras.tuning.oracles import build_oracle, plain_values
from sign_keras.tuning.plan import load_plan
from tests.sign_keras.tuning.test_plan import SEARCHES
from tests.sign_keras.tuning.toy_search import write_search

SPACE = {
    "train.learning_rate": {"float": {"min": 0.0001, "max": 0.1, "log": True}},
    "model.units": {"choice": [[4], [4, 4], [8]]},
    "model.features.causal": {"choice": [True, False]},
}
GRID = {
    "model.dropout": {"float": {"min": 0, "max": 0.3, "step": 0.1}},
    "train.ema_decay": {"choice": [None, 0.9]},
    "model.bidirectional": {"choice": [True, False]},
}
FIELDS = {"random": {"max_trials": 6}, "bayesian": {"max_trials": 5, "num_initial_points": 4}, "hyperband": {}}


class Search:
    """An oracle as a tuner uses it; ``score`` of a trial's values gives None where it fails."""

    def __init__(self, folder: Path, score, space=SPACE, **search):
        self.plan = load_plan(write_search(folder, space=space, search=search), runs=folder)
        self.score, self.tried = score, []
        self.open()

    def open(self):
        """As a new process does."""
        self.oracle = build_oracle(self.plan)
        self.oracle._set_project_dir(str(self.plan.runs), "state")
        if self.oracle.was_begun:
            self.oracle.reload()

    def draw(self):
        return self.oracle.create_trial("tuner")

    def end(self, trial):
        values = plain_values(self.plan.tuning.space, trial.hyperparameters.values)
        self.tried.append(values)
        score = self.score(values)
        trial.status = TrialStatus.COMPLETED if score is not None else TrialStatus.FAILED
        if score is not None:
            self.oracle.update_trial(trial.trial_id, {self.plan.monitor: score})
        self.oracle.end_trial(trial)

    def run(self, most=10**6):
        for _ in range(most):
            trial = self.draw()
            if trial.status == TrialStatus.STOPPED:
                return
            self.end(trial)


def by_rate(values):
    return 1 - abs(values["train.learning_rate"] - 0.02)


@pytest.mark.parametrize("reopened", [False, True])
def test_a_grid_is_every_combination_once_in_typed_values(reopened, tmp_path):
    search = Search(tmp_path, lambda values: 1 - values["model.dropout"], GRID, name="grid")
    for _ in range(17):
        search.run(1)
        if reopened:
            search.open()
    found = [tuple(values.values()) for values in search.tried]
    assert sorted(map(repr, found)) == sorted(
        map(repr, itertools.product([0.0, 0.1, 0.2, 0.3], [None, 0.9], [True, False]))
    )


@pytest.mark.parametrize("name", FIELDS)
def test_a_search_that_is_reopened_goes_on_as_if_nothing_had_been(name, tmp_path):
    """But for Bayesian optimisation, whose points are where it says after the random ones."""
    searches = []
    for folder in ("whole", "broken"):
        (tmp_path / folder).mkdir()
        searches.append(Search(tmp_path / folder, by_rate, name=name, **FIELDS[name]))
    whole, broken = searches
    whole.run()
    while len(broken.tried) < len(whole.tried):
        broken.open()
        drawn = broken.draw()
        broken.open()  # killed while it trained
        assert broken.draw().trial_id == drawn.trial_id
        broken.end(broken.draw())
    compared = slice(4) if name == "bayesian" else slice(None)
    assert broken.tried[compared] == whole.tried[compared]
    assert broken.draw().status == TrialStatus.STOPPED


def test_half_a_trial_is_forgotten(tmp_path):
    """Killed between the trial's file and the oracle's: what nobody has begun is drawn anew."""
    search = Search(tmp_path, by_rate, name="random", max_trials=3)
    search.run(1)
    before = Path(search.oracle._get_oracle_fname()).read_text()
    drawn = search.draw()
    Path(search.oracle._get_oracle_fname()).write_text(before)
    search.open()
    again = search.draw()
    assert (again.trial_id, again.hyperparameters.values) == (drawn.trial_id, drawn.hyperparameters.values)


def test_the_gaussian_process_asks_for_nothing_twice_and_finds_the_better_rates(tmp_path):
    space = {"train.learning_rate": SPACE["train.learning_rate"]}
    search = Search(tmp_path, by_rate, space, name="bayesian", max_trials=6, num_initial_points=4, beta=0.5)
    search.run()
    texts = [json.dumps(values) for values in search.tried]
    assert len(set(texts)) == len(texts) == 6
    drawn, chosen = ([by_rate(values) for values in part] for part in (search.tried[:4], search.tried[4:]))
    assert sum(chosen) / len(chosen) > sum(drawn) / len(drawn)


def test_hyperband_trains_many_briefly_and_few_for_long(tmp_path):
    search = Search(tmp_path, by_rate, name="hyperband", factor=3)
    search.run()
    epochs = [trial.hyperparameters.values["tuner/epochs"] for trial in search.oracle.trials.values()]
    assert epochs == [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] * 2 + [9] * 3
    first = search.tried[:9]
    assert search.tried[9:12] == sorted(first, key=by_rate, reverse=True)[:3]


def test_failures_of_hyperbands_first_round_are_replaced_but_not_for_ever(tmp_path):
    rates = []

    def fails_at_first(values):
        rates.append(values)
        return None if len(rates) <= 4 else by_rate(values)

    search = Search(tmp_path, fails_at_first, name="hyperband", factor=3)
    search.run(13 + 3)
    epochs = [trial.hyperparameters.values["tuner/epochs"] for trial in search.oracle.trials.values()]
    assert epochs == [1] * 13 + [3] * 3
    (tmp_path / "all").mkdir()
    hopeless = Search(tmp_path / "all", lambda values: None, name="hyperband", factor=3)
    hopeless.run()
    assert len(hopeless.tried) == 2 * (9 + 5 + 3)


@pytest.mark.parametrize("file", SEARCHES, ids=lambda file: file.stem)
def test_what_shipped_searches_draw_are_configurations_and_none_is_the_base(file, tmp_path):
    plan = load_plan(file, runs=tmp_path)
    oracle = build_oracle(plan)
    oracle._set_project_dir(str(tmp_path), "state")
    drawn = [oracle.create_trial(f"tuner{number}").hyperparameters.values for number in range(12)]
    configs = [plan.best_config(plain_values(plan.tuning.space, values)) for values in drawn]
    assert len({config.to_yaml() for config in configs}) == 12
    assert plan.base not in [config.model_copy(update={"name": plan.base.name}) for config in configs]
