"""Fitting a model for a run, from the start or from where it stopped."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import keras
import tensorflow as tf

from sign_keras.config import NoSignConfig
from sign_keras.data.dataset import Records
from sign_keras.run import HISTORY_NAME, Run
from sign_keras.training.callbacks import EpochTimes, HistoryCSV, Progress, StopOnNonFiniteLoss
from sign_keras.training.checkpoints import GO_ON, Checkpoints
from sign_keras.training.epochs import run_epochs
from sign_keras.training.event_files import forget_epochs
from sign_keras.training.keeping import KeepCheckpoints
from sign_keras.training.objectives import objective_of
from sign_keras.training.profiling import ProfileSteps
from sign_keras.training.recipe import prepare
from sign_keras.training.signals import StopSignals
from sign_keras.training.state import TrainingState
from sign_keras.training.tensorboard import RunBoard
from tfrecords_tools.command_line import UserError, writing

TENSORBOARD_NAME = "tensorboard"
INSTEAD_OF_SEED_0 = 2**30


def train(
    run: Run,
    records: Records,
    build: Callable[[], keras.Model],
    *,
    resume: bool,
    until_epoch: int | None = None,
    signals: StopSignals | None = None,
) -> TrainingState:
    """Trains a run's model over all visible devices; the best epoch's weights stay in its checkpoints.

    Args:
        run: where everything goes, and its configuration.
        records: opened, with the label map that the model is to have.
        build: makes the model; called within the distribution strategy's scope.
        resume: go on from the newest checkpoint.
        until_epoch: stop after this epoch, as an interruption would: schedules still stretch over
            ``train.epochs``, and a training that is resumed ends where one without a stop does. None: no stop.
        signals: say when to stop; None: nobody does.

    Raises:
        UserError: the validation split is empty, the configuration names what the model or the records do not have,
            the loss became non-finite, all checkpoints are damaged, something cannot be written.
        Stopped: by a signal; all is saved.
    """
    config, glosses = run.config, run.label_map.glosses
    if not records.num_clips("validation"):
        raise UserError(f"{records.directory}: the validation split is empty; nothing could say when to stop")
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    # tf.data's shuffle, whose seed is a tensor here, cannot stand beside a global seed of 0.
    keras.utils.set_random_seed(config.seed or INSTEAD_OF_SEED_0)
    keras.mixed_precision.set_dtype_policy(config.train.precision)
    strategy = tf.distribute.MirroredStrategy()
    devices = strategy.num_replicas_in_sync
    # The parts of an update come as one batch, which the learner takes apart again.
    batch_size = config.train.batch_size * config.train.accumulate_steps
    updates = updates_per_epoch(records.num_clips("train"), batch_size, devices)
    with strategy.scope():
        recipe = prepare(
            build(),
            config.train,
            updates_per_epoch=updates,
            objective=objective_of(config.model, config.train, glosses, records.info.splits["train"].glosses),
        )
        learner = recipe.learner
        checkpoints = Checkpoints(run.best_weights.parent, run.best_weights)
        state = checkpoints.restore(learner) if resume else TrainingState()
    history = HistoryCSV(run.directory / HISTORY_NAME, state)
    if resume:
        history.write()
        forget_epochs(run.directory / TENSORBOARD_NAME, state.epoch, updates)
    keeping = KeepCheckpoints(checkpoints, state, config.train, updates, signals)
    print(
        f"{learner.name}: {learner.count_params():,} parameters, {devices} device(s), "
        f"batch {batch_size} over all of them, {config.train.precision}"
    )
    last_epoch = min(config.train.epochs, until_epoch or config.train.epochs)
    if state.epoch >= last_epoch or keeping.is_exhausted:
        if not state.best_epoch:
            raise UserError(f"{run.best_weights}: is damaged or gone, and training has ended; start anew")
        print(f"training had ended at epoch {state.epoch} already")
        return state
    if resume:
        print(
            f"going on after {state.place}" if state.epoch or state.batch else "no checkpoint yet: beginning anew"
        )
    training = records.training_batches(
        config.data, batch_size, seed=config.seed, first_epoch=state.epoch, first_batch=state.batch
    )
    profiled = config.train.profile_steps
    board = run.directory / TENSORBOARD_NAME
    profiles = [] if profiled is None else [ProfileSteps(board / "train", *profiled, updates)]
    with ExitStack() as stack:
        stack.enter_context(signals.between_steps() if signals else nullcontext())
        stack.enter_context(_disk_errors(config.data.cache))
        for profile in profiles:
            stack.callback(profile.close)
        run_epochs(
            learner,
            cut_evenly(training, devices),
            validation_batches(records, config.train.batch_size, config.data.no_sign),
            state=state,
            epochs=last_epoch,
            batches_per_epoch=updates,
            callbacks=[
                StopOnNonFiniteLoss(updates),
                EpochTimes(config.train.learning_rates, config.train.learning_rate, state),
                *recipe.callbacks_before_saving(),
                RunBoard(
                    board,
                    config_yaml=config.to_yaml(),
                    glosses=glosses,
                    confusion=recipe.confusion,
                ),
                *profiles,
                keeping,
                *recipe.callbacks_after_saving(state),
                history,
                Progress(epochs=last_epoch, steps_per_epoch=updates, state=state),
            ],
        )
    print(f"best epoch: {state.best_epoch} of {state.epoch} ({config.train.monitor} {state.best_value:.4f})")
    return state


@contextmanager
def _disk_errors(cache: str) -> Iterator[None]:
    """``tf.data`` writes its cache by itself: a disk that is full is one line there too."""
    try:
        yield
    except tf.errors.OpError as error:
        if "No space left" not in error.message:
            raise
        with writing(Path(cache), GO_ON):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def updates_per_epoch(num_clips: int, batch_size: int, devices: int) -> int:
    """Batches of an epoch, as ``cut_evenly`` leaves them.

    Raises:
        UserError: batches do not divide evenly over the devices, or there are fewer clips than devices.
    """
    if batch_size % devices:
        raise UserError(
            f"train.batch_size times train.accumulate_steps is {batch_size}: must be a multiple of the {devices} "
            "devices; or show fewer of them by CUDA_VISIBLE_DEVICES"
        )
    if num_clips < devices:
        raise UserError(
            f"the training split holds {num_clips} clip(s) for {devices} devices; give more clips, or show fewer "
            "devices by CUDA_VISIBLE_DEVICES"
        )
    whole, rest = divmod(num_clips, batch_size)
    return whole + (rest >= devices)


def cut_evenly(batches: tf.data.Dataset, devices: int) -> tf.data.Dataset:
    """Cuts each batch to a multiple of the number of devices; one with nothing left is left out.

    TensorFlow gives a last batch of 5 to 4 devices as 2, 2, 1 and 0, and batch normalisation makes NaN of no clips.
    """
    if devices == 1:
        return batches

    def cut(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        count = tf.shape(labels)[0] // devices * devices
        return {name: tensor[:count] for name, tensor in inputs.items()}, labels[:count]

    return batches.map(cut).filter(lambda inputs, labels: tf.shape(labels)[0] > 0)


def validation_batches(records: Records, batch_size: int, no_sign: NoSignConfig | None) -> tf.data.Dataset:
    """Every validation clip once; and as large a share of made-up non-signs as in training, always the same."""
    batches = records.evaluation_batches("validation", batch_size)
    share = 0.0 if no_sign is None else no_sign.made_up_share(records.label_map.glosses)
    if no_sign is not None and share:
        count = max(1, round(share / (1 - share) * records.num_clips("validation")))
        batches = batches.concatenate(records.non_sign_batches("validation", batch_size, no_sign, count))
    return batches.map(lambda inputs, labels, metadata: (inputs, labels))
