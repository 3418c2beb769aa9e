"""What the numbers of an evaluation mean, and do not mean, in plain words."""

import statistics
from collections.abc import Sequence
from typing import Any

from sign_keras.run import Run
from tfrecords_tools.dataset_info import DatasetInfo

# Fewer clusters than this make cluster-based intervals too narrow. Source: Cameron, Gelbach, Miller (2008),
# "Bootstrap-based improvements for inference with clustered errors", which calls five to thirty clusters few.
FEW_SIGNERS = 30


def percent(share: float, digits: int = 0) -> str:
    """``0.873`` as ``87 %``; nothing but 0 and 1 is shown as certain: ``0.4 %``, ``> 99.9 %``."""
    if digits == 0 and share not in (0, 1) and not 0.005 <= share < 0.995:
        digits = 1
    if digits == 1 and share not in (0, 1) and not 0.0005 <= share < 0.9995:
        return f"{'<' if share < 0.5 else '>'} {0.1 if share < 0.5 else 99.9} %".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 clip``, ``2 clips``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def people(metrics: dict[str, Any], run: Run | None) -> str:
    """Whose clips were tested, as the end of the sentence "right in N of M clips ..."."""
    number = metrics["signers"]
    if metrics["split"] == "train":
        return "of the training split, which is there to learn from"
    if not number:
        return "of people whose names are not known"
    who = "one person" if number == 1 else f"{number} people"
    if run is None:
        return f"of {who}"
    seen = _seen_among_tested(metrics, run)
    if not seen:
        return f"of {who} it has never seen"
    if len(seen) == number:
        return f"of {who} it has seen in training"
    return f"of {who}, {len(seen)} of whom it has seen in training"


def _seen_among_tested(metrics: dict[str, Any], run: Run | None) -> set[str]:
    return seen_signers(run.info, metrics["split"]) & metrics["per_signer"].keys() if run else set()


def seen_signers(info: DatasetInfo, split: str) -> set[str]:
    """Signers of the splits that a training used and that are not the one tested."""
    used = [part for name, part in info.splits.items() if name in ("train", "validation") and name != split]
    return {signer for part in used for signer in part.signers}


def views_meaning(metrics: dict[str, Any]) -> str:
    """A sentence on what each answer was averaged over; empty where it is the one that prediction gives."""
    views = metrics.get("views", {})
    count = views.get("crops", 1) * views.get("offsets", 1) * (2 if views.get("mirror") else 1)
    if count == 1:
        return ""
    return f"Each answer is the mean over {count} views of the clip; predict looks once, and may be a little worse."


def interval_meaning(metrics: dict[str, Any], run: Run | None) -> str:
    """The interval in a sentence or two."""
    low, high = (percent(bound) for bound in metrics["top1_interval"])
    if metrics["interval_over"] == "clips":
        return (
            f"For other clips of the same people, expect between {low} and {high} (95 % interval, clips "
            "resampled). How much other people would change it, the interval does not say."
        )
    if metrics["split"] == "train" or _seen_among_tested(metrics, run):
        return (
            f"For other people whom it has learnt from, expect between {low} and {high} (95 % interval, signers "
            "resampled); for others it may be much less."
        )
    return f"For other people like these, expect between {low} and {high} (95 % interval, signers resampled)."


def limits(metrics: dict[str, Any], info: DatasetInfo, run: Run | None) -> list[str]:
    """What the reader must not conclude; one sentence or two each.

    Args:
        metrics: from ``isolated_metrics``.
        info: of the records tested on.
        run: the training, where known.
    """
    return [*data_limits(metrics, info, run), *_precision_limits(metrics), *_rejection_limits(metrics)]


def data_limits(metrics: dict[str, Any], info: DatasetInfo, run: Run | None) -> list[str]:
    """The part of ``limits`` that asks whose clips these are, whatever a clip holds."""
    return [*_source_limits(info, run), *_split_limits(metrics), *_signer_limits(metrics, run)]


