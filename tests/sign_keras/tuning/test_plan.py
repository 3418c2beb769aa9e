import pytest
import yaml

from sign_keras.config import load_config
from sign_keras.tuning.plan import load_plan
from tests.conftest import REPOSITORY
from tests.sign_keras.tuning.toy_search import BASE, write_search
from tfrecords_tools.command_line import UserError

SEARCHES = sorted((REPOSITORY / "configs/tune").glob("*.yaml"))


@pytest.mark.parametrize("file", SEARCHES, ids=lambda file: file.stem)
def test_searches_load_open_with_their_command_and_leave_out_what_was_made_by_hand(file, tmp_path):
    plan = load_plan(file, runs=tmp_path)
    assert f"--config configs/tune/{file.name}" in file.read_text().split("\n\n")[0]
    assert not plan.holds_base
    there = load_plan(write_search(tmp_path, space={"model.dropout": {"choice": [plan.base.model.dropout]}}))
    assert there.holds_base == (there.base.model.dropout == plan.base.model.dropout)


def test_the_ends_of_every_field_are_configurations(tmp_path):
    """As the shipped searches are, trial by trial: settings apply, the test split stays unseen."""
    plan = load_plan(write_search(tmp_path), ["train.batch_size=7"], tmp_path / "runs")
    values = {path: dimension.listed()[-1] for path, dimension in plan.tuning.space.items()}
    (training,) = plan.trainings(3, values)
    config = training.load_config()
    assert training.run == tmp_path / "runs/trial_0003/seed_1"
    assert (config.train.learning_rate, config.model.dropout, config.data.augment.mirror) == (0.1, 0.5, 0.5)
    assert (config.train.epochs, config.train.batch_size, config.seed) == (9, 7, 1)
    assert (config.evaluate.split, config.export.formats) == ("validation", ())
    best, base = plan.best_config(values), load_config(BASE)
    assert (best.train.epochs, best.evaluate, best.export) == (base.train.epochs, base.evaluate, base.export)
    assert (best.name, best.train.learning_rate, best.train.batch_size) == ("keypoint_gru_tuned", 0.1, 7)


FAULTS = {
    "space: {train.learning_rat: {choice: [1]}}": "learning_rat: unknown key; did you mean learning_rate?",
    "space: {train.learning_rate: {float: {min: 0.1, max: 2}}}": "space.train.learning_rate: 2.0 will not do: "
    "train.learning_rate: input should be less than or equal to 1 (found 2.0)",
    "space: {train.batch_size: {float: {min: 2, max: 8}}}": "train.batch_size: input should be a valid integer",
    "space: {train.batch_size: {int: {min: 9, max: 8}}}": "space.train.batch_size.int: min 9, max 8: min has to",
    "space: {train.batch_size: {int: {min: 1, mx: 8}}}": "batch_size.int.mx: unknown key; did you mean max?",
    "space: {train.batch_size: {int: {min: 1, max: 8, step: 9}}}": "step 9: reaches no second value",
    "space: {train.batch_size: {int: {min: 0, max: 8, log: true}}}": "min 0: a logarithm needs it above 0",
    "space: {train.batch_size: {choice: [1], int: {min: 1, max: 2}}}": "choice and int: expected one of choice",
    "space: {model.weights: {choice: [2026-11-22]}}": "date is not JSON serializable; put it into quotes",
    "space: {train.batch_size: {choice: [1, 2, 1]}}": "choice: a value is there twice",
    "space: {seed: {choice: [1, 2]}}": "space.seed: seed is in search.seeds",
    "space: {evaluate.split: {choice: [test]}}": "space.evaluate.split: evaluate says what is reported",
    "space: {model: {choice: []}}": "space.model.choice: list should have at least 1 item",
    "space: {model.features: {choice: [{}]}, model.features.points: {choice: [hands]}}": "is a part of",
    "settings: {train.learning_rate: 1}": "settings have train.learning_rate too",
    "settings: {train.epoch: 1}": "train.epoch: unknown key; did you mean epochs?",
    "{space: {train.label_smoothing: {choice: [0, 0.1]}}, settings: {}}": "changes what val_loss measures",
    "{space: {train.epochs: {choice: [3]}}, settings: {}, search: {name: hyperband}}": "what hyperband deals out",
    "{space: {model.dropout: {float: {min: 0, max: 0.5}}}, search: {name: grid}}": "a grid needs a step",
    "search: {name: gird}": "search.name: expected 'random', 'bayesian', 'hyperband', 'grid' (found 'gird')",
    "search: {name: random}": "search.max_trials: missing",
    "search: {name: random, max_trials: 2, beta: 1}": "search.beta: does not go with random; leave it out",
    "search: {name: random, max_trials: 2, seeds: [1, 1]}": "search.seeds: 1, 1: a seed is there twice",
    "base: none.yaml": "none.yaml: no such file",
}


@pytest.mark.parametrize(("changes", "message"), FAULTS.items(), ids=range(len(FAULTS)))
def test_faults_are_named_in_one_line_with_file_and_field(changes, message, tmp_path):
    with pytest.raises(UserError) as error:
        load_plan(write_search(tmp_path, **yaml.safe_load(changes)))
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "search.yaml"))
    assert "\n" not in str(error.value)


def test_values_that_go_with_others_of_the_space_are_taken(tmp_path):
    """The base's AdamW has no momentum: only beside another optimiser of the space has it a meaning."""
    momentum = {"train.optimizer.momentum": {"choice": [0.8]}}
    with pytest.raises(UserError, match="momentum: does not go with adamw"):
        load_plan(write_search(tmp_path, space=momentum))
    load_plan(write_search(tmp_path, space=momentum | {"train.optimizer.name": {"choice": ["adamw", "sgd"]}}))


def test_a_folder_belongs_to_one_search(tmp_path):
    file = write_search(tmp_path)
    load_plan(file, runs=tmp_path / "runs").claim()
    load_plan(file, runs=tmp_path / "runs", max_trials=9).claim()  # more trials of the same
    with pytest.raises(UserError, match=r"trials of another search \(it differs in base\)"):
        load_plan(file, ["train.batch_size=7"], tmp_path / "runs").claim()
    values = yaml.safe_load(file.read_text())
    write_search(tmp_path, space=values["space"] | {"data.oversample": {"choice": [0, 1]}})
    with pytest.raises(UserError, match="differs in space"):
        load_plan(file, runs=tmp_path / "runs").claim()
    with pytest.raises(UserError, match=r"the space of .* has train\.learning_rate"):
        load_plan(file, ["train.learning_rate=1"])
