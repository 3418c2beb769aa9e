"""Run by ``test_two_devices.py`` in a process of its own: TensorFlow's devices are set up before anything else."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import FourStageCTCConfig
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.training.epochs import run_epochs
from sign_keras.training.objectives import sentence_objective
from sign_keras.training.recipe import prepare
from sign_keras.training.stage_losses import StageLosses
from sign_keras.training.state import TrainingState
from sign_keras.training.workers import Workers
from tests.sign_keras.sentence_labels import packed
from tests.sign_keras.tiny_backbone import use_tiny_backbone
from tests.sign_keras.training.tiny_learning import clips, fit, tiny_model, tiny_recipe, train_config, values
from tfrecords_tools.clips import SamplingSpec


def two_devices() -> tf.distribute.MirroredStrategy:
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def frozen_normalisation() -> keras.Model:
    model = tiny_model()
    for name in ("stem", "layer1"):
        model.get_layer(name).get_layer("norm").trainable = False
    return model


def difference(variables: list, others: list) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(values(variables), values(others), strict=True))


def between_devices(strategy: tf.distribute.Strategy, variables: list) -> float:
    """The largest difference between what the two devices hold."""
    copies = [strategy.experimental_local_results(variable.value) for variable in variables]
    return max(float(np.abs(a.numpy().astype(np.float64) - b.numpy()).max()) for a, b in copies)


def against_one_device(strategy: tf.distribute.Strategy, **settings: object) -> float:
    """How far two devices with two parts each end from one device with one batch; 14 clips in updates of 4."""
    alone = tiny_recipe(frozen_normalisation(), batch_size=4, **settings)
    norms = gradient_norms(fit(alone, epochs=2, count=14))
    with strategy.scope():
        together = tiny_recipe(frozen_normalisation(), batch_size=2, accumulate_steps=2, **settings)
    others = gradient_norms(fit(together, epochs=2, count=14, validation_data=clips(5, seed=1)))
    assert norms.min() > 0
    assert [int(values([one.learner.optimizer.iterations])[0]) for one in (alone, together)] == [8, 8]
    with alone.learner.weights_to_keep(), together.learner.weights_to_keep():
        averages = difference(alone.learner.variables, together.learner.variables)
    weights = difference(alone.learner.variables, together.learner.variables)
    return max(averages, weights, float(np.abs(norms - others).max()))


def gradient_norms(fitted: keras.callbacks.History) -> np.ndarray:
    return np.array([column for name, column in fitted.history.items() if name.startswith("gradient_norm")])


def timed_against_fit(strategy: tf.distribute.Strategy) -> float:
    """How far steps with a clock end from Keras's own."""
    ends = []
    inputs, labels = clips(14)
    for timed in (True, False):
        with strategy.scope():
            recipe = tiny_recipe(batch_size=4)
        batches = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(4)
        if timed:
            workers = Workers()
            workers.strategy = strategy
            run_epochs(
                recipe.learner,
                batches.repeat(),
                batches,
                state=TrainingState(),
                epochs=2,
                batches_per_epoch=4,
                workers=workers,
                callbacks=recipe.callbacks_before_saving(),
            )
        else:
            fit(recipe, epochs=2, count=14)
        ends.append(recipe.learner.variables)
    return difference(*ends)


