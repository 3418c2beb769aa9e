"""What a model's task asks of the other sections: what fits isolated signs and what fits sentences."""

from sign_keras.config.data import DataConfig, MixConfig
from sign_keras.config.model_settings import Task
from sign_keras.config.results import DecodingConfig, EvaluateConfig, ViewsConfig
from sign_keras.config.training import LossWeightsConfig, TrainConfig
from tfrecords_tools.clips import SamplingSpec


def task_faults(
    task: Task,
    *,
    sampling: SamplingSpec,
    data: DataConfig,
    train: TrainConfig,
    evaluate: EvaluateConfig,
    losses: tuple[str, ...] = (),
) -> list[str]:
    """What of an experiment's sections does not go with its model's task; each with its path and what to do.

    Args:
        task: of the model.
        sampling: section.
        data: section.
        train: section.
        evaluate: section.
        losses: ``ModelSettings.losses``.
    """
    if task == "isolated":
        return _isolated_faults(data, train, evaluate) + _loss_faults(train, losses)
    return _continuous_faults(sampling, data, train, evaluate) + _loss_faults(train, losses)


def _loss_faults(train: TrainConfig, losses: tuple[str, ...]) -> list[str]:
    weighting = train.loss_weighting.name
    if not losses:
        given = {"loss_weights": train.loss_weights != LossWeightsConfig(), "loss_weighting": weighting != "fixed"}
        named = [name for name, is_given in given.items() if is_given]
        return [f"train.{name}: the model learns by one loss; leave it out" for name in named]
    if weighting != "fixed" and "val_loss" in _monitors(train):
        return [
            f"train.monitor: val_loss changes with the weights that {weighting} learns, and tells no epochs apart; "
            "use val_wer"
        ]
    return []


def _isolated_faults(data: DataConfig, train: TrainConfig, evaluate: EvaluateConfig) -> list[str]:
    faults = []
    if "val_wer" in _monitors(train):
        faults.append("train.monitor: val_wer is of models that read sentences; use val_top1 or val_loss")
    if data.unseen_sentences:
        faults.append("data.unseen_sentences: the model reads one sign; leave it out")
    if evaluate.decoding != DecodingConfig():
        faults.append("evaluate.decoding: the model reads one sign, and nothing is decoded; leave it out")
    return faults


def _continuous_faults(
    sampling: SamplingSpec, data: DataConfig, train: TrainConfig, evaluate: EvaluateConfig
) -> list[str]:
    """A list in place of cross-entropy's labels, and frames at a rate in place of a share of the clip."""
    reasons = {
        "sampling.frame_rate": (
            sampling.frame_rate is None,
            "missing; sentences differ in length and are read at a fixed rate, e.g. 25, with num_frames as the "
            "longest",
        ),
        "data.augment.shift": (data.augment.shift > 0, "would cut a sentence's first or last sign; use speed"),
        "data.mix": (data.mix != MixConfig(), "blends labels, and sentences have none that blend; leave it out"),
        "data.oversample": (data.oversample > 0, "counts clips of one gloss; leave it out"),
        "data.shuffle_labels": (data.shuffle_labels, "deals labels of one gloss; leave it out"),
        "data.no_sign": (data.no_sign is not None, "CTC's blank says so of every frame; leave it out"),
        "train.loss": (train.loss.name != "crossentropy", "sentences are learnt by the CTC loss; leave it out"),
        "train.label_smoothing": (train.label_smoothing > 0, "is of cross-entropy, not of CTC; leave it out"),
        "train.class_weights": (train.class_weights != "none", "is of cross-entropy, not of CTC; leave it out"),
        "train.logit_adjustment": (train.logit_adjustment > 0, "is of cross-entropy, not of CTC; leave it out"),
        "train.monitor": ("val_top1" in _monitors(train), "val_top1 is of isolated signs; use val_wer or val_loss"),
        "evaluate.views": (evaluate.views != ViewsConfig(), "averages answers to one sign; leave it out"),
        "evaluate.unknown_records": (
            evaluate.unknown_records is not None,
            "are of models that answer with one sign; leave it out",
        ),
    }
    return [f"{path}: {reason}" for path, (is_fault, reason) in reasons.items() if is_fault]


def _monitors(train: TrainConfig) -> set[str | None]:
    return {train.monitor, train.schedule.monitor if train.schedule.name == "plateau" else None}
