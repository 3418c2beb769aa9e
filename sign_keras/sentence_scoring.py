"""What a recogniser of sentences says of the clips of a split, and how its logits are best read."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sign_keras.config import DecodingConfig
from sign_keras.ctc.arpa import read_arpa, to_arpa
from sign_keras.ctc.kneser_ney import learn_language_model
from sign_keras.ctc.labels import logit_frames
from sign_keras.decoding import Decoder, SentenceDecoding, Tuning
from sign_keras.error_rate import align_sentences, word_error_rate
from sign_keras.inference.info import OUTPUT
from sign_keras.scoring import BATCH_SIZE, Recogniser, clip_batches, progress
from sign_keras.sentence_metrics import ReadSentences, SentenceLogits
from sign_keras.stage_metrics import ClipStages
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.synthetic.frame_truth import read_frame_truth

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records

# What tuning tries. Of equally good ones the first is taken: the least of everything.
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
GLOSS_BONUSES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)


def sentence_logits(
    artefact: Recogniser, records: "Records", split: str, batch_size: int = BATCH_SIZE
) -> SentenceLogits:
    """Lets an artefact look at every clip of a split.

    Args:
        artefact: what to test.
        records: opened with the artefact's sampling, inputs and task.
        split: which clips.
        batch_size: clips a step; changes speed alone.

    Raises:
        UserError: the clips were not made as the artefact wants them, a record is damaged, or the model returns
            numbers that are not finite.
    """
    from sign_keras.ctc.loss import unpacked
    from sign_keras.data.compatibility import check_clip_spec, matched_sentences

    check_clip_spec(artefact.clip_spec, records)
    found = SentenceLogits([], [], [], [], [], _cut(records, split))
    known = artefact.label_map
    # The artefact's id of each of the records' glosses; the last is for -1, none.
    own_ids = np.array([*(known.id(gloss) if gloss in known else -1 for gloss in records.label_map), -1])
    with progress(records.num_clips(split), "evaluating") as bar:
        for inputs, labels, metadata in clip_batches(records, split, records.evaluation_batches(split, batch_size)):
            gloss_ids, num_frames, num_glosses, frame_glosses = (np.asarray(part) for part in unpacked(labels))
            outputs = artefact.outputs(inputs)
            logits = outputs.pop(OUTPUT)
            lengths = logit_frames(num_frames, artefact.frames_per_logit)
            references = matched_sentences(gloss_ids, num_glosses, records)
            found.references.extend(references)
            for name, values in (
                ("media_id", found.media_ids),
                ("path", found.paths),
                ("signer", found.signers),
            ):
                values += [text.decode("utf-8", "replace") for text in metadata[name]]
            for clip, length in enumerate(lengths.tolist()):
                real = np.asarray(logits[clip, :length], np.float32)
                if not np.isfinite(real).all():
                    name = found.media_ids[len(found)]
                    raise UserError(f"{name}: the model's logits are not finite; it cannot be evaluated")
                found.logits.append(real)
                if outputs:
                    one = {name: values[clip] for name, values in (outputs | inputs | metadata).items()}
                    one["frame_glosses"] = own_ids[frame_glosses[clip]]
                    count = int(num_frames[clip])
                    found.stages.append(
                        clip_stages(one, real, count, references[clip], artefact.label_map, records.sampling)
                    )
            bar.update(len(lengths))
    return found


def clip_stages(
    one: Mapping[str, Any],
    logits: np.ndarray,
    num_frames: int,
    reference: Sequence[str],
    label_map: LabelMap,
    sampling: SamplingSpec,
) -> ClipStages:
    """What a model's stages say of a clip, and what is known of its frames.

    Args:
        one: of this clip, what the artefact gives, its inputs, the metadata of evaluation, and ``frame_glosses``:
            the id of the gloss that each frame is said to show, -1 for none.
        logits: of its real frames.
        num_frames: real ones of the clip.
        reference: its glosses.
        label_map: of the artefact.
        sampling: likewise.
    """
    stages = {name: one[name][: len(logits)] for name in ("keyframe_indices", "frame_classes") if name in one}
    stages |= {name: one[name][:num_frames] for name in ("frame_scores", "gloss_similarity") if name in one}
    ids = [label_map.id(gloss) for gloss in reference] if all(gloss in label_map for gloss in reference) else None
    changes = None
    if "frames" in one:
        frames = one["frames"][:num_frames].astype(np.float32)
        changes = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    truth = read_frame_truth(Path(one["path"].decode("utf-8", "replace")))
    speeds, glosses = None, one["frame_glosses"][:num_frames]
    if not (glosses >= 0).any():
        glosses = None
    places = one["frame_indices"][:num_frames]
    if truth is not None and places.max(initial=-1) < len(truth):
        speeds = truth.speeds(places, sampling.frame_rate or 1.0)
        index = truth.gloss_index[places]
        if ids is not None and index.max(initial=-1) < len(ids):
            glosses = np.where(index >= 0, np.array([*ids, -1])[index], -1)
    return ClipStages(logits, stages, num_frames, ids, changes, speeds, glosses)


def _cut(records: "Records", split: str) -> frozenset[str]:
    longest = records.sampling.num_frames
    return frozenset(clip.path for clip in records.sentences(split) if clip.num_frames > longest)


def read_sentences(clips: SentenceLogits, decoder: Decoder, label_map: LabelMap) -> ReadSentences:
    """Reads the sentence of each clip."""
    decodings = []
    with progress(len(clips), "decoding") as bar:
        for logits in clips.logits:
            decodings += decoder.decode(logits[None], [len(logits)])
            bar.update()
    return ReadSentences.of(clips, decodings, label_map)


def choose_decoding(
    artefact: Recogniser, records: "Records", config: DecodingConfig, batch_size: int = BATCH_SIZE
) -> SentenceDecoding:
    """How an artefact's logits are to be read: as a configuration says, its numbers found on validation if it asks.

    Args:
        artefact: the model.
        records: that it learnt from.
        config: the ``evaluate.decoding`` section.
        batch_size: clips a step; changes speed alone.

    Raises:
        UserError: the language model is no ARPA file, or as ``sentence_logits``.
    """
    if config.method == "greedy":
        return SentenceDecoding()
    glosses = artefact.label_map.glosses
    how = SentenceDecoding(
        method="beam",
        width=config.width,
        weight=config.weight if config.language_model != "none" else 0.0,
        gloss_bonus=config.gloss_bonus,
        language_model=_language_model(config, records, glosses),
    )
    if not config.tune:
        return how
    validation = sentence_logits(artefact, records, "validation", batch_size)
    weights = WEIGHTS if how.language_model is not None else (0.0,)
    choices = [
        how.model_copy(update={"weight": weight, "gloss_bonus": bonus})
        for weight, bonus in itertools.product(weights, GLOSS_BONUSES)
    ]
    rates = [_rate(validation, choice, artefact.label_map) for choice in choices]
    best = min(range(len(choices)), key=lambda number: (rates[number] is None, rates[number] or 0.0))
    tuning = Tuning(
        sentences=len(validation),
        wer=rates[best],
        wer_greedy=_rate(validation, SentenceDecoding(), artefact.label_map),
    )
    return choices[best].model_copy(update={"tuning": tuning})


def describe_decoding(how: SentenceDecoding) -> str:
    """What was chosen, in a line."""
    if how.method == "greedy":
        return "decoding: the likeliest label of each frame"
    line = f"decoding: beam of {how.width}"
    if how.language_model is not None:
        line += f", language model at weight {how.weight:g}"
    if how.gloss_bonus:
        line += f", gloss bonus {how.gloss_bonus:g}"
    if how.tuning is not None and how.tuning.wer is not None and how.tuning.wer_greedy is not None:
        line += (
            f" (of {how.tuning.sentences} validation sentences: WER {how.tuning.wer:.3f}, likeliest labels "
            f"{how.tuning.wer_greedy:.3f})"
        )
    return line


def _rate(clips: SentenceLogits, how: SentenceDecoding, label_map: LabelMap) -> float | None:
    read = read_sentences(clips, Decoder(how, label_map.glosses), label_map)
    rate: float | None = word_error_rate(align_sentences(clips.references, read.hypotheses))["wer"]
    return rate


def _language_model(config: DecodingConfig, records: "Records", glosses: tuple[str, ...]) -> str | None:
    if config.language_model == "none":
        return None
    if config.language_model == "learn":
        known = records.label_map.glosses
        sentences = [[known[int(index)] for index in clip.glosses] for clip in records.sentences("train")]
        return to_arpa(learn_language_model(sentences, glosses, config.order))
    return to_arpa(read_arpa(Path(config.language_model)))
