"""What trainings for isolated signs said of each clip, pooled, as scores with intervals over people.

Where several runs tested the same clip (seeds), the clip counts with the share of them that had it right.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sign_keras.bootstrap import bootstrap_interval, macro_recall, macro_recall_interval, paired_bootstrap
from sign_keras.studies.predictions import answers_by_clip

BOOTSTRAP_SAMPLES = 10_000
SCORES = {"top1": "top-1", "macro_recall": "macro recall"}


@dataclass(frozen=True)
class Answers:
    """What a configuration's runs said.

    Attributes:
        media_ids: ``[N]`` clips, sorted.
        signers: ``[N]`` who signs.
        glosses: ``[N]`` what is signed.
        correct: ``[N]`` float64: share of the runs on this clip that had it right.
    """

    media_ids: np.ndarray
    signers: np.ndarray
    glosses: np.ndarray
    correct: np.ndarray

    def without(self, signers: Collection[str]) -> "Answers":
        """The same but of some signers."""
        keep = ~np.isin(self.signers, sorted(signers))
        return Answers(self.media_ids[keep], self.signers[keep], self.glosses[keep], self.correct[keep])


def read_answers(runs: Sequence[Path]) -> Answers:
    """The answers in the runs' ``predictions.csv``.

    Raises:
        UserError: see ``predictions.answers_by_clip``.
    """
    rows = answers_by_clip(runs, ("signer", "gloss"), ("predicted",))
    return Answers(
        media_ids=np.array(list(rows)),
        signers=np.array([of_clip[0]["signer"] for of_clip in rows.values()]),
        glosses=np.array([of_clip[0]["gloss"] for of_clip in rows.values()]),
        correct=np.array(
            [np.mean([row["predicted"] == row["gloss"] for row in of_clip]) for of_clip in rows.values()]
        ),
    )


def score(answers: Answers) -> dict[str, Any]:
    """Scores of at least one clip, with 95 % intervals over signers."""
    correct, signers, glosses = answers.correct, answers.signers, answers.glosses
    return {
        "clips": len(correct),
        "signers": len(set(signers)),
        "top1": float(correct.mean()),
        "top1_interval": list(bootstrap_interval(correct, signers.tolist(), BOOTSTRAP_SAMPLES)[0]),
        "macro_recall": macro_recall(glosses, correct),
        "macro_recall_interval": list(
            macro_recall_interval(glosses, correct, signers.tolist(), BOOTSTRAP_SAMPLES)[0]
        ),
        "per_signer": _means(correct, signers),
        "per_gloss": _means(correct, glosses),
    }


def _means(correct: np.ndarray, names: np.ndarray) -> dict[str, dict[str, float]]:
    return {
        str(name): {"clips": int((names == name).sum()), "correct": float(correct[names == name].mean())}
        for name in np.unique(names)
    }


def compare(first: Answers, second: Answers) -> dict[str, Any]:
    """What two configurations differ by on the same clips: the first's scores less the second's."""
    found = paired_bootstrap(
        first.glosses, first.correct, second.correct, first.signers.tolist(), BOOTSTRAP_SAMPLES
    )
    return {name: asdict(difference) for name, difference in found.items()}
