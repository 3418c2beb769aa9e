"""Fitting a model for a run, from the start or from where it stopped."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import keras
import tensorflow as tf

from sign_keras.config import NoSignConfig, TrainConfig
from sign_keras.data.dataset import Records
from sign_keras.run import HISTORY_NAME, Run
from sign_keras.training.callbacks import EpochTimes, HistoryCSV, Progress, StopOnNonFiniteLoss
from sign_keras.training.checkpoints import GO_ON, Checkpoints
from sign_keras.training.epochs import run_epochs
from sign_keras.training.event_files import forget_epochs
from sign_keras.training.keeping import KeepCheckpoints
from sign_keras.training.learner import Learner
from sign_keras.training.objectives import objective_of
from sign_keras.training.profiling import ProfileSteps
from sign_keras.training.recipe import prepare
from sign_keras.training.signals import StopSignals
from sign_keras.training.state import TrainingState
from sign_keras.training.tensorboard import RunBoard
from sign_keras.training.workers import Workers
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
    workers: Workers | None = None,
) -> TrainingState:
    """Trains a run's model over all visible devices; the best epoch's weights stay in its checkpoints.

    Of several workers all call it alike, and the first writes.

    Args:
        run: where everything goes, and its configuration.
        records: opened, with the label map that the model is to have.
        build: makes the model; called within the distribution strategy's scope.
        resume: go on from the newest checkpoint.
        until_epoch: stop after this epoch, as an interruption would: schedules still stretch over
            ``train.epochs``, and a training that is resumed ends where one without a stop does. None: no stop.
        signals: say when to stop; None: nobody does.
        workers: that take each step together; None: this process alone.

    Raises:
        UserError: the validation split is empty, the configuration names what the model or the records do not have,
            the loss became non-finite, all checkpoints are damaged, something cannot be written, or another
            worker is gone or was started otherwise.
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
    workers = workers or Workers()
    devices = workers.devices
    workers.check_same("was started with another configuration, other records or --resume", _digest(run, resume))
    # The parts of an update come as one batch, which the learner takes apart again.
    batch_size = config.train.batch_size * config.train.accumulate_steps
    updates = updates_per_epoch(records.num_clips("train"), batch_size, devices)
    with workers.strategy.scope():
        recipe = prepare(
            build(),
            config.train,
            updates_per_epoch=updates,
            objective=objective_of(config.model, config.train, glosses, records.info.splits["train"].glosses),
        )
        learner = recipe.learner
        checkpoints = Checkpoints(run.best_weights.parent, run.best_weights, is_writer=workers.is_chief)
        state = _restored(checkpoints, learner, workers) if resume else TrainingState()
    history = HistoryCSV(run.directory / HISTORY_NAME, state)
    if resume and workers.is_chief:
        history.write()
        forget_epochs(run.directory / TENSORBOARD_NAME, state.epoch, updates)
    keeping = KeepCheckpoints(checkpoints, state, config.train, updates, workers, signals)
    print(f"{learner.name}: {learner.count_params():,} parameters, {describe_batch(config.train, workers)}")
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
        config.data,
        batch_size,
        seed=config.seed,
        first_epoch=state.epoch,
        first_batch=state.batch,
        share=workers.share,
    )
    with ExitStack() as stack:
        board = stack.enter_context(_board_directory(run, workers))
        stack.enter_context(signals.between_steps() if signals else nullcontext())
        stack.enter_context(_disk_errors(config.data.cache))
        profiled = config.train.profile_steps
        profiles = [] if profiled is None else [ProfileSteps(board / "train", *profiled, updates)]
        for profile in profiles:
            stack.callback(profile.close)
        run_epochs(
            learner,
            training,
            validation_batches(records, config.train.batch_size, config.data.no_sign),
            state=state,
            epochs=last_epoch,
            batches_per_epoch=updates,
            workers=workers,
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
                *([history] if workers.is_chief else []),
                Progress(epochs=last_epoch, steps_per_epoch=updates, state=state),
            ],
        )
    print(f"best epoch: {state.best_epoch} of {state.epoch} ({config.train.monitor} {state.best_value:.4f})")
    return state


def describe_batch(config: TrainConfig, workers: Workers) -> str:
    """Devices, what each of them and all together learn from at once, and precision: one line."""
    batch, devices = config.batch_size * config.accumulate_steps, workers.devices
    parts = f" ({config.accumulate_steps} parts of {config.batch_size})" if config.accumulate_steps > 1 else ""
    if devices == 1:
        return f"1 device, batch {batch}{parts}, {config.precision}"
    where = f" of {workers.count} workers" if workers.count > 1 else ""
    return (
        f"{devices} devices{where}, batch {batch // devices} on each and {batch}{parts} over all, "
        f"learning rate {config.learning_rate:g} as configured (not scaled by devices), {config.precision}"
    )


def _digest(run: Run, resume: bool) -> bytes:
    """Of what all workers must agree on."""
    config = run.config.model_dump_json(exclude={"records", "evaluate", "export"})
    return hashlib.sha256(f"{config} {run.label_map.to_json()} {run.info.shards} {resume}".encode()).digest()


def _restored(checkpoints: Checkpoints, learner: Learner, workers: Workers) -> TrainingState:
    """What the first worker finds, which may rename files, all load: variables that Keras makes then are shared.

    Raises:
        UserError: they found different checkpoints; see ``Checkpoints.find`` too.
    """
    state = checkpoints.find() if workers.is_chief else None
    workers.wait()
    if state is None:
        state = checkpoints.find(lambda said: None)
    found = f"{state.place} {state.weights_digest}".encode()
    what = "finds another checkpoint (all need one folder, which they share, as --run-dir)"
    workers.check_same(what, hashlib.sha256(found).digest())
    checkpoints.load(learner, state)
    return state


@contextmanager
def _board_directory(run: Run, workers: Workers) -> Iterator[Path]:
    """Of TensorBoard's files. What they say is counted on all workers, so that each writes them; one's are kept."""
    if workers.is_chief:
        yield run.directory / TENSORBOARD_NAME
        return
    with tempfile.TemporaryDirectory() as thrown_away:
        yield Path(thrown_away)


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
    """Batches of an epoch: the last one is cut to a multiple of the devices, and left out where it has fewer clips.

    TensorFlow would deal 5 clips to 4 devices as 2, 2, 1 and 0, and batch normalisation makes NaN of no clips.

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


def validation_batches(records: Records, batch_size: int, no_sign: NoSignConfig | None) -> tf.data.Dataset:
    """Every validation clip once; and as large a share of made-up non-signs as in training, always the same."""
    batches = records.evaluation_batches("validation", batch_size)
    share = 0.0 if no_sign is None else no_sign.made_up_share(records.label_map.glosses)
    if no_sign is not None and share:
        count = max(1, round(share / (1 - share) * records.num_clips("validation")))
        batches = batches.concatenate(records.non_sign_batches("validation", batch_size, no_sign, count))
    return batches.map(lambda inputs, labels, metadata: (inputs, labels))
