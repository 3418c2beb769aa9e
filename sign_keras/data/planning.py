"""Which clips of sentences a training leaves out, before it begins: see ``ctc.planner``."""

from collections.abc import Collection
from dataclasses import dataclass

from sign_keras.config.ratio import ratio_share
from sign_keras.ctc.planner import Plan, SentenceClip, plan_clips
from sign_keras.data.dataset import Records
from tfrecords_tools.clips import SPLITS
from tfrecords_tools.command_line import UserError

USED = ("train", "validation")  # by training; the clips that it is tested on are never left out


@dataclass(frozen=True)
class TrainingPlan:
    """What training is to use.

    Attributes:
        records: without the clips that are left out.
        plan: of the clips of ``USED``.
        num_seen: training clips left out for their sentences, which another split has too.
    """

    records: Records
    plan: Plan
    num_seen: int

    def summary(self) -> str:
        """One line, or two, for people."""
        line = f"sentences of training and validation: {self.plan.summary()}"
        if self.plan.infeasible:
            line += f"; left out: {len(self.plan.infeasible)}"
        if self.num_seen:
            line += (
                f"\n{self.num_seen} training clips left out, whose sentences another split has too "
                "(data.unseen_sentences)"
            )
        return line


def plan_training(records: Records, *, unseen_sentences: bool, selection_ratio: float = 1.0) -> TrainingPlan:
    """Leaves out clips that cannot carry their glosses or would be cut, and sentences of other splits if wanted.

    Args:
        records: opened for sentences.
        unseen_sentences: see ``DataConfig``.
        selection_ratio: share of a clip's frames that the model selects.

    Raises:
        UserError: no clip would be left to train on, or to validate; or a shard is damaged.
    """
    held = {split: records.sentences(split) for split in SPLITS if records.num_clips(split)}
    downsampling = int(records.frames_per_logit * ratio_share(selection_ratio))
    plans = {
        split: plan_clips(held.get(split, []), selection_ratio, downsampling, records.sampling.num_frames)
        for split in USED
    }
    for split, plan in plans.items():
        out = {clip.path for clip in plan.infeasible}
        records = _without(records, split, out, plan.summary())
    seen: set[str] = set()
    if unseen_sentences:
        others = [clip for split in held if split != "train" for clip in held[split]]
        trained = [clip for clip in held["train"] if clip.path not in records.left_out.get("train", ())]
        seen = {clip.path for clip in clips_with_sentences_of(trained, others)}
        records = _without(records, "train", seen, "every sentence is in another split too")
    whole = plans["train"]
    both = tuple(clip for plan in plans.values() for clip in plan.clips)
    return TrainingPlan(records, Plan(both, whole.ratio, whole.downsampling, whole.longest), len(seen))


def clips_with_sentences_of(
    clips: Collection[SentenceClip], others: Collection[SentenceClip]
) -> list[SentenceClip]:
    """The clips whose very sentence is that of one of the others."""
    known = {tuple(clip.glosses) for clip in others}
    return [clip for clip in clips if tuple(clip.glosses) in known]


def _without(records: Records, split: str, media_ids: Collection[str], why: str) -> Records:
    if not media_ids:
        return records
    left = records.without(split, media_ids)
    if not left.num_clips(split):
        raise UserError(f"{records.directory}: no clip of split {split!r} can be used: {why}")
    return left
