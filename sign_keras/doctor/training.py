"""What ails a training: its run directory looked at, each finding with the figure behind it."""

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sign_keras.config import Config
from sign_keras.doctor.findings import Finding
from sign_keras.doctor.gradients import gradient_findings
from sign_keras.reporting import PREDICTIONS_NAME
from sign_keras.reporting.charts import kept_epoch, read_history
from sign_keras.run import HISTORY_NAME, METRICS_NAME, Run
from sign_keras.training.callbacks import INPUT_BOUND
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import DatasetInfo

# What is taken for a sign of illness. None of these is a law; each finding gives the figure, too.
LAST = 3  # epochs at most, and a quarter of all, whose mean is "at the end"
WIDE_GAP = 0.15  # of top-1, training less validation
RISEN = 1.15  # validation loss at the end by its lowest
SPIKE = 1.5  # an epoch's loss by the lowest before it
# Near chance: less than this many times as good, or less than this share of what there is to gain.
NEAR_CHANCE, NEAR_CHANCE_SHARE = 1.5, 0.1
UNEVEN = 5.0  # clips of the most frequent gloss by those of the rarest
FEW_CLIPS = 30
LEAST_SUPPORT = 3
ONE_ANSWER = 0.3  # of all answers, and twice as often as it is right
MOST_LISTED = 6


