"""What an evaluation leaves behind: numbers for programs, a table, a picture, and a page for people.

``findings`` says what the numbers mean, ``charts`` draws, ``frames`` shows clips, ``page`` puts them together.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

from sign_keras.data.dataset import Records
from sign_keras.metrics import Predictions, confusion_matrix
from sign_keras.reporting.charts import save_confusion_matrix
from sign_keras.reporting.page import render_page
from sign_keras.run import CONFUSION_MATRIX_NAME, METRICS_NAME, REPORT_NAME, Run
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.label_map import LabelMap

PREDICTIONS_NAME = "predictions.csv"
PREDICTIONS_COLUMNS = ("media_id", "signer", "gloss", "predicted", "probability", "correct")

__all__ = ["PREDICTIONS_COLUMNS", "PREDICTIONS_NAME", "write_evaluation"]


def write_evaluation(
    output: Path,
    predictions: Predictions,
    label_map: LabelMap,
    metrics: dict[str, Any],
    *,
    name: str,
    records: Records,
    run: Run | None,
) -> None:
    """Writes ``metrics.json``, ``predictions.csv``, ``confusion_matrix.png`` and ``report.html``.

    Args:
        output: folder; made if missing.
        predictions: of every clip of the split.
        label_map: of the predictions' labels.
        metrics: from ``isolated_metrics``.
        name: of the model, for the report's title.
        records: where the clips come from.
        run: the training behind the predictions, where known.

    Raises:
        DatasetError: a shard is damaged.
    """
    output.mkdir(parents=True, exist_ok=True)
    matrix = confusion_matrix(predictions.logits, predictions.labels, len(label_map))
    write_atomically(output / METRICS_NAME, json.dumps(metrics, indent=1, ensure_ascii=False))
    write_atomically(output / PREDICTIONS_NAME, _predictions_csv(predictions, label_map))
    save_confusion_matrix(output / CONFUSION_MATRIX_NAME, matrix, label_map)
    page = render_page(predictions, label_map, metrics, name=name, records=records, run=run)
    write_atomically(output / REPORT_NAME, page)


def _predictions_csv(predictions: Predictions, label_map: LabelMap) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PREDICTIONS_COLUMNS)
    probabilities, predicted = predictions.probabilities, predictions.predicted
    for index, (label, guess) in enumerate(zip(predictions.labels, predicted, strict=True)):
        writer.writerow(
            (
                predictions.media_ids[index],
                predictions.signers[index],
                label_map.glosses[label],
                label_map.glosses[guess],
                f"{probabilities[index, guess]:.4f}",
                "true" if label == guess else "false",
            )
        )
    return text.getvalue()
