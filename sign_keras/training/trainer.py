"""Compiling and fitting a model for a run, from the start or from where it stopped."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from sign_keras.config import TrainConfig
from sign_keras.data.dataset import Records
from sign_keras.run import HISTORY_NAME, Run
from sign_keras.training.callbacks import EpochTimes, HistoryCSV, Progress, StopOnNonFiniteLoss
from sign_keras.training.checkpoints import CheckpointEpochs, Checkpoints, TrainingState
from tfrecords_tools.command_line import UserError

INSTEAD_OF_SEED_0 = 2**30


def train(run: Run, records: Records, build: Callable[[], keras.Model], *, resume: bool) -> TrainingState:
    """Trains a run's model over all visible devices; the best epoch's weights stay in its checkpoints.

    Args:
        run: where everything goes, and its configuration.
        records: opened, with the label map that the model is to have.
        build: makes the model; called within the distribution strategy's scope.
        resume: go on from the newest checkpoint.

    Raises:
        UserError: the validation split is empty, the loss became non-finite, a checkpoint is damaged.
    """
    config = run.config
    if not records.num_clips("validation"):
        raise UserError(f"{records.directory}: the validation split is empty; nothing could say when to stop")
    # tf.data's shuffle, whose seed is a tensor here, cannot stand beside a global seed of 0.
    keras.utils.set_random_seed(config.seed or INSTEAD_OF_SEED_0)
    keras.mixed_precision.set_dtype_policy(config.train.precision)
    steps = math.ceil(records.num_clips("train") / config.train.batch_size)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        model = build()
        compile_model(model, config.train, steps * config.train.epochs, len(records.label_map))
        checkpoints = Checkpoints(run.best_weights.parent, run.best_weights)
        state = checkpoints.restore(model) if resume else TrainingState()
    epochs = CheckpointEpochs(
        checkpoints, state, monitor=config.train.monitor, patience=config.train.early_stopping_patience
    )
    print(
        f"{model.name}: {model.count_params():,} parameters, {strategy.num_replicas_in_sync} device(s), "
        f"batch {config.train.batch_size} over all of them, {config.train.precision}"
    )
    if state.epoch >= config.train.epochs or epochs.is_exhausted:
        print(f"training had ended at epoch {state.epoch} already")
        return state
    if state.epoch:
        print(f"going on after epoch {state.epoch}")
    training = records.training_batches(
        config.data, config.train.batch_size, seed=config.seed, first_epoch=state.epoch
    )
    validation = _without_metadata(records.evaluation_batches("validation", config.train.batch_size))
    model.fit(
        training,
        validation_data=validation,
        steps_per_epoch=steps,
        initial_epoch=state.epoch,
        epochs=config.train.epochs,
        shuffle=False,  # the batches are shuffled already
        verbose=0,
        callbacks=[
            StopOnNonFiniteLoss(steps),
            EpochTimes(),
            keras.callbacks.TensorBoard(str(run.directory / "tensorboard"), write_graph=False),
            epochs,
            HistoryCSV(run.directory / HISTORY_NAME, state),
            Progress(epochs=config.train.epochs, steps_per_epoch=steps, state=state),
        ],
    )
    print(f"best epoch: {state.best_epoch} of {state.epoch} ({config.train.monitor} {state.best_value:.4f})")
    return state


def compile_model(model: keras.Model, config: TrainConfig, total_steps: int, num_glosses: int) -> None:
    """Attaches the optimiser, the loss and the metrics.

    Args:
        model: gives logits ``[B, V]``.
        config: see ``TrainConfig``.
        total_steps: over all epochs; the learning rate reaches zero then.
        num_glosses: ``V``.
    """
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule, global_clipnorm=config.gradient_clip_norm),
        loss=SmoothedCrossentropy(config.label_smoothing),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="top1"),
            keras.metrics.SparseTopKCategoricalAccuracy(min(5, num_glosses), name="top5"),
        ],
        # XLA makes depthwise convolutions ten times slower on a CPU; on a GPU "auto" decides well.
        jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
    )


@keras.saving.register_keras_serializable(package="sign_keras")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits ``[B, V]`` with integer labels ``[B]``, with label smoothing.

    Source of the smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7. Keras has it for one-hot labels
    only.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "crossentropy") -> None:
        super().__init__(name=name)
        self.label_smoothing = label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """``[B]`` losses in nats."""
        log_probabilities = keras.ops.log_softmax(keras.ops.cast(y_pred, "float32"))
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1, 1)), "int32")
        likely = keras.ops.take_along_axis(log_probabilities, labels, axis=-1)[:, 0]
        uniform = keras.ops.mean(log_probabilities, axis=-1)
        return -((1 - self.label_smoothing) * likely + self.label_smoothing * uniform)

    def get_config(self) -> dict[str, object]:
        """Constructor arguments."""
        return {"label_smoothing": self.label_smoothing, "name": self.name}


def _without_metadata(batches: tf.data.Dataset) -> tf.data.Dataset:
    return batches.map(lambda inputs, labels, metadata: (inputs, labels))
