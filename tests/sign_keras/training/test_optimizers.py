import keras
import numpy as np
import pytest

from sign_keras.training.optimizers import decays
from tests.sign_keras.training.tiny_learning import fit, tiny_model, tiny_recipe, values
from tfrecords_tools.command_line import UserError

OPTIMISERS = ["adam", "adamw", "sgd"]


def step(recipe, gradients=None):
    """How far each weight goes in one update, by stage and name; the gradients are ones unless given."""
    variables = recipe.learner.trainable_variables
    before = values(variables)
    recipe.learner.optimizer.apply(
        [keras.ops.ones(variable.shape) for variable in variables] if gradients is None else gradients, variables
    )
    moved = [a - b for a, b in zip(values(variables), before, strict=True)]
    return dict(zip([variable.path for variable in variables], moved, strict=True))


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_stages_move_as_far_as_their_rates_say(optimizer):
    settings = {"name": optimizer} | ({"weight_decay": 0} if optimizer != "adam" else {})
    recipe = tiny_recipe(optimizer=settings, learning_rate=0.01, learning_rates={"logits": 0.04, "stem": 0.005})
    for _ in range(3):
        moved = step(recipe)
        size = {name: np.abs(moved[path]).mean() for path in moved for name in [path.split("/")[0]]}
        assert size["logits"] / size["layer1"] == pytest.approx(4, rel=1e-3)
        assert size["stem"] / size["layer1"] == pytest.approx(0.5, rel=1e-3)


def test_the_schedule_multiplies_every_rate():
    recipe = tiny_recipe(
        optimizer={"name": "sgd", "momentum": 0},
        gradient_clip_norm=None,
        learning_rate=0.1,
        learning_rates={"logits": 0.4},
        schedule={"name": "cosine"},
        epochs=2,
    )  # 6 updates
    for index in range(6):
        share = (1 + np.cos(np.pi * index / 6)) / 2
        moved = step(recipe)
        np.testing.assert_allclose(moved["logits/kernel"], -0.4 * share, rtol=1e-4)
        np.testing.assert_allclose(moved["layer1/dense/kernel"], -0.1 * share, rtol=1e-4)


@pytest.mark.parametrize("optimizer", [{"name": "adam"}, {"name": "sgd", "nesterov": True}, {"name": "adamw"}])
def test_without_plans_of_their_own_weights_move_as_keras_moves_them(optimizer):
    recipe = tiny_recipe(optimizer=optimizer, learning_rate=0.01, gradient_clip_norm=1.0)
    config = recipe.config.optimizer
    reference = tiny_model()
    if config.name == "sgd":
        theirs = keras.optimizers.SGD(0.01, 0.9, nesterov=True, global_clipnorm=1.0)
    elif config.name == "adam":
        theirs = keras.optimizers.Adam(0.01, global_clipnorm=1.0)
    else:
        theirs = keras.optimizers.AdamW(0.01, weight_decay=0.01, global_clipnorm=1.0)
        theirs.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    variables = reference.trainable_variables
    theirs.build(variables)
    rng = np.random.default_rng(0)
    for _ in range(4):
        gradients = [rng.normal(size=variable.shape).astype(np.float32) for variable in variables]
        step(recipe, [keras.ops.convert_to_tensor(gradient) for gradient in gradients])
        theirs.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)
    for a, b in zip(values(recipe.learner.trainable_variables), values(variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_weight_decay_leaves_biases_and_normalisation_alone(optimizer):
    recipe = tiny_recipe(
        optimizer={"name": optimizer, "weight_decay": 0.5}, learning_rate=0.1, learning_rates={"logits": 0.2}
    )
    variables = {variable.path: variable for variable in recipe.learner.trainable_variables}
    for variable in variables.values():
        variable.assign(keras.ops.ones(variable.shape))
    moved = step(recipe, [keras.ops.zeros(variable.shape) for variable in variables.values()])
    decayed = {path for path, change in moved.items() if np.any(change)}
    assert decayed == {"stem/dense/kernel", "layer1/dense/kernel", "logits/kernel"}
    np.testing.assert_allclose(moved["stem/dense/kernel"], -0.1 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(moved["logits/kernel"], -0.2 * 0.5, rtol=1e-6)  # by its own rate


def test_what_decays_by_name():
    layers = [
        keras.layers.LSTM(2),
        keras.layers.GRU(2),  # its bias has two dimensions
        keras.layers.SeparableConv1D(2, 1),
        keras.layers.LayerNormalization(),
        keras.layers.GroupNormalization(1),
    ]
    for layer in layers:
        layer.build((None, 3, 4))
    attention = keras.layers.MultiHeadAttention(2, 3)
    attention.build((None, 3, 4), (None, 3, 4))
    names = {
        variable.name
        for layer in [*layers, attention]
        for variable in layer.trainable_variables
        if decays(variable)
    }
    assert names == {"kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel"}


def test_an_update_is_clipped_over_all_weights():
    recipe = tiny_recipe(optimizer={"name": "sgd", "momentum": 0}, learning_rate=1.0, gradient_clip_norm=0.5)
    moved = step(recipe)
    assert np.sqrt(sum(np.sum(change**2) for change in moved.values())) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_a_stage_that_begins_late_begins_with_a_step_of_usual_length(optimizer):
    """Adam's first step is as long as the learning rate; without care it would be three times that."""
    recipe = tiny_recipe(
        optimizer={"name": optimizer}, learning_rate=0.01, unfreeze={3: ["stem"]}, gradient_clip_norm=None
    )
    fresh = step(tiny_recipe(optimizer={"name": optimizer}, learning_rate=0.01, gradient_clip_norm=None))
    for _ in range(6):  # two epochs
        assert "stem/dense/kernel" not in step(recipe)
    recipe.freezing.set_epoch(3)
    moved = step(recipe)
    tolerance = 1e-3 if optimizer != "adamw" else 0.02  # decay sees other weights
    np.testing.assert_allclose(moved["stem/dense/bias"], fresh["stem/dense/bias"], rtol=tolerance)
    assert np.abs(step(recipe)["stem/dense/bias"]).max() < 0.0201


def test_an_unknown_stage_is_named_with_those_that_there_are():
    for settings in (
        {"learning_rates": {"layer9": 0.1}},
        {"freeze": ["layer9"]},
        {"unfreeze": {2: ["layer9"]}},
        {"freeze": ["head_dropout", "layer9"]},
    ):
        field = next(iter(settings))
        with pytest.raises(
            UserError, match=rf"^train.{field}: .*layer9: no such stage of tiny; it has stem, layer1"
        ):
            tiny_recipe(**settings)


@pytest.mark.slow  # on two devices in the default run
def test_mixed_precision_learns_with_parts_and_averages():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        recipe = tiny_recipe(
            accumulate_steps=2,
            ema_decay=0.9,
            learning_rates={"logits": 0.2},
            unfreeze={2: ["stem"]},
            learning_rate=0.02,
        )
        history = fit(recipe, epochs=6, count=16).history["loss"]
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    optimizer = recipe.learner.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert int(optimizer.iterations) == 12
    assert history[-1] < history[0]
