"""What models say of validation clips: what a quantized export may lose, and what it may not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sign_keras.export.answers import Glosses, accuracy, reader_of
from sign_keras.export.parity import top1_agreement
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
        top1_agreement: see ``parity.top1_agreement``.
        accuracy: see ``answers.accuracy``; of the export.
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
        task: ``isolated`` or ``continuous``.
        top1: likeliest label: ``[N]``, of sentences ``[N, T']``.
        accuracy: see ``answers.accuracy``.
    """

    task: str
    top1: np.ndarray
    accuracy: float | None


def validation_answers(artefact: Artefact, records: "Records", limit: int) -> Answers:
    """Lets a model answer clips of the validation split, evenly chosen where there are more than ``limit``.

    Raises:
        UserError: the model does not know a gloss of the split, or its answers are no numbers.
    """
    held = records.num_clips("validation")
    wanted = min(held, limit)
    reader = reader_of(artefact, records, "validation")
    top1: list[np.ndarray] = []
    texts: list[Glosses] = []
    references: list[Glosses] = []
    first = 0
    for inputs, batch_labels, _ in records.evaluation_batches("validation", BATCH_SIZE).as_numpy_iterator():
        places = np.arange(first, first + len(batch_labels))
        first += len(batch_labels)
        kept = (places + 1) * wanted // held > places * wanted // held
        if not kept.any():
            continue
        labels = batch_labels[kept]
        logits = artefact.logits({name: values[kept] for name, values in inputs.items()})
        if not np.isfinite(logits).all():
            raise UserError(f"{artefact.name}: the model's logits on validation clips are not finite")
        top1.append(logits.argmax(axis=-1))
        texts += reader.texts(logits, labels)
        references += reader.references(labels)
    return Answers(artefact.task, np.concatenate(top1), accuracy(texts, references, artefact.task))


def compare_answers(of_run: Answers, of_export: Answers) -> Validation:
    """Both models' answers to the same clips."""
    return Validation(
        clips=len(of_run.top1),
        top1_agreement=top1_agreement(of_run.top1, of_export.top1, of_run.task),
        accuracy=of_export.accuracy,
        accuracy_of_run=of_run.accuracy,
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
                f"{where} its accuracy is {found.accuracy:.3f}, the run's {found.accuracy_of_run:.3f}: it "
                f"loses more than export.max_accuracy_loss={config.max_accuracy_loss:g}; choose another "
                "--quantization"
            )
    if 1 - found.top1_agreement > max(1 - config.min_top1_agreement, one) + ROUNDING:
        raise UserError(
            f"{where} it gives the run's answer to {found.top1_agreement:.1%}, fewer than "
            f"export.min_top1_agreement={config.min_top1_agreement:g}; choose another --quantization"
        )
