"""``confidence.json`` of a run: how far its probabilities can be believed, as measured on validation clips.

``sign_keras.calibrate`` writes it; every artefact of the run carries its temperature and threshold.
"""

from pathlib import Path
from typing import Literal

import pydantic

from tfrecords_tools.command_line import UserError
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.settings import Settings

FILE_NAME = "confidence.json"
# What artefacts call the threshold below which an answer counts as no sign.
SIGN_THRESHOLD = "sign"


class Calibration(Settings):
    """The errors of the validation clips of signs, without and with the temperature that was fitted on them.

    Attributes:
        clips: how many.
        expected_calibration_error: with it; flattered, as the clips are those that it was fitted on.
        expected_calibration_error_before: without.
        negative_log_likelihood: with it, in nats.
        negative_log_likelihood_before: without.
    """

    clips: int
    expected_calibration_error: float
    expected_calibration_error_before: float
    negative_log_likelihood: float
    negative_log_likelihood_before: float


class Threshold(Settings):
    """What the threshold was chosen by.

    Attributes:
        chosen_on: ``non_signs``, or ``mistakes`` where there were none; see ``evaluate.false_alarm_rate``.
        false_alarm_rate: the share that was allowed.
        clips: that it was chosen on.
        false_alarms: share of those without a sign that are still taken for one; None where there were none.
        signs_accepted: share of the validation clips of signs whose answer is still accepted.
    """

    chosen_on: Literal["non_signs", "mistakes"]
    false_alarm_rate: float
    clips: int
    false_alarms: float | None
    signs_accepted: float


class Confidence(Settings):
    """The content of ``confidence.json``.

    Attributes:
        temperature: logits are divided by it before the softmax.
        thresholds: by name; ``sign`` is the probability below which an answer counts as no sign.
        calibration: behind the temperature; None where it was measured on another model than this.
        threshold: behind ``thresholds``; None likewise, or where none keeps the promise.
    """

    temperature: float = pydantic.Field(1.0, gt=0)
    thresholds: dict[str, float] = pydantic.Field(default_factory=dict)
    calibration: Calibration | None = None
    threshold: Threshold | None = None

    def save(self, directory: Path) -> None:
        """Writes it into a run directory."""
        write_atomically(directory / FILE_NAME, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, directory: Path) -> "Confidence":
        """Reads a run directory's; of a run that was not calibrated, nothing is changed and nothing doubted.

        Raises:
            UserError: the file is damaged.
        """
        path = directory / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (pydantic.ValidationError, UnicodeDecodeError):
            raise UserError(f"{path}: is damaged; delete it, then run python -m sign_keras.calibrate") from None