def calibration_meaning(metrics: dict[str, Any]) -> str:
    """How far its probabilities are from how often it is right, in a sentence or two; empty where not measured."""
    found = metrics.get("calibration")
    if not found:
        return ""
    error = percent(found["expected_calibration_error"], 1)
    text = f"On average its probability is {error} away from how often it is right (expected calibration error)"
    if (before := found.get("expected_calibration_error_before")) is not None:
        text += f"; it would be {percent(before, 1)} without the temperature of {found['temperature']:.2f}"
    return f"{text}. The temperature was fitted on other clips, and changes no answer."


def acceptance_meaning(metrics: dict[str, Any]) -> list[str]:
    """What it takes for a sign and what not, a sentence each."""
    found = metrics.get("acceptance")
    if not found:
        return []
    threshold = found["threshold"]
    below = f" An answer below {percent(threshold, 1)} counts as no sign." if threshold else ""
    kept = f"It accepts its answer as a sign in {percent(found['signs_accepted'], 1)} of these clips of signs"
    if (right := found["top1_of_accepted"]) is not None:
        kept += f", and is right in {percent(right, 1)} of those"
    named = {
        "recorded": "recorded clips without a sign",
        "made_up": "clips made up to hold no sign",
        "unknown_signs": "clips of signs that it does not know",
    }
    alarms = [
        f"Of {alarm['clips']} {named[name]}, {percent(alarm['rate'], 1)} are taken for a sign."
        for name, alarm in found["false_alarms"].items()
    ]
    return [f"{kept}.{below}", *alarms]


def _rejection_limits(metrics: dict[str, Any]) -> list[str]:
    alarms = metrics.get("acceptance", {}).get("false_alarms", {})
    if not alarms:
        return [
            f"The model answers with one of its {len(metrics['per_gloss'])} glosses. How it reacts to other signs, "
            "or to somebody who does not sign at all, is not tested here."
        ]
    if set(alarms) == {"made_up"}:
        return [
            "What it was shown as no sign was made up from clips of signs. How it reacts to other signs, or to "
            "what people do between them, is not tested here."
        ]
    return []


def _source_limits(info: DatasetInfo, run: Run | None) -> list[str]:
    found = []
    if info.source == "synthetic":
        found.append(
            "These clips are rendered and their signs are invented. A score on them shows that the software works; "
            "it says nothing about real signing, real people or real cameras."
        )
    if run is not None and run.config.data.shuffle_labels:
        found.append("The training labels were dealt at random: a control, which should score as guessing does.")
    return found


def _split_limits(metrics: dict[str, Any]) -> list[str]:
    if metrics["split"] == "train":
        return ["These clips are there to learn from. The score says how well the model remembers them, no more."]
    if metrics["split"] == "validation":
        return ["The epoch that was kept is the best one on these clips, so the score flatters it."]
    return []


def _signer_limits(metrics: dict[str, Any], run: Run | None) -> list[str]:
    if not metrics["signers"]:
        return [
            "Who signs is not known, so the same people may be in the training and the test clips. On people it "
            "has never seen the model may do much worse."
        ]
    found = []
    if run is None:
        found.append("What the model learnt from is not known here: it may have seen these people, or these clips.")
    elif metrics["split"] != "train" and (seen := _seen_among_tested(metrics, run)):
        found.append(
            f"Seen in training: {_listed(sorted(seen))}. On people it has never seen the model may do much worse."
        )
    if metrics["signers"] < FEW_SIGNERS:
        tested = "One signer was" if metrics["signers"] == 1 else f"Only {metrics['signers']} signers were"
        found.append(f"{tested} tested. An interval from so few is itself uncertain, and usually too narrow.")
    return found


def _precision_limits(metrics: dict[str, Any]) -> list[str]:
    found = []
    low, high = metrics["top1_interval"]
    if low == high:
        found.append(
            "The interval has no width because all that was resampled scored alike; that is not certainty."
        )
    supports = [scores["support"] for scores in metrics["per_gloss"].values()]
    held = [support for support in supports if support]
    median = round(statistics.median(held))
    found.append(
        f"A gloss has {counted(median, 'clip')} here (median): one of them more or less right moves its recall by "
        f"{counted(round(100 / median), 'point')}."
    )
    if missing := len(supports) - len(held):
        found.append(
            f"{counted(missing, 'gloss', 'glosses')} of the model's {len(supports)} without a clip in this split: "
            "what it makes of them is not known, and they count in no average."
        )
    return found


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
