"""What trainings for sentences said of each clip, pooled, as word error rates with intervals over people.

Errors are counted at unit costs, see ``error_rate``. Where several runs tested the same clip (seeds), the clip
counts with the mean of their errors: the rate is then the mean of the runs' rates.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sign_keras.bootstrap import paired_ratio_bootstrap, ratio_interval
from sign_keras.studies.predictions import FILE_NAME, answers_by_clip
from sign_keras.studies.signs import BOOTSTRAP_SAMPLES
from tfrecords_tools.command_line import UserError

SCORES = {"wer": "WER"}
ERROR_TYPES = ("substitutions", "deletions", "insertions")


@dataclass(frozen=True)
class SentenceAnswers:
    """What a configuration's runs said.

    Attributes:
        media_ids: ``[N]`` clips, sorted.
        signers: ``[N]`` who signs.
        words: ``[N]`` int64: glosses that are signed.
        error_types: ``[N, 3]`` float64: ``ERROR_TYPES``, the mean of the runs on this clip.
    """

    media_ids: np.ndarray
    signers: np.ndarray
    words: np.ndarray
    error_types: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """``[N]`` float64, of all types."""
        return np.asarray(self.error_types.sum(axis=1))


def read_answers(runs: Sequence[Path]) -> SentenceAnswers:
    """The answers in the runs' ``predictions.csv``.

    Raises:
        UserError: see ``predictions.answers_by_clip``; or a count of errors is none, or no gloss is signed.
    """
    rows = answers_by_clip(runs, ("signer", "reference"), ERROR_TYPES)
    try:
        counts = [
            np.mean([[int(row[name]) for name in ERROR_TYPES] for row in of_clip], axis=0)
            for of_clip in rows.values()
        ]
    except ValueError as error:
        raise UserError(f"{runs[0] / FILE_NAME} or another run's: a count of errors is none ({error})") from None
    answers = SentenceAnswers(
        media_ids=np.array(list(rows)),
        signers=np.array([of_clip[0]["signer"] for of_clip in rows.values()]),
        words=np.array([len(of_clip[0]["reference"].split()) for of_clip in rows.values()], np.int64),
        error_types=np.array(counts).reshape(-1, len(ERROR_TYPES)),
    )
    if not answers.words.sum():
        raise UserError(f"{runs[0] / FILE_NAME}: no gloss is signed there; a word error rate needs some")
    return answers


def score(answers: SentenceAnswers) -> dict[str, Any]:
    """The word error rate of clips with at least one gloss, with its 95 % interval."""
    signers = answers.signers.tolist()
    interval, over = ratio_interval(answers.errors, answers.words, signers, BOOTSTRAP_SAMPLES)
    words = int(answers.words.sum())
    return {
        "clips": len(answers.words),
        "signers": len(set(signers) - {""}),
        "words": words,
        "wer": float(answers.errors.sum() / words),
        "wer_interval": list(interval),
        "interval_over": over,
        "error_types": dict(zip(ERROR_TYPES, answers.error_types.sum(axis=0).tolist(), strict=True)),
    }


def compare(first: SentenceAnswers, second: SentenceAnswers) -> dict[str, Any]:
    """What two configurations differ by on the same clips: the first's rate less the second's."""
    found = paired_ratio_bootstrap(
        first.errors, second.errors, first.words, first.signers.tolist(), BOOTSTRAP_SAMPLES
    )
    return {"wer": asdict(found)}
