"""Answers are compared as glosses, and agreement where something is signed."""

from types import SimpleNamespace

import numpy as np
import pytest

from sign_keras.decoding import SentenceDecoding
from sign_keras.export.answers import accuracy, reader_of
from sign_keras.export.parity import top1_agreement
from tests.sign_keras.sentence_labels import packed
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap


def artefact(task: str, frames_per_logit: int = 1, glosses: tuple[str, ...] = ("hello", "wash", "work")):
    return SimpleNamespace(
        task=task,
        label_map=LabelMap(glosses),
        sentence_decoding=SentenceDecoding(),
        frames_per_logit=frames_per_logit,
    )


def records():
    """They name the same glosses in another order."""
    info = SimpleNamespace(splits={"test": SimpleNamespace(glosses={"work": 1, "hello": 1})})
    return SimpleNamespace(label_map=LabelMap(["work", "hello", "wash"]), directory="records", info=info)


def test_single_signs_are_compared_by_gloss_not_by_id():
    reader = reader_of(artefact("isolated"), records(), "test")
    labels = np.array([0, 1])
    logits = np.array([[0.0, 0.0, 5.0], [0.0, 5.0, 0.0]])
    assert reader.references(labels) == [("work",), ("hello",)]
    assert reader.texts(logits, labels) == [("work",), ("wash",)]
    assert accuracy(reader.texts(logits, labels), reader.references(labels), "isolated") == 0.5


def test_a_sign_that_the_model_does_not_know_stops():
    with pytest.raises(UserError, match="'work', which is not among the model's 2"):
        reader_of(artefact("isolated", glosses=("hello", "wash")), records(), "test")


def test_sentences_are_read_out_of_their_real_frames_alone():
    reader = reader_of(artefact("continuous", frames_per_logit=2), records(), "test")
    labels = packed([[0, 1], [2]], [6, 3])
    # Of six frames three logits are real, of three two; likeliest are blank (0), "hello", "wash", "work".
    likeliest = [[3, 0, 1, 2], [2, 2, 1, 1]]
    logits = np.eye(4, dtype=np.float32)[likeliest] * 9
    assert reader.references(labels) == [("work", "hello"), ("wash",)]
    assert reader.texts(logits, labels) == [("work", "hello"), ("wash",)]


def test_the_accuracy_of_sentences_is_what_errors_leave_of_one():
    references = [("hello", "wash"), ("work",)]
    assert accuracy([("hello",), ("work", "work")], references, "continuous") == pytest.approx(1 / 3)
    assert accuracy([("hello",)], [()], "continuous") is None


def test_sentences_agree_where_either_model_names_a_gloss():
    of_run = np.array([[0, 1, 0, 0, 0], [2, 0, 0, 0, 0]])
    of_export = np.array([[0, 1, 0, 0, 0], [2, 2, 0, 0, 0]])
    assert top1_agreement(of_run, of_export, "continuous") == pytest.approx(2 / 3)
    # A model that is blank everywhere agrees with nothing, though in most frames.
    assert top1_agreement(of_run, np.zeros_like(of_run), "continuous") == 0
    assert top1_agreement(np.zeros_like(of_run), np.zeros_like(of_run), "continuous") == 1
    assert top1_agreement(np.array([0, 1, 2, 0]), np.array([0, 1, 2, 2]), "isolated") == 0.75
