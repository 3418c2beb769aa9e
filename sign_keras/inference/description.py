"""What a run says of itself, and what all of its exports carry."""

import json
from typing import Any

from sign_keras.confidence import SIGN_THRESHOLD, Confidence
from sign_keras.config import EnsembleConfig, ModelConfig
from sign_keras.ctc.labels import BLANK
from sign_keras.decoding import SentenceDecoding
from sign_keras.inference.info import FORMAT_VERSION, ArtefactInfo, installed_version, read_enrolled
from sign_keras.models import input_names
from sign_keras.run import METRICS_NAME, Run
from tfrecords_tools.dataset_info import SplitInfo


def describe(run: Run) -> ArtefactInfo:
    """What exports of a run carry inside, and what the run itself answers by."""
    confidence, no_sign = Confidence.load(run.directory), run.config.data.no_sign
    reads_sentences = run.config.model.task == "continuous"
    return ArtefactInfo(
        format_version=FORMAT_VERSION,
        name=run.config.name,
        task=run.config.model.task,
        glosses=run.label_map.glosses,
        blank=BLANK if reads_sentences else None,
        frames_per_logit=run.config.model.frames_per_logit,
        decoding=SentenceDecoding.load(run.directory) if reads_sentences else None,
        clip_spec=run.clip_spec,
        input_names=input_names(run.config.model, run.config.sampling),
        temperature=confidence.temperature,
        thresholds=confidence.thresholds,
        no_sign=None if no_sign is None else no_sign.gloss,
        trained_on=run.info.name,
        records_source=run.info.source,
        model_card=_model_card(run, confidence),
        sign_keras_version=installed_version(),
    )


def _model_card(run: Run, confidence: Confidence) -> str:
    train, no_sign = run.info.splits.get("train", SplitInfo()), run.config.data.no_sign
    num_signs = len(run.label_map) - (no_sign is not None)
    reads_sentences = run.config.model.task == "continuous"
    does = "reads sentences of" if reads_sentences else "names one of"
    sentences = [
        f"{run.config.name}: {_kind(run.config.model)} that {does} {num_signs} signs.",
        f"Trained on {train.clips} clips of {len(train.signers)} known signers from the records "
        f"{run.info.name!r} ({run.info.source}).",
    ]
    sentences += [
        f"{gloss!r} was added later, from {len(clips)} clip(s) and without training."
        for gloss, clips in read_enrolled(run.directory).items()
    ]
    metrics = _metrics(run)
    if "top1" in metrics:
        of = f"{metrics.get('clips', '?')} clips of the {metrics.get('split', 'test')} split"
        sentences.append(f"Top-1 accuracy {metrics['top1']:.3f} on {of}.")
    if reads_sentences:
        rate = metrics.get("word_error_rate", {}).get("wer")
        if rate is not None:
            of = f"{metrics.get('clips', '?')} sentences of the {metrics.get('split', 'test')} split"
            sentences.append(f"Word error rate {rate:.3f} on {of}.")
        sentences.append("It knows no other signs, and takes them for those that it knows or for none.")
        return " ".join(sentences)
    if no_sign is not None:
        sentences.append(f"It answers {no_sign.gloss!r} where it sees none of them.")
    if (threshold := confidence.thresholds.get(SIGN_THRESHOLD)) is not None:
        sentences.append(f"Below a probability of {threshold:.3f} its answer is not to be taken for a sign.")
    elif no_sign is None:
        sentences.append("It always answers with one of its signs, whatever the video shows.")
    return " ".join(sentences)


def _kind(model: ModelConfig) -> str:
    if not isinstance(model, EnsembleConfig):
        return f"a {model.architecture}"
    return f"an ensemble of {', '.join(member.architecture for member in model.members)}"


def _metrics(run: Run) -> dict[str, Any]:
    try:
        metrics = json.loads((run.directory / METRICS_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not evaluated yet
        return {}
    return metrics if isinstance(metrics, dict) else {}
