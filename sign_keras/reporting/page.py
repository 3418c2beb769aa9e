"""``report.html``: one file that shows what a recogniser can do, where it fails, and how far to trust that."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sign_keras.data.dataset import Records
from sign_keras.metrics import Predictions, confusion_matrix, worst_confusions
from sign_keras.reporting import charts, findings
from sign_keras.reporting.frames import Strip, clip_strips
from sign_keras.reporting.templates import render
from sign_keras.run import Run
from tfrecords_tools.label_map import LabelMap

TEMPLATE_NAME = "report.html.j2"
MOST_PAIRS = 8
MISTAKES_A_PAIR = 3
MOST_CLIPS = 4


@dataclass(frozen=True)
class ShownClip:
    """A clip on the page.

    Attributes:
        media_id: its name.
        signer: empty where not known.
        gloss: what was signed.
        predicted: what the model said.
        probability: of that.
        own_probability: of the gloss that was signed.
        strip: None where the record shows nothing.
    """

    media_id: str
    signer: str
    gloss: str
    predicted: str
    probability: float
    own_probability: float
    strip: Strip | None


@dataclass(frozen=True)
class Confusion:
    """A pair of glosses that was mixed up.

    Attributes:
        gloss, predicted: what was signed, and what the model said.
        count: clips.
        support: clips of the gloss.
        mistakes: some of them, the surest first.
        gloss_example, predicted_example: the surest correct clip of each gloss; None where there is none.
    """

    gloss: str
    predicted: str
    count: int
    support: int
    mistakes: list[ShownClip]
    gloss_example: ShownClip | None
    predicted_example: ShownClip | None


def render_page(
    predictions: Predictions,
    label_map: LabelMap,
    metrics: dict[str, Any],
    *,
    name: str,
    records: Records,
    run: Run | None,
) -> str:
    """The page's text; see ``write_evaluation`` for the arguments.

    Raises:
        DatasetError: a shard is damaged.
    """
    choice = _Choice(predictions, label_map)
    strips = clip_strips(records, metrics["split"], {predictions.media_ids[clip] for clip in choice.clips})
    order = charts.reading_order(choice.matrix)
    return render(
        TEMPLATE_NAME,
        name=name,
        metrics=metrics,
        correct=round(metrics["top1"] * metrics["clips"]),
        people=findings.people(metrics, run),
        interval_meaning=findings.interval_meaning(metrics, run),
        views_meaning=findings.views_meaning(metrics),
        limits=findings.limits(metrics, records.info, run),
        calibration_meaning=findings.calibration_meaning(metrics),
        acceptance_meaning=findings.acceptance_meaning(metrics),
        **charts.training_part(run),
        order=[label_map.glosses[index] for index in order],
        cells=charts.confusion_cells(choice.matrix, order),
        most_named=charts.MOST_NAMED_GLOSSES,
        confusions=choice.confusions(strips),
        surest=choice.shown(choice.surest_correct, strips),
        mistaken=choice.shown(choice.surest_mistakes, strips),
        glosses=_gloss_rows(metrics, choice.matrix, label_map),
        records=records,
    )


class _Choice:
    """Which clips the page shows."""

    def __init__(self, predictions: Predictions, label_map: LabelMap) -> None:
        self._predictions, self._label_map = predictions, label_map
        self._probabilities = predictions.probabilities
        self._predicted = predictions.predicted
        self.matrix = confusion_matrix(predictions.logits, predictions.labels, len(label_map))
        self._pairs = worst_confusions(self.matrix, MOST_PAIRS)
        sureness = self._probabilities.max(axis=1)
        self._by_sureness = np.argsort(-sureness, kind="stable")

    @cached_property
    def surest_correct(self) -> list[int]:
        """Clips that were recognised most surely, each of another gloss."""
        labels = self._predictions.labels
        right = [clip for clip in self._by_sureness.tolist() if self._predicted[clip] == labels[clip]]
        first = {int(labels[clip]): clip for clip in reversed(right)}
        return sorted(first.values(), key=right.index)[:MOST_CLIPS]

    @cached_property
    def surest_mistakes(self) -> list[int]:
        """Clips that were mistaken most surely."""
        labels = self._predictions.labels
        wrong = [clip for clip in self._by_sureness.tolist() if self._predicted[clip] != labels[clip]]
        return wrong[:MOST_CLIPS]

    @property
    def clips(self) -> set[int]:
        """Every clip that is shown."""
        found = {*self.surest_correct, *self.surest_mistakes}
        for gloss, predicted, _ in self._pairs:
            examples = (self._surest(gloss, gloss, 1), self._surest(predicted, predicted, 1))
            found.update(*examples, self._surest(gloss, predicted, MISTAKES_A_PAIR))
        return found

    def shown(self, clips: list[int], strips: dict[str, Strip]) -> list[ShownClip]:
        """Clips by number, ready to be shown."""
        glosses, predictions = self._label_map.glosses, self._predictions
        return [
            ShownClip(
                predictions.media_ids[clip],
                predictions.signers[clip],
                glosses[predictions.labels[clip]],
                glosses[self._predicted[clip]],
                float(self._probabilities[clip, self._predicted[clip]]),
                float(self._probabilities[clip, predictions.labels[clip]]),
                strips.get(predictions.media_ids[clip]),
            )
            for clip in clips
        ]

    def confusions(self, strips: dict[str, Strip]) -> list[Confusion]:
        """The worst pairs, with clips."""
        rows = []
        for gloss, predicted, count in self._pairs:
            examples = [self.shown(self._surest(one, one, 1), strips) for one in (gloss, predicted)]
            rows.append(
                Confusion(
                    self._label_map.glosses[gloss],
                    self._label_map.glosses[predicted],
                    count,
                    int(self.matrix[gloss].sum()),
                    self.shown(self._surest(gloss, predicted, MISTAKES_A_PAIR), strips),
                    *(example[0] if example else None for example in examples),
                )
            )
        return rows

    def _surest(self, gloss: int, predicted: int, limit: int) -> list[int]:
        """Clips of a gloss that were taken for another (or the same), the surest first."""
        chosen = (self._predictions.labels == gloss) & (self._predicted == predicted)
        return [clip for clip in self._by_sureness.tolist() if chosen[clip]][:limit]


def _gloss_rows(metrics: dict[str, Any], matrix: np.ndarray, label_map: LabelMap) -> list[dict[str, Any]]:
    """Rows of the table of glosses, the weakest first; those without clips last."""
    rows = []
    for number, gloss in enumerate(label_map):
        mistakes = matrix[number].copy()
        mistakes[number] = 0
        often = label_map.glosses[mistakes.argmax()] if mistakes.any() else ""
        rows.append({"gloss": gloss, "mistaken_for": often, **metrics["per_gloss"][gloss]})
    return sorted(rows, key=lambda row: (not row["support"], row["f1"], row["gloss"]))
