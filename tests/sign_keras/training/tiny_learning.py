"""A model of three stages, and clips that it can learn, small enough for training in a second."""

from typing import Any

import keras
import numpy as np

from sign_keras.config import TrainConfig
from sign_keras.training.objectives import isolated_objective
from sign_keras.training.recipe import Recipe, prepare

GLOSSES = ("hello", "thanks", "yes", "no")
NUM_FEATURES = 6


def tiny_model(seed: int = 0, dropout: float = 0.0) -> keras.Model:
    """``stem`` and ``layer1`` (dense, batch normalisation) and ``logits``: ``{"frames": [B, 6]}`` to ``[B, 4]``."""
    keras.utils.set_random_seed(seed)
    inputs = {"frames": keras.Input((NUM_FEATURES,), name="frames")}
    features = inputs["frames"]
    for name, units in (("stem", 8), ("layer1", 5)):
        stage = keras.Sequential(
            [keras.layers.Dense(units, name="dense"), keras.layers.BatchNormalization(momentum=0.8, name="norm")],
            name=name,
        )
        features = keras.layers.Activation("tanh")(stage(features))
    features = keras.layers.Dropout(dropout, name="head_dropout")(features)
    logits = keras.layers.Dense(len(GLOSSES), dtype="float32", name="logits")(features)
    return keras.Model(inputs, logits, name="tiny")


def train_config(**changes: Any) -> TrainConfig:
    """The ``train`` section, with a constant rate unless ``changes`` say otherwise."""
    return TrainConfig.model_validate(
        {"epochs": 3, "batch_size": 4, "learning_rate": 0.1, "schedule": "constant"} | changes
    )


def tiny_recipe(model: keras.Model | None = None, *, updates_per_epoch: int = 3, **changes: Any) -> Recipe:
    """A recipe for ``tiny_model``."""
    config = train_config(**changes)
    objective = isolated_objective(config, GLOSSES, {"hello": 6, "thanks": 3, "yes": 2, "no": 1})
    return prepare(model or tiny_model(), config, updates_per_epoch=updates_per_epoch, objective=objective)


def clips(count: int = 12, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs and labels ``[count]`` int32."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(GLOSSES), count).astype(np.int32)
    frames = rng.normal(size=(count, NUM_FEATURES)).astype(np.float32)
    frames[np.arange(count), labels] += 2
    return {"frames": frames}, labels


def fit(recipe: Recipe, *, epochs: int = 1, first_epoch: int = 0, count: int = 12, **options: Any) -> Any:
    """Fits in order, on whole batches of ``batch_size * accumulate_steps``."""
    inputs, labels = clips(count)
    return recipe.learner.fit(
        inputs,
        labels,
        batch_size=recipe.config.batch_size * recipe.config.accumulate_steps,
        shuffle=False,
        verbose=0,
        initial_epoch=first_epoch,
        epochs=first_epoch + epochs,
        callbacks=[*recipe.callbacks_before_saving(), *options.pop("callbacks", [])],
        **options,
    )


def values(variables: Any) -> list[np.ndarray]:
    """Copies, as arrays."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
