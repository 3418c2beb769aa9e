"""What models say of validation clips: what a quantized export may lose, and what it may not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sign_keras.data.compatibility import matched_id, matched_ids
from sign_keras.inference.artefact import Artefact
from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import Settings

if TYPE_CHECKING:
    from sign_keras.config import ExportConfig
    from sign_keras.data.dataset import Records

BATCH_SIZE = 16
ROUNDING = 1e-9  # 0.90 - 0.89 is more than 0.01


class Validation(Settings):
    """An export's answers to validation clips, beside its run's.

    Attributes:
        clips: how many.
        top1_agreement: share of clips that both call the same; of sentences, of their real and padded frames.
        accuracy: top-1 accuracy of the export; None for sentences.
        accuracy_of_run: the run's on the same clips.
    """

    clips: int
    top1_agreement: float
    accuracy: float | None
    accuracy_of_run: float | None


@dataclass(frozen=True)
class Answers:
    """What one model says.

    Attributes:
        top1: likeliest label: ``[N]``, of sentences ``[N, T']``.
        labels: ``[N]`` true ones; None for sentences.
    """

    top1: np.ndarray
    labels: np.ndarray | None


def validation_answers(artefact: Artefact, records: "Records", limit: int) -> Answers:
    """Lets a model answer clips of the validation split, evenly chosen where there are more than ``limit``.

    Raises:
        UserError: the model does not know a gloss of the split, or its answers are no numbers.
    """
    held = records.num_clips("validation")
    wanted = min(held, limit)
    own_ids = {} if artefact.task == "continuous" else matched_ids(artefact.label_map, records, "validation")
    top1: list[np.ndarray] = []
    labels: list[int] = []
    first = 0
    for inputs, batch_labels, _ in records.evaluation_batches("validation", BATCH_SIZE).as_numpy_iterator():
        places = np.arange(first, first + len(batch_labels))
        first += len(batch_labels)
        kept = (places + 1) * wanted // held > places * wanted // held
        if not kept.any():
            continue
        logits = artefact.logits({name: values[kept] for name, values in inputs.items()})
        if not np.isfinite(logits).all():
            raise UserError(f"{artefact.name}: the model's logits on validation clips are not finite")
        top1.append(logits.argmax(axis=-1))
        if own_ids:
            labels += [matched_id(own_ids, int(label), records) for label in batch_labels[kept]]
    return Answers(np.concatenate(top1), np.array(labels) if own_ids else None)


def compare_answers(of_run: Answers, of_export: Answers) -> Validation:
    """Both models' answers to the same clips."""
    return Validation(
        clips=len(of_run.top1),
        top1_agreement=float((of_run.top1 == of_export.top1).mean()),
        accuracy=_accuracy(of_export),
        accuracy_of_run=_accuracy(of_run),
    )


def check_quantized(found: Validation, config: "ExportConfig", what: str) -> None:
    """Lets a quantized export pass. One clip alone never decides: it says nothing where clips are few.

    Raises:
        UserError: it answers too many clips otherwise than the run, or too many of them wrongly.
    """
    one = 1.5 / found.clips  # between one clip and two
    where = f"{what}: not written: on {found.clips} validation clips"
    if found.accuracy is not None and found.accuracy_of_run is not None:
        lost = found.accuracy_of_run - found.accuracy
        if lost > max(config.max_accuracy_loss, one) + ROUNDING:
            raise UserError(
                f"{where} its top-1 accuracy is {found.accuracy:.3f}, the run's {found.accuracy_of_run:.3f}: it "
                f"loses more than export.max_accuracy_loss={config.max_accuracy_loss:g}; choose another "
                "--quantization"
            )
    if 1 - found.top1_agreement > max(1 - config.min_top1_agreement, one) + ROUNDING:
        raise UserError(
            f"{where} it gives the run's answer to {found.top1_agreement:.1%}, fewer than "
            f"export.min_top1_agreement={config.min_top1_agreement:g}; choose another --quantization"
        )


def _accuracy(answers: Answers) -> float | None:
    return None if answers.labels is None else float((answers.top1 == answers.labels).mean())
