"""``python -m sign_keras.calibrate``: measures on validation clips how far a run's probabilities can be believed.

``sign_keras.train`` does it by itself at the end.
"""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sign_keras.confidence import SIGN_THRESHOLD, Calibration, Confidence, Threshold
from sign_keras.config import EvaluateConfig, NoSignConfig
from sign_keras.embeddings import Embeddings
from sign_keras.inference.info import kind_of
from sign_keras.quiet import quiet_tensorflow
from sign_keras.scoring import BATCH_SIZE, NO_LABEL, Recogniser, evaluate_artefact, made_up_non_signs, unknown_signs
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.settings import validate

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.metrics import Predictions

EXAMPLE = """example:
  python -m sign_keras.calibrate --run runs/my_signs
  python -m sign_keras.calibrate --run runs/my_signs --records data/my_signs --false-alarm-rate 0.01

writes confidence.json into the run directory; what is exported from then on carries temperature and threshold. And
embeddings.npz, from which python -m sign_keras.enroll adds signs.
"""
SPLIT = "validation"


@dataclass(frozen=True)
class Answers:
    """What an artefact says of the clips that it is calibrated on.

    Attributes:
        validation: the validation split's.
        made_up: non-signs made up from them; None: not wanted.
        unknown: signs that the artefact does not know; None likewise.
        no_sign: id of the gloss for no sign; None where there is none.
    """

    validation: "Predictions"
    made_up: "Predictions | None"
    unknown: "Predictions | None"
    no_sign: int | None


class Recording:
    """An artefact that keeps the embeddings of all clips that go through it."""

    def __init__(self, artefact: "RunArtefact") -> None:
        self._artefact = artefact
        self.embeddings: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._artefact, name)

    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """See ``Artefact``."""
        logits, embeddings = self._artefact.logits_and_embeddings(inputs)
        self.embeddings.append(embeddings)
        return logits


def calibrate_run(
    artefact: "RunArtefact",
    records: "Records",
    directory: Path,
    config: EvaluateConfig,
    no_sign: NoSignConfig | None,
) -> "tuple[Confidence, Predictions]":
    """Calibrates a run, and writes ``confidence.json`` and ``embeddings.npz`` into its directory.

    Arguments are those of ``answer``, and the directory.

    Returns:
        What was found, and what the run says of validation clips, at the temperature that was found.
    """
    recording = Recording(artefact)
    answers = answer(recording, records, config, no_sign)
    confidence = calibrate(answers, config.false_alarm_rate)
    confidence.save(directory)
    # Clips of unknown signs came last; they say nothing about those that are known.
    labels = answers.validation.labels
    if answers.made_up is not None:
        labels = np.append(labels, np.full(len(answers.made_up), answers.no_sign))
    Embeddings(np.concatenate(recording.embeddings)[: len(labels)], labels).save(directory)
    return confidence, dataclasses.replace(answers.validation, temperature=confidence.temperature)


def answer(
    artefact: Recogniser,
    records: "Records",
    config: EvaluateConfig,
    no_sign: NoSignConfig | None,
    batch_size: int = BATCH_SIZE,
) -> Answers:
    """Lets an artefact answer what it is to be calibrated on.

    Args:
        artefact: what to measure; its own temperature and thresholds are not looked at.
        records: opened with the artefact's sampling and inputs.
        config: may name records of unknown signs.
        no_sign: how non-signs are made up; None: they are not.
        batch_size: clips a step; changes speed alone.

    Raises:
        UserError: see ``evaluate_artefact``; or the validation split holds no sign.
    """
    no_sign_id = None if artefact.no_sign is None else artefact.label_map.id(artefact.no_sign)
    validation = evaluate_artefact(artefact, records, SPLIT, batch_size)
    if (validation.labels == no_sign_id).all():
        raise UserError(f"{records.directory}: split {SPLIT!r} holds no sign; nothing can be calibrated on it")
    made_up = unknown = None
    if no_sign is not None and no_sign.made_up_share(records.label_map.glosses):
        made_up = made_up_non_signs(artefact, records, SPLIT, no_sign, batch_size)
    if config.unknown_records is not None:
        unknown = unknown_signs(artefact, config.unknown_records, records, SPLIT, batch_size)
    return Answers(validation, made_up, unknown, no_sign_id)


