"""What models say of clips, in glosses, beside what was signed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sign_keras.ctc.labels import logit_frames
from sign_keras.data.compatibility import matched_id, matched_ids, matched_sentences
from sign_keras.decoding import Decoder
from sign_keras.error_rate import align_sentences, word_error_rate
from sign_keras.inference.artefact import Artefact

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records

Glosses = tuple[str, ...]


class AnswerReader(Protocol):
    """Reads the answers to a batch of clips, and what was signed in them."""

    def references(self, labels: np.ndarray) -> list[Glosses]:
        """What was signed in each clip, by the labels that records give."""

    def texts(self, logits: np.ndarray, labels: np.ndarray) -> list[Glosses]:
        """What the model says was signed in each clip."""


class SignReader:
    """Of single signs: the likeliest.

    Args:
        artefact: the model.
        records: whose clips it answers.
        split: of those.

    Raises:
        UserError: the model does not know a gloss of the split.
    """

    def __init__(self, artefact: Artefact, records: "Records", split: str) -> None:
        self._own, self._records = artefact.label_map.glosses, records
        self._own_ids = matched_ids(artefact.label_map, records, split)

    def references(self, labels: np.ndarray) -> list[Glosses]:
        """What was signed; labels ``[B]``."""
        return [(self._own[matched_id(self._own_ids, int(label), self._records)],) for label in labels]

    def texts(self, logits: np.ndarray, labels: np.ndarray) -> list[Glosses]:
        """The likeliest sign of logits ``[B, V]``."""
        del labels
        return [(self._own[index],) for index in logits.argmax(axis=-1)]


class SentenceReader:
    """Of sentences: what the model's own decoding reads out of the real frames.

    Args:
        artefact: the model.
        records: whose clips it answers.
    """

    def __init__(self, artefact: Artefact, records: "Records") -> None:
        self._own, self._records = artefact.label_map.glosses, records
        self._decoder = Decoder(artefact.sentence_decoding, self._own)
        self._frames_per_logit = artefact.frames_per_logit

    def references(self, labels: np.ndarray) -> list[Glosses]:
        """What was signed; labels as ``ctc.labels`` packs them."""
        from sign_keras.ctc.loss import unpacked

        gloss_ids, _, num_glosses, _ = (np.asarray(part) for part in unpacked(labels))
        return matched_sentences(gloss_ids, num_glosses, self._records)

    def texts(self, logits: np.ndarray, labels: np.ndarray) -> list[Glosses]:
        """The sentences of logits ``[B, T', V + 1]``."""
        from sign_keras.ctc.loss import unpacked

        num_frames = logit_frames(np.asarray(unpacked(labels)[1]), self._frames_per_logit)
        decodings = self._decoder.decode(logits, num_frames)
        return [tuple(self._own[index] for index in decoding.gloss_ids) for decoding in decodings]


def reader_of(artefact: Artefact, records: "Records", split: str) -> AnswerReader:
    """How an artefact's answers to a split are read.

    Raises:
        UserError: see ``SignReader``.
    """
    if artefact.task == "continuous":
        return SentenceReader(artefact, records)
    return SignReader(artefact, records, split)


def accuracy(texts: Sequence[Glosses], references: Sequence[Glosses], task: str) -> float | None:
    """Top-1 accuracy; of sentences 1 - WER, which can be negative, or None where nothing was signed."""
    if task == "isolated":
        return float(np.mean([text == reference for text, reference in zip(texts, references, strict=True)]))
    rate = word_error_rate(align_sentences(references, texts))["wer"]
    return None if rate is None else 1 - float(rate)
