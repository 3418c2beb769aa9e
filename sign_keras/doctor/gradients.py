"""What the lengths of its gradients say of a training, by stage; see ``training.gradient_norms``."""

from collections.abc import Collection, Mapping

import numpy as np

from sign_keras.doctor.findings import Finding
from sign_keras.training.gradient_norms import GRADIENT_NORM

# A stage is dead where, in the last epochs, its gradient is shorter than this share of the whole one: what arrives
# there is one part in 10^8 of the whole in square. Stages that learn were seen between 0.01 and 1; units that are
# all cut off (ReLU below 0), or a path that leads nowhere, give 0.
DEAD = 1e-4
# A gradient explodes where it is so many times as long as it was: as the median of the epochs before, and as in the
# first epoch, since a model that has learnt its clips has gradients near 0, of which any is many times as long.
EXPLODED = 10.0
LAST = 3  # epochs that a dead stage is dead for, or all where there are fewer
MOST_LISTED = 6


def gradient_findings(
    history: Mapping[str, np.ndarray], unfrozen: Collection[int], clip_norm: float | None
) -> list[Finding]:
    """Of dead stages, and of gradients that exploded.

    Args:
        history: columns of ``history.csv``; without those of gradients, nothing is found.
        unfrozen: epochs from 1 in which a stage began to learn: the whole gradient is longer from there on.
        clip_norm: what an update's gradient is shortened to; None: it is not.
    """
    whole = history.get(GRADIENT_NORM)
    if whole is None or not np.isfinite(whole).any():
        return []
    stages = {
        name.removeprefix(f"{GRADIENT_NORM}_"): values
        for name, values in history.items()
        if name.startswith(f"{GRADIENT_NORM}_") and np.isfinite(values[-1])
    }
    found = [*_dead(whole, stages), *_exploded({"": whole} | stages, unfrozen, clip_norm)]
    if found:
        return found
    return [Finding("ok", f"gradients arrive at {len(stages)} stages, of length {whole[-1]:.2g} in all at the end")]


def _dead(whole: np.ndarray, stages: Mapping[str, np.ndarray]) -> list[Finding]:
    last = whole[-LAST:]
    if not last.any():
        return [
            Finding(
                "problem",
                f"the gradient is 0 in the last {len(last)} epoch(s): nothing learns any more",
                "a lower train.learning_rate from the start; a model whose logits do not all stay the same",
            )
        ]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = {stage: float(np.nanmax(values[-LAST:] / last)) for stage, values in stages.items()}
    dead = sorted((share, stage) for stage, share in shares.items() if share < DEAD)
    if not dead:
        return []
    listed = ", ".join(f"{stage} ({share:.1g} of the whole gradient)" for share, stage in dead[:MOST_LISTED])
    more = f" and {len(dead) - MOST_LISTED} more" if len(dead) > MOST_LISTED else ""
    return [
        Finding(
            "problem",
            f"nothing arrives at {len(dead)} of {len(stages)} stages that should learn: {listed}{more}",
            "units that are always 0 come of too long steps: a lower train.learning_rate (or train.learning_rates "
            "of that stage) and train.schedule.warmup_epochs, from the start; if the stage is not meant to learn, "
            "train.freeze saves its time",
        )
    ]


def _exploded(
    columns: Mapping[str, np.ndarray], unfrozen: Collection[int], clip_norm: float | None
) -> list[Finding]:
    worst = (0.0, "", 0, 0.0)  # times, stage, row, length
    for stage, values in columns.items():
        rows = np.flatnonzero(np.isfinite(values))
        begins = max((epoch - 1 for epoch in unfrozen if epoch - 1 < len(values)), default=0)
        rows = rows[rows >= begins]
        for place in range(1, len(rows)):
            before = max(float(values[rows[0]]), float(np.median(values[rows[:place]])))
            length = float(values[rows[place]])
            if before > 0:
                worst = max(worst, (length / before, stage, int(rows[place]), length))
    times, stage, row, length = worst
    if times < EXPLODED:
        return []
    where = f"at {stage} " if stage else ""
    clip = "train.gradient_clip_norm, which is off" if clip_norm is None else "a lower train.gradient_clip_norm"
    return [
        Finding(
            "problem",
            f"the gradient exploded: {where}it is {length:.3g} long in epoch {row + 1}, {times:.0f} times as long "
            "as in the epochs before",
            f"a lower train.learning_rate, train.schedule.warmup_epochs, or {clip}",
        )
    ]