def sentences(strategy: tf.distribute.Strategy | None, batch_size: int, accumulate_steps: int) -> tuple[dict, list]:
    """History and weights of a dense layer that learns sentences; 14 clips in updates of 4."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(14, 6, 5)).astype(np.float32)
    num_frames = rng.integers(3, 7, 14).tolist()
    first, second = rng.integers(0, 3, 14).tolist(), rng.integers(0, 3, 14).tolist()
    labels = packed([first[clip : clip + 1] + second[clip : clip + 1 - clip % 2] for clip in range(14)], num_frames)
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else nullcontext():
        inputs = {"keypoints": keras.Input((6, 5), name="keypoints")}
        model = keras.Model(inputs, keras.layers.Dense(4, name="logits")(inputs["keypoints"]))
        config = train_config(batch_size=batch_size, accumulate_steps=accumulate_steps)
        recipe = prepare(model, config, updates_per_epoch=4, objective=sentence_objective(1))
    clips = tf.data.Dataset.from_tensor_slices(({"keypoints": frames}, labels))
    history = recipe.learner.fit(clips.batch(4), epochs=2, validation_data=clips.batch(5), shuffle=False, verbose=0)
    return history.history, values(recipe.learner.trainable_weights)


def stages(strategy: tf.distribute.Strategy | None, batch_size: int, accumulate_steps: int) -> tuple[dict, list]:
    """History and weights of a tiny four-stage model, its normalisation frozen; 14 clips in updates of 4."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (14, 4, 16, 16, 3)).astype(np.uint8)
    labels = packed(rng.integers(0, 3, (14, 1)).tolist(), [4] * 14)
    config = FourStageCTCConfig.model_validate(
        {
            "architecture": "four_stage_ctc",
            "backbone_weights": "none",
            "backbone_trainable": True,
            "grid": 1,
            "width": 4,
            "selection": {"method": "none"},
            "alignment": {"width": 3, "text_width": 3},
            "lstm_units": [2],
            "dropout": 0,
        }
    )
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else nullcontext():
        sampling = SamplingSpec(num_frames=4, height=16, width=16, frame_rate=10)
        model = build_model(config, ClipInput(sampling), 3)
        model.get_layer("projection_norm").trainable = False
        train = train_config(
            batch_size=batch_size,
            accumulate_steps=accumulate_steps,
            loss_weighting={"name": "gradnorm", "rate": 0.2},
            optimizer="sgd",
            learning_rate=0.02,
            l2=0.001,
        )
        objective = sentence_objective(config.frames_per_logit, StageLosses(config))
        recipe = prepare(model, train, updates_per_epoch=4, objective=objective)
    inputs = {"frames": frames, "frame_mask": np.ones((14, 4), bool)}
    clips = tf.data.Dataset.from_tensor_slices((inputs, labels))
    callbacks = recipe.callbacks_before_saving()
    history = recipe.learner.fit(
        clips.batch(4), epochs=2, validation_data=clips.batch(5), shuffle=False, verbose=0, callbacks=callbacks
    ).history
    return history, values(recipe.learner.trainable_weights)


def compare_stages(output: Path) -> None:
    """What a slow test asks for, by itself."""
    strategy = two_devices()
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        (alone, weights), (together, others) = stages(None, 4, 1), stages(strategy, 2, 2)
    largest = max(float(np.abs(a - b).max()) for a, b in zip(weights, others, strict=True))
    output.write_text(json.dumps({"difference": largest, "histories": [alone, together]}, default=float))


def main(output: Path) -> None:
    strategy = two_devices()
    found: dict[str, object] = {}
    common = {"learning_rate": 0.01, "label_smoothing": 0.1, "ema_decay": 0.5, "learning_rates": {"logits": 0.02}}
    # Clipping hides gradients that are too long: once with it, once without.
    for name, clip_norm in (("adamw", 0.3), ("sgd", None)):
        found[name] = against_one_device(strategy, optimizer=name, gradient_clip_norm=clip_norm, **common)
    adversarial = {"optimizer": "sgd", "gradient_clip_norm": None, "adversarial_weights": {"delta": 0.2}}
    found["adversarial"] = against_one_device(strategy, **adversarial, **common)

    found["timed"] = timed_against_fit(strategy)
    (alone, weights), (together, others) = sentences(None, 4, 1), sentences(strategy, 2, 2)
    found["sentences"] = max(float(np.abs(a - b).max()) for a, b in zip(weights, others, strict=True))
    found["word_error_rates"] = [[*history["wer"], *history["val_wer"]] for history in (alone, together)]

    with strategy.scope():
        learning = tiny_recipe(batch_size=4, unfreeze={2: ["stem"]}, ema_decay=0.5)
    history = fit(learning, epochs=3, count=14, validation_data=clips(5, seed=1)).history
    variables = [*learning.learner.variables, *learning.learner.optimizer.variables]
    found["between_devices"] = between_devices(strategy, variables)
    found["history"] = {name: [float(value) for value in column] for name, column in history.items()}
    found["confusion"] = int(learning.confusion.matrix.sum())

    with strategy.scope():
        lowered = tiny_recipe(schedule={"name": "plateau", "patience": 1, "factor": 0.5}, learning_rate=0.1)
    state = TrainingState(history=[{"val_loss": 1.0}] * 3)
    fit(lowered, epochs=1, callbacks=lowered.callbacks_after_saving(state))
    found["plateau"] = float(values([lowered.learner.optimizer.learning_rate])[0])

    keras.mixed_precision.set_dtype_policy("mixed_float16")
    with strategy.scope():
        mixed = tiny_recipe(batch_size=4, accumulate_steps=2, ema_decay=0.5, learning_rate=0.02)
    found["mixed"] = fit(mixed, epochs=6, count=14).history["loss"]
    output.write_text(json.dumps(found, default=float))


if __name__ == "__main__":
    {"all": main, "stages": compare_stages}[sys.argv[2]](Path(sys.argv[1]))
