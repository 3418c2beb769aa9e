import itertools

import keras
import numpy as np
import pytest

from sign_keras.training.freezing import Freezing
from tests.sign_keras.training.tiny_learning import fit, tiny_model, tiny_recipe, train_config, values
from tfrecords_tools.command_line import UserError


def stages(model):
    return {name: values(model.get_layer(name).variables) for name in ("stem", "layer1", "logits")}


def moved(before, after):
    """Per stage, which variables changed at all."""
    return {
        name: [not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True)] for name in before
    }


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("sgd", marks=pytest.mark.slow)])
def test_frozen_stages_are_bit_identical_with_their_statistics_and_others_move(optimizer):
    recipe = tiny_recipe(freeze=["stem"], optimizer=optimizer, ema_decay=0.9)
    before = stages(recipe.learner)
    fit(recipe, epochs=2)
    changed = moved(before, stages(recipe.learner))
    assert not any(changed["stem"])
    assert all(changed["layer1"])  # moving mean and variance among them
    assert all(changed["logits"])
    with recipe.learner.weights_to_keep():
        assert not any(moved(before, stages(recipe.learner))["stem"])


def test_frozen_normalisation_uses_its_own_statistics():
    """A frozen stage answers in training as it does in evaluation."""
    recipe = tiny_recipe(freeze=["stem"])
    inputs = np.random.default_rng(1).normal(3, 2, (5, 6)).astype(np.float32)
    stem, layer1 = (recipe.learner.get_layer(name) for name in ("stem", "layer1"))
    np.testing.assert_array_equal(stem(inputs, training=True), stem(inputs, training=False))
    hidden = stem(inputs)
    assert np.abs(layer1(hidden, training=True) - layer1(hidden, training=False)).max() > 0.1


def test_stages_begin_to_learn_at_their_epochs():
    recipe = tiny_recipe(unfreeze={2: ["layer1"], 4: ["stem"]}, epochs=5)
    states = [stages(recipe.learner)]
    for epoch in range(5):
        fit(recipe, first_epoch=epoch)
        states.append(stages(recipe.learner))
    learning = [
        {name: any(changed) for name, changed in moved(before, after).items()}
        for before, after in itertools.pairwise(states)
    ]
    assert [epoch["logits"] for epoch in learning] == [True] * 5
    assert [epoch["layer1"] for epoch in learning] == [False, True, True, True, True]
    assert [epoch["stem"] for epoch in learning] == [False, False, False, True, True]


def test_stages_that_began_before_a_resume_are_not_announced_again(capsys):
    recipe = tiny_recipe(unfreeze={2: ["layer1"], 4: ["stem"]}, epochs=5)
    fit(recipe, first_epoch=2)
    assert "begins to learn" not in capsys.readouterr().out
    assert recipe.learner.get_layer("layer1").trainable
    fit(recipe, first_epoch=3)
    assert "epoch   4: stem begins to learn" in capsys.readouterr().out


def test_unfreezing_within_one_fit_is_unfreezing_between_two():
    """Keras keeps the traced step: it has to be traced anew, and the optimiser's state must stay."""
    settings = {"unfreeze": {2: ["layer1"], 3: ["stem"]}, "optimizer": "adamw", "learning_rate": 0.01}
    one, three = tiny_recipe(**settings), tiny_recipe(**settings)
    before = stages(one.learner)
    fit(one, epochs=3)
    assert all(any(changed) for changed in moved(before, stages(one.learner)).values())
    for epoch in range(3):
        fit(three, first_epoch=epoch)
    for a, b in zip(values(one.learner.variables), values(three.learner.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(
        values(one.learner.optimizer.variables), values(three.learner.optimizer.variables), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_stages_frozen_for_good_have_no_optimiser_state():
    def size(**settings):
        return sum(np.size(value) for value in values(tiny_recipe(**settings).learner.optimizer.variables))

    stem = sum(np.size(value) for value in values(tiny_model().get_layer("stem").trainable_variables))
    assert size() - size(freeze=["stem"]) == 2 * stem  # Adam's two moments
    assert size(unfreeze={2: ["stem"]}) == size()


def test_something_has_to_learn():
    with pytest.raises(
        UserError, match=r"leave nothing that learns in epoch 1; the stages of tiny are stem, layer1"
    ):
        tiny_recipe(freeze=["stem", "logits"], unfreeze={2: ["layer1"]})


def test_a_stage_around_a_backbone_that_was_frozen_begins_to_learn():
    """``model.backbone_trainable: false`` freezes what is within a stage, which itself still counts as learning."""
    backbone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)], name="backbone")
    backbone.trainable = False
    inputs = keras.Input((3, 6))
    maps = keras.layers.TimeDistributed(backbone, name="maps")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(maps))
    freezing = Freezing(model, train_config(unfreeze={2: ["maps"]}))
    assert len(freezing.ever_learning()) == 4
    freezing.set_epoch(1)
    assert len(model.trainable_variables) == 2
    freezing.set_epoch(2)
    assert len(model.trainable_variables) == 4
