"""What TensorBoard shows of a training that has ended: its settings and scores, its mistakes, frames that it kept.

All of it is of the best epoch, in a folder of its own that is written anew each time.
"""

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from sign_keras.data.dataset import Records
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.metrics import Predictions
from sign_keras.pictures.clips import first_names, open_clips
from sign_keras.pictures.drawing import as_image
from sign_keras.pictures.figures import frame_scores, strip
from sign_keras.pictures.mistakes import Mistake, surest_mistakes
from sign_keras.pictures.reading import SentenceReading, read_clip
from sign_keras.pictures.skeleton import draw_skeletons
from sign_keras.reporting.charts import kept_epoch, read_history
from sign_keras.run import HISTORY_NAME, Run
from sign_keras.tuning.hparams import write_session
from sign_keras.tuning.naming import short_text

FOLDER = "best_epoch"
SPLIT = "validation"


def show_best_epoch(
    board: Path,
    artefact: RunArtefact,
    run: Run,
    records: Records,
    validation: Predictions | None,
    metrics: Mapping[str, Any],
) -> None:
    """Writes what there is to see.

    Args:
        board: TensorBoard's folder of the run.
        artefact: the run's best epoch.
        run: the training.
        records: that it was trained on.
        validation: what it said of the validation clips; None of sentences.
        metrics: of its evaluation.

    Raises:
        DatasetError: a shard is damaged.
    """
    directory = board / FOLDER
    shutil.rmtree(directory, ignore_errors=True)
    history = read_history(run.directory / HISTORY_NAME)
    monitor: str = run.config.train.monitor
    step = kept_epoch(history, monitor) or 0  # from 0, as in all that is written by epochs
    scores = {monitor: float(history[monitor][step])} if monitor in history else {}
    split = metrics["split"]
    wanted = {"top1": metrics.get("top1"), "wer": metrics.get("word_error_rate", {}).get("wer")}
    scores |= {f"{split}_{name}": float(value) for name, value in wanted.items() if value is not None}
    write_session(
        directory, dict(flat_settings(run.config.model_dump(mode="json"))), scores, name=run.config.name, step=step
    )
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default():
        mistakes = (
            [] if validation is None else surest_mistakes(validation, records, SPLIT, artefact.label_map.glosses)
        )
        if mistakes:
            _write_mistakes(mistakes, step)
        if validation is None:
            _write_keyframes(artefact, records, step)
    writer.close()


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | str]]:
    """Fields of a configuration by dotted names; those that are null or empty are left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat_settings(value, f"{prefix}{name}.")
        elif isinstance(value, bool | list | tuple) and value not in ([], ()):
            yield f"{prefix}{name}", short_text(value)
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", float(value)
        elif isinstance(value, str) and value:
            yield f"{prefix}{name}", value


def _write_mistakes(mistakes: list[Mistake], step: int) -> None:
    width = max(mistake.picture.shape[1] for mistake in mistakes)
    pictures = [
        np.pad(found.picture, ((0, 0), (0, width - found.picture.shape[1]), (0, 0)), constant_values=255)
        for found in mistakes
    ]
    tf.summary.image(
        "mistakes",
        np.stack(pictures),
        step=step,
        max_outputs=len(pictures),
        description="\n".join(f"{place}. {found.caption}" for place, found in enumerate(mistakes, 1)),
    )


def _write_keyframes(artefact: RunArtefact, records: Records, step: int) -> None:
    """Of one clip, of a model that keeps some of its frames."""
    (clip,) = open_clips(first_names(records, SPLIT, 1), artefact, records, SPLIT)
    reading = read_clip(artefact, clip)
    if not isinstance(reading, SentenceReading) or reading.keyframes is None:
        return
    if "frames" in clip.inputs:
        tiles = clip.inputs["frames"][0, : clip.num_frames]
    else:
        assert clip.layout is not None
        points = clip.inputs["keypoints"][0, : clip.num_frames]
        tiles = draw_skeletons(points, np.zeros(points.shape[:2]), clip.layout, clip.aspect)
    frames = dataclasses.replace(strip(clip, tiles, reading.keyframes), title="Frames, kept and dropped")
    for picture in (frame_scores(clip, reading.keyframes), frames):
        tf.summary.image(
            f"keyframes/{picture.name}", as_image(picture)[np.newaxis], step=step, description=clip.name
        )
