"""What a recogniser says of clips: a split's own, non-signs made up from them, signs that it does not know."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from sign_keras.config import NoSignConfig, Task, ViewsConfig
from sign_keras.config.ratio import FramesPerLogit
from sign_keras.decoding import SentenceDecoding
from tfrecords_tools.clips import ClipSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.label_map import LabelMap

if TYPE_CHECKING:  # they load TensorFlow, which a command does only once its arguments make sense
    import tensorflow as tf

    from sign_keras.data.dataset import Records
    from sign_keras.data.draws import Draw
    from sign_keras.metrics import Predictions

BATCH_SIZE = 16
ONE_VIEW = ViewsConfig()
NO_LABEL = -1  # of a clip whose gloss the recogniser does not have


class Recogniser(Protocol):
    """What evaluation needs of an artefact."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    @property
    def label_map(self) -> LabelMap:
        """Of its V logits."""

    @property
    def clip_spec(self) -> ClipSpec:
        """How its clips are made, sampling included."""

    @property
    def task(self) -> Task:
        """What it reads out of a clip."""

    @property
    def frames_per_logit(self) -> FramesPerLogit:
        """Of one that reads sentences; see ``ctc.labels.logit_frames``."""

    @property
    def sentence_decoding(self) -> SentenceDecoding:
        """Likewise: how its logits are read."""

    @property
    def temperature(self) -> float:
        """Logits are divided by it before the softmax."""

    @property
    def thresholds(self) -> dict[str, float]:
        """Named probabilities below which an answer is to be doubted."""

    @property
    def no_sign(self) -> str | None:
        """The gloss that stands for no sign."""

    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """``[B, V]`` float32 of a batch of inputs; of sentences ``[B, T', V + 1]``."""

    def outputs(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same as ``logits``, and what ``models.stages.SHOWN`` names, as far as the model has it."""


def evaluate_artefact(
    artefact: Recogniser,
    records: "Records",
    split: str,
    batch_size: int = BATCH_SIZE,
    views: ViewsConfig = ONE_VIEW,
) -> "Predictions":
    """Lets an artefact predict every clip of a split.

    Returns:
        Each clip once, whatever the number of its views. Labels are ids in the artefact's label map: glosses are
        matched by name, whatever their order. Logits are the model's own for one view, to be divided by its
        temperature; else logarithms of the probabilities' mean.

    Raises:
        UserError: the clips were not made as the artefact wants them, it lacks one of their glosses, a record is
            damaged, or the model returns numbers that are not finite.
    """
    from sign_keras.data.compatibility import check_clip_spec, matched_id, matched_ids
    from sign_keras.data.views import make_views

    check_clip_spec(artefact.clip_spec, records)
    own_ids = matched_ids(artefact.label_map, records, split)
    drawn = make_views(views, records.sampling.num_frames)
    with progress(records.num_clips(split) * len(drawn), "evaluating") as bar:

        def predict(view: "Draw | None") -> "Predictions":
            batches = clip_batches(records, split, records.evaluation_batches(split, batch_size, view))
            return _predict(artefact, batches, lambda index: matched_id(own_ids, index, records), bar)

        first = predict(drawn[0])
        if len(drawn) == 1:
            return first
        probabilities = first.probabilities
        for view in drawn[1:]:
            probabilities += predict(view).probabilities
    # Where float64 rounds a probability to zero, its logarithm must stay finite.
    mean = np.maximum(probabilities / len(drawn), np.finfo(np.float64).tiny)
    return dataclasses.replace(first, logits=np.log(mean).astype(np.float32), temperature=1.0)


def made_up_non_signs(
    artefact: Recogniser, records: "Records", split: str, config: NoSignConfig, batch_size: int = BATCH_SIZE
) -> "Predictions":
    """Lets an artefact predict one made-up non-sign for every clip of a split; labels are ``NO_LABEL``.

    Raises:
        UserError: none can be made, or as ``evaluate_artefact``.
    """
    batches = records.non_sign_batches(split, batch_size, config)
    with progress(records.num_clips(split), "made-up non-signs") as bar:
        return _predict(artefact, clip_batches(records, split, batches), lambda _: NO_LABEL, bar)


def unknown_signs(
    artefact: Recogniser, directory: Path, like: "Records", split: str, batch_size: int = BATCH_SIZE
) -> "Predictions":
    """Lets an artefact predict the clips of other records, as far as it does not know their glosses.

    Args:
        artefact: the model.
        directory: of the other records.
        like: records that were opened for the artefact.
        split: of the other records.
        batch_size: clips a step; changes speed alone.

    Returns:
        Labels are ``NO_LABEL``.

    Raises:
        UserError: they are no such records, were made otherwise, or the artefact knows all their glosses.
    """
    from sign_keras.data.compatibility import check_clip_spec
    from sign_keras.data.dataset import Records

    check_unknown(directory, split, artefact.label_map)
    others = Records.open(directory, like.sampling, like.input_names)
    check_clip_spec(artefact.clip_spec, others)
    known = {number for number, gloss in enumerate(others.label_map) if gloss in artefact.label_map}
    with progress(others.num_clips(split), "unknown signs") as bar:
        batches = clip_batches(others, split, others.evaluation_batches(split, batch_size))
        found = _predict(artefact, batches, int, bar)
    kept = np.flatnonzero(~np.isin(found.labels, list(known)))
    return dataclasses.replace(
        found,
        logits=found.logits[kept],
        labels=np.full(len(kept), NO_LABEL),
        media_ids=[found.media_ids[clip] for clip in kept],
        paths=[found.paths[clip] for clip in kept],
        signers=[found.signers[clip] for clip in kept],
    )


def check_unknown(directory: Path, split: str, known: LabelMap) -> None:
    """Checks that a split of records holds signs that a model does not know.

    Raises:
        UserError: it does not, or these are no records.
    """
    splits = DatasetInfo.load(directory).splits
    if split not in splits or not set(splits[split].glosses) - set(known):
        raise UserError(
            f"evaluate.unknown_records={directory}: split {split!r} holds no sign that the model does not know; "
            "give records of other signs"
        )


def progress(total: int, what: str) -> tqdm:
    """A bar over clips, where there is a terminal."""
    return tqdm(total=total, desc=what, unit="clip", disable=None)


def _predict(
    artefact: Recogniser,
    batches: Iterator[tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]],
    own_id: Callable[[int], int],
    bar: tqdm,
) -> "Predictions":
    from sign_keras.metrics import Predictions

    logits: list[np.ndarray] = []
    labels: list[int] = []
    names: dict[str, list[str]] = {"media_id": [], "path": [], "signer": []}
    for inputs, label, metadata in batches:
        for name, values in names.items():
            values += [text.decode("utf-8", "replace") for text in metadata[name]]
        batch = artefact.logits(inputs)
        if not np.isfinite(batch).all():
            first = names["media_id"][len(labels) + int(np.argmin(np.isfinite(batch).all(axis=1)))]
            raise UserError(f"{first}: the model's logits are not finite; it cannot be evaluated")
        logits.append(batch)
        labels += [own_id(index) for index in label.tolist()]
        bar.update(len(label))
    return Predictions(
        np.concatenate(logits).astype(np.float32),
        np.array(labels, np.int64),
        names["media_id"],
        names["path"],
        names["signer"],
        artefact.temperature,
    )


def clip_batches(
    records: "Records", split: str, batches: "tf.data.Dataset"
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]]:
    """Batches of a split as arrays.

    Raises:
        UserError: a record is damaged.
    """
    import tensorflow as tf

    iterator = batches.as_numpy_iterator()
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            cause = (error.message or type(error).__name__).split("\n")[0].split("}} ")[-1].split(" [Op:")[0]
            raise UserError(
                f"{records.directory}: a record of split {split!r} cannot be used ({cause}); to find it: "
                f"python -m tfrecords_tools.inspect {records.directory}"
            ) from None
        yield batch