def calibrate(answers: Answers, false_alarm_rate: float) -> Confidence:
    """Fits the temperature and chooses the threshold.

    The temperature is fitted on clips of signs alone: made-up non-signs are easier than the signs of people never
    seen, and would promise too much.

    Args:
        answers: to go by.
        false_alarm_rate: see ``EvaluateConfig``.
    """
    from sign_keras.calibration import calibration_metrics, fit_temperature, sign_scores, softmax

    validation = answers.validation
    is_sign = validation.labels != (NO_LABEL if answers.no_sign is None else answers.no_sign)
    logits, labels = validation.logits[is_sign], validation.labels[is_sign]
    temperature = fit_temperature(logits, labels)
    others = [found.logits for found in (answers.made_up, answers.unknown) if found is not None]
    non_signs = np.concatenate([validation.logits[~is_sign], *others])
    figures = calibration_metrics(logits, labels, temperature)
    value, threshold = choose_threshold(
        sign_scores(softmax(logits, temperature), answers.no_sign),
        logits.argmax(axis=1) == labels,
        sign_scores(softmax(non_signs, temperature), answers.no_sign),
        false_alarm_rate,
    )
    return Confidence(
        temperature=temperature,
        thresholds={} if value is None else {SIGN_THRESHOLD: value},
        calibration=Calibration(
            clips=len(labels), **{name: figures[name] for name in Calibration.model_fields if name != "clips"}
        ),
        threshold=threshold,
    )


def choose_threshold(
    signs: np.ndarray, right: np.ndarray, non_signs: np.ndarray, false_alarm_rate: float
) -> tuple[float | None, Threshold | None]:
    """The threshold, by clips without a sign, or by mistakes where there are none; None where none will do.

    Args:
        signs: ``[N]`` ``sign_scores`` of clips of signs.
        right: ``[N]`` bool: whether their answers are.
        non_signs: ``[M]`` ``sign_scores`` of clips without a sign.
        false_alarm_rate: see ``EvaluateConfig``.
    """
    from sign_keras.calibration import accepted, threshold_from_mistakes, threshold_from_non_signs

    value = (
        threshold_from_non_signs(non_signs, false_alarm_rate)
        if len(non_signs)
        else threshold_from_mistakes(signs, right, false_alarm_rate)
    )
    if value is None:
        return None, None
    return value, Threshold(
        chosen_on="non_signs" if len(non_signs) else "mistakes",
        false_alarm_rate=false_alarm_rate,
        clips=len(non_signs) or len(signs),
        false_alarms=float(accepted(non_signs, value).mean()) if len(non_signs) else None,
        signs_accepted=float(accepted(signs, value).mean()),
    )


def describe(confidence: Confidence) -> str:
    """What was found, in two lines."""
    calibration, threshold = confidence.calibration, confidence.threshold
    lines = [f"temperature {confidence.temperature:.3f}"]
    if calibration is not None:
        lines[0] += (
            f" (calibration error of {calibration.clips} validation clips: "
            f"{100 * calibration.expected_calibration_error_before:.1f} % before, "
            f"{100 * calibration.expected_calibration_error:.1f} % after)"
        )
    if threshold is None:
        lines.append("threshold: none; no probability keeps mistakes rare enough")
    else:
        promise = (
            f"{100 * threshold.false_alarms:.1f} % of {threshold.clips} clips without a sign are taken for one"
            if threshold.false_alarms is not None
            else f"at most {100 * threshold.false_alarm_rate:g} % of what is accepted is wrong (there are no clips "
            "without a sign)"
        )
        lines.append(
            f"threshold {confidence.thresholds[SIGN_THRESHOLD]:.3f}: {promise}; "
            f"{100 * threshold.signs_accepted:.1f} % of signs are accepted"
        )
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.calibrate",
        description="Measures on validation clips how far a run's probabilities can be believed.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", required=True, type=Path, metavar="DIR", help="run directory")
    parser.add_argument("--records", type=Path, metavar="DIR", help="default: those that the run was trained on")
    parser.add_argument(
        "--false-alarm-rate",
        type=float,
        metavar="SHARE",
        help="share of clips without a sign that may be taken for one (default: the run's configuration)",
    )
    parser.add_argument("--unknown", type=Path, metavar="DIR", help="records of signs that the model does not know")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if kind_of(arguments.run) != "run":
        raise UserError(f"--run {arguments.run}: is an export; calibrate its run and export that again")
    quiet_tensorflow(run_half_op=True)

    from sign_keras.data.dataset import Records
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.run import Run

    run = Run.load(arguments.run)
    chosen = {
        name: value
        for name, value in (
            ("false_alarm_rate", arguments.false_alarm_rate),
            ("unknown_records", arguments.unknown),
        )
        if value is not None
    }
    config = validate(EvaluateConfig, run.config.evaluate.model_dump() | chosen, "--false-alarm-rate, --unknown")
    artefact = RunArtefact(run)
    if artefact.task == "continuous":
        raise UserError(f"--run {arguments.run}: reads sentences; only answers of one sign are calibrated")
    records = Records.open(
        arguments.records or run.config.records.directory, artefact.sampling, artefact.input_names
    )
    confidence, _ = calibrate_run(artefact, records, run.directory, config, run.config.data.no_sign)
    print(describe(confidence))
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