@dataclass(frozen=True)
class Training:
    """What a run directory says of a training.

    Attributes:
        config: as resolved.
        info: description of the records.
        history: columns of ``history.csv``, a row an epoch.
        metrics: of its evaluation; None: not evaluated yet.
        answers: predicted gloss of each evaluated clip.
    """

    config: Config
    info: DatasetInfo
    history: dict[str, np.ndarray]
    metrics: dict[str, Any] | None
    answers: list[str]

    @classmethod
    def load(cls, directory: Path) -> "Training":
        """Reads a run directory.

        Raises:
            UserError: it is none, or no epoch has ended.
        """
        run = Run.load(directory)
        history = read_history(directory / HISTORY_NAME)
        if not history:
            raise UserError(f"{directory / HISTORY_NAME}: no epoch has ended yet; look again when one has")
        metrics = directory / METRICS_NAME
        predictions = directory / PREDICTIONS_NAME
        answers = []
        if predictions.exists():
            with predictions.open(encoding="utf-8", newline="") as file:
                answers = [row.get("predicted") or "" for row in csv.DictReader(file)]
        return cls(
            run.config,
            run.info,
            history,
            json.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else None,
            answers,
        )

    @property
    def is_isolated(self) -> bool:
        """Whether it is about single signs."""
        return self.config.model.task == "isolated"

    def at_the_end(self, column: str) -> float:
        """Mean over the last epochs; NaN where the history has no such column."""
        values = self.history.get(column, np.array([np.nan]))
        values = values[-max(1, min(LAST, len(values) // 4)) :]
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def look_at_training(training: Training) -> list[Finding]:
    """All that can be said of a training, in the order in which one would ask."""
    looks = (
        progress,
        learning,
        spikes,
        gradients,
        waiting,
        overfitting,
        one_answer,
        unlearnt_glosses,
        imbalance,
        validation_size,
    )
    return [finding for look in looks for finding in look(training)]


def progress(training: Training) -> list[Finding]:
    """How far it came, and whether it was still improving."""
    done, wanted = len(training.history["epoch"]), training.config.train.epochs
    best = kept_epoch(training.history, training.config.train.monitor)
    epochs = f"{done} of {wanted} epochs"
    if best is None:
        return [Finding("problem", f"{epochs}, none with a finite {training.config.train.monitor}")]
    epochs += f", the best of them the {best + 1}. by {training.config.train.monitor}"
    stopped_early = done - (best + 1) >= training.config.train.early_stopping_patience
    if done < wanted and not stopped_early:
        return [Finding("note", f"{epochs}; it was interrupted", "go on: sign_keras.train with --resume")]
    if not stopped_early and best + 1 > 0.95 * done:
        return [Finding("note", f"{epochs}: still improving when it ended", "more train.epochs")]
    return [Finding("ok", epochs)]


def learning(training: Training) -> list[Finding]:
    """Whether it learnt anything of what it was shown."""
    if not training.is_isolated:
        wer = training.at_the_end("wer")
        if wer >= 0.95:
            return [
                Finding(
                    "problem",
                    f"WER {wer:.2f} on training sentences at the end: nothing, or nothing but blanks, is read",
                    "longer training, less dropout, fewer frames to a sign (docs/results.md, Sentences)",
                )
            ]
        return [Finding("ok", f"WER {wer:.2f} on training sentences at the end")]
    glosses = training.info.splits["train"].glosses
    chance = max(glosses.values()) / sum(glosses.values())
    top1 = training.at_the_end("top1")
    what = f"top-1 {top1:.2f} on training clips at the end, where the most frequent gloss alone gives {chance:.2f}"
    if top1 < min(NEAR_CHANCE * chance, chance + NEAR_CHANCE_SHARE * (1 - chance)):
        return [
            Finding(
                "problem",
                f"{what}: it learns nothing",
                "look at the clips and their labels (python -m tfrecords_tools.inspect), then try a tenth and ten "
                "times train.learning_rate, and less augmentation",
            )
        ]
    return [Finding("ok", what)]


def spikes(training: Training) -> list[Finding]:
    """Epochs whose training loss is far above what it had been."""
    loss = training.history["loss"]
    lowest = np.minimum.accumulate(loss)[:-1]
    # Losses near 0 jump about, and of negative ones a ratio says nothing.
    found = [row for row in range(1, len(loss)) if lowest[row - 1] > 0.05 and loss[row] > SPIKE * lowest[row - 1]]
    new = {epoch - 1 for epoch in training.config.train.unfreeze}
    rows = [row for row in found if row - 1 not in found and row not in new]
    if not rows:
        return [Finding("ok", "no spike in the training loss")]
    worst = max(rows, key=lambda row: loss[row] / lowest[row - 1])
    listed = ", ".join(f"{row + 1}" for row in rows[:MOST_LISTED])
    return [
        Finding(
            "note",
            f"the training loss jumped {len(rows)} time(s), in epoch {listed}; most in epoch {worst + 1}, to "
            f"{loss[worst]:.3g} from {lowest[worst - 1]:.3g}",
            "lower train.learning_rate, a warm-up (train.schedule.warmup_epochs), train.gradient_clip_norm",
        )
    ]


def gradients(training: Training) -> list[Finding]:
    """Whether a gradient arrives at every stage that learns, and no more than it can use."""
    config = training.config.train
    return gradient_findings(training.history, set(config.unfreeze), config.gradient_clip_norm)


def waiting(training: Training) -> list[Finding]:
    """Whether it waits for its records; the first epoch, which fills caches, is left out where there are more."""
    waits = training.history.get("input_wait", np.array([]))
    waits = waits[len(waits) > 1 :]
    if not np.isfinite(waits).any():
        return []
    share = float(np.nanmedian(waits))
    what = f"{share:.0%} of the time of training was spent waiting for clips"
    if share <= INPUT_BOUND:
        return [Finding("ok", what)]
    cache = training.config.data.cache
    remedy = (
        "data.cache: memory, or a folder on a fast disk"
        if cache == "none"
        else f"data.cache is {cache} already: a faster disk for it"
    )
    return [
        Finding(
            "note",
            f"{what}, where {INPUT_BOUND:.0%} would pass",
            f"{remedy}; records converted at the size that the model takes (short_side), or cropped; fewer "
            "augmentations of pictures; more CPU cores, and nothing else running on them",
        )
    ]


def overfitting(training: Training) -> list[Finding]:
    """Whether it does better and better on what it has seen, and not on what it has not."""
    found = []
    if training.is_isolated:
        seen, unseen = training.at_the_end("top1"), training.at_the_end("val_top1")
        if seen - unseen > WIDE_GAP:
            found.append(f"top-1 {seen:.2f} on training clips and {unseen:.2f} on validation clips at the end")
    loss = training.history["val_loss"]
    lowest, end = float(np.nanmin(loss)), training.at_the_end("val_loss")
    if lowest > 0 and end > RISEN * lowest:
        found.append(
            f"validation loss {end:.3g} at the end and {lowest:.3g} in epoch {int(np.nanargmin(loss)) + 1}"
        )
    if not found:
        return [Finding("ok", "no overfitting to be seen")]
    return [
        Finding(
            "note",
            "overfitting: " + "; ".join(found),
            "more signers help most; then data.augment, model.dropout, train.label_smoothing, a smaller model. The "
            "epoch that was kept is the best one, not the last",
        )
    ]


def one_answer(training: Training) -> list[Finding]:
    """Whether one gloss swallows the others."""
    if not training.answers or training.metrics is None or not training.is_isolated:
        return []
    gloss, count = Counter(training.answers).most_common(1)[0]
    total = len(training.answers)
    support = training.metrics["per_gloss"].get(gloss, {}).get("support", 0)
    if count / total > ONE_ANSWER and count > 2 * support:
        return [
            Finding(
                "problem",
                f"'{gloss}' is the answer to {count} of {total} evaluated clips, and right for {support} at most",
                "train.logit_adjustment: 1 or data.oversample: 1 where it is frequent in training; else a lower "
                "train.learning_rate",
            )
        ]
    return []


def unlearnt_glosses(training: Training) -> list[Finding]:
    """Glosses that are never recognised."""
    if training.metrics is None:
        return []
    support, found = ("support", "recall") if training.is_isolated else ("signed", "hits")
    tested = {gloss: row for gloss, row in training.metrics["per_gloss"].items() if row[support] >= LEAST_SUPPORT}
    never = sorted(gloss for gloss, row in tested.items() if row[found] == 0)
    if not never:
        return [Finding("ok", f"each of {len(tested)} glosses was recognised at least once")] if tested else []
    train = training.info.splits["train"].glosses
    listed = ", ".join(f"{gloss} ({train.get(gloss, 0)} training clips)" for gloss in never[:MOST_LISTED])
    more = f" and {len(never) - MOST_LISTED} more" if len(never) > MOST_LISTED else ""
    return [
        Finding(
            "note",
            f"{len(never)} of {len(tested)} glosses were never recognised: {listed}{more}",
            "more clips and signers of these; report.html shows what they were taken for",
        )
    ]


def imbalance(training: Training) -> list[Finding]:
    """Whether rare glosses are left alone with frequent ones."""
    glosses = {gloss: count for gloss, count in training.info.splits["train"].glosses.items() if count}
    if len(glosses) < 2:
        return []
    rarest, frequent = min(glosses, key=glosses.__getitem__), max(glosses, key=glosses.__getitem__)
    ratio = glosses[frequent] / glosses[rarest]
    if ratio == 1:
        return [Finding("ok", f"each gloss has {glosses[rarest]} training clips")]
    what = f"'{frequent}' has {glosses[frequent]} training clips, '{rarest}' {glosses[rarest]}"
    train = training.config.train
    remedied = train.logit_adjustment or train.class_weights != "none" or training.config.data.oversample
    if ratio < UNEVEN or remedied:
        return [Finding("ok", what + (", which the loss or the sampling makes up for" if ratio >= UNEVEN else ""))]
    return [
        Finding(
            "note",
            f"{what}: {ratio:.0f} times as many, and nothing makes up for it",
            "one of train.logit_adjustment: 1, train.class_weights: balanced, data.oversample: 1; then judge "
            "by macro recall",
        )
    ]


def validation_size(training: Training) -> list[Finding]:
    """Whether there was enough to choose the epoch by."""
    split = training.info.splits["validation"]
    signers = len(split.signers)
    what = f"the epoch was chosen by {split.clips} validation clips of {signers or 'unknown'} signers"
    if split.clips >= FEW_CLIPS and signers != 1:
        return [Finding("ok", what)]
    step = f"one clip is {100 / split.clips:.0f} points" if split.clips else "there was none"
    return [Finding("note", f"{what}: {step}", "more clips of more signers there, or train.monitor: val_loss")]
