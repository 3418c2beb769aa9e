"""Trials in TensorBoard's HParams: ``tensorboard --logdir RUNS/tensorboard``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api, api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from sign_keras.tuning.naming import short_text
from sign_keras.tuning.plan import Plan
from sign_keras.tuning.space import Dimension
from sign_keras.tuning.trials import Trial

FOLDER = "tensorboard"


def write_experiment(plan: Plan) -> None:
    """Writes what may change, and by what trials are compared."""
    hparams = [api.HParam(path, _domain(dimension)) for path, dimension in plan.tuning.space.items()]
    with tf.summary.create_file_writer(str(plan.runs / FOLDER)).as_default():
        api.hparams_config(hparams=hparams, metrics=[api.Metric(plan.monitor)])


def write_trial(plan: Plan, trial: Trial) -> None:
    """Writes a trial's values and score, over how many epochs it took, and whether it failed."""
    space = plan.tuning.space
    values = {path: _value(space[path], value) for path, value in trial.values.items()}
    write_session(
        plan.runs / FOLDER / plan.folder(trial.number).name,
        values,
        {} if trial.reason else {plan.monitor: trial.score},
        name=str(trial.number),
        step=trial.epochs,
        failed=bool(trial.reason),
    )


def write_session(
    directory: Path,
    values: Mapping[str, float | str],
    scores: Mapping[str, float],
    *,
    name: str,
    step: int,
    failed: bool = False,
) -> None:
    """Writes one training: what it was told, and what it reached.

    Args:
        directory: of its event files.
        values: of fields, by name.
        scores: by name.
        name: of the training.
        step: of the scores.
        failed: whether it did not end well.
    """
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default():
        api.hparams(dict(values), trial_id=name)
        for score, value in scores.items():
            tf.summary.scalar(score, value, step=step)
        status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
        end = hparams_summary.session_end_pb(status).SerializeToString()
        tf.summary.experimental.write_raw_pb(end, step=0)
    writer.close()


def _are_numbers(dimension: Dimension) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in dimension.listed())


def _domain(dimension: Dimension) -> Any:
    """TensorBoard lists numbers and texts; anything else is a text there."""
    listed = dimension.listed()
    if listed and _are_numbers(dimension):
        return api.Discrete([float(value) for value in listed])
    if listed:
        return api.Discrete([short_text(value) for value in listed])
    assert dimension.range is not None
    kind = api.RealInterval if dimension.int is None else api.IntInterval
    return kind(dimension.range.min, dimension.range.max)


def _value(dimension: Dimension, value: Any) -> float | str:
    return float(value) if _are_numbers(dimension) else short_text(value)
