import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from sign_keras.metrics import (
    Predictions,
    confusion_matrix,
    isolated_metrics,
    label_ranks,
    worst_confusions,
)
from tfrecords_tools.label_map import LabelMap

GLOSSES = LabelMap(["a", "b", "c", "d", "e", "f", "g"])


def sample(num_clips: int = 60, num_signers: int = 6) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Logits that are right about half of the time; the last gloss never occurs."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(GLOSSES) - 1, num_clips)
    logits = rng.normal(0, 1, (num_clips, len(GLOSSES))).astype(np.float32)
    logits[np.arange(num_clips), labels] += 1.5
    return logits, labels, [f"s{number % num_signers}" for number in range(num_clips)]


def measure(logits, labels, signers, **options):
    options = {"split": "test", "bootstrap_samples": 500} | options
    return isolated_metrics(logits, labels, signers, GLOSSES, **options)


def test_metrics_agree_with_scikit_learn():
    logits, labels, signers = sample()
    found = measure(logits, labels, signers)
    predicted = logits.argmax(axis=1)
    held = list(range(len(GLOSSES) - 1))
    assert found["top1"] == sklearn_metrics.accuracy_score(labels, predicted)
    assert found["top5"] == pytest.approx(
        sklearn_metrics.top_k_accuracy_score(labels, logits, k=5, labels=range(len(GLOSSES)))
    )
    for name, score in (("macro_f1", sklearn_metrics.f1_score), ("macro_recall", sklearn_metrics.recall_score)):
        expected = score(labels, predicted, labels=held, average="macro", zero_division=0)
        assert found[name] == pytest.approx(expected)
    assert found["chance"] == pytest.approx(1 / 7)


def test_metrics_by_hand():
    logits = np.eye(7, dtype=np.float32)[[0, 1, 1, 2]]
    found = measure(logits, np.array([0, 0, 1, 2]), ["x", "y", "y", "x"])
    assert (found["split"], found["clips"], found["signers"], found["top1"]) == ("test", 4, 2, 0.75)
    assert found["per_gloss"]["a"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2}
    assert found["per_gloss"]["b"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1}
    assert found["per_gloss"]["g"]["support"] == 0
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found["per_signer"] == {"x": {"top1": 1.0, "support": 2}, "y": {"top1": 0.5, "support": 2}}
    json.dumps(found)


def test_top5_of_few_glosses_is_one():
    label_map = LabelMap(["a", "b", "c"])
    found = isolated_metrics(
        np.eye(3, dtype=np.float32), np.array([1, 2, 0]), [""] * 3, label_map, split="test", bootstrap_samples=100
    )
    assert (found["top1"], found["top5"]) == (0, 1)


def test_equal_logits_are_right_by_chance_only():
    logits, labels = np.zeros((7, 7), np.float32), np.arange(7)
    assert label_ranks(logits, labels).tolist() == list(range(7))
    assert measure(logits, labels, [""] * 7)["top1"] == pytest.approx(1 / 7)


def test_interval_holds_the_estimate_and_is_reproducible():
    logits, labels, signers = sample()
    found = measure(logits, labels, signers)
    low, high = found["top1_interval"]
    assert 0 <= low < found["top1"] < high <= 1
    assert found["interval_over"] == "signers"
    assert measure(logits, labels, signers)["top1_interval"] == [low, high]


def test_unknown_signers_are_not_counted():
    found = measure(*sample()[:2], ["anna"] * 30 + [""] * 30)
    assert (found["signers"], found["interval_over"], list(found["per_signer"])) == (1, "clips", ["anna"])


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 6)), [0, 1], "do not agree"),
        (np.zeros((0, 7)), [], "no clips"),
        (np.zeros((2, 7)), [0, 7], "labels from 0 to 7"),
        (np.full((2, 7), np.nan), [0, 1], "not finite"),
    ],
)
def test_bad_input_is_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        measure(logits.astype(np.float32), np.array(labels, int), [""] * len(labels))


def test_confusion_matrix_agrees_with_scikit_learn():
    logits, labels, _ = sample()
    expected = sklearn_metrics.confusion_matrix(labels, logits.argmax(axis=1), labels=range(7))
    np.testing.assert_array_equal(confusion_matrix(logits, labels, 7), expected)


def test_worst_confusions_keep_both_directions():
    matrix = np.array([[9, 2, 0], [2, 3, 0], [0, 5, 0]])
    assert worst_confusions(matrix) == [(2, 1, 5), (1, 0, 2), (0, 1, 2)]
    assert worst_confusions(matrix, 1) == [(2, 1, 5)]
    assert worst_confusions(np.diag([1, 2])) == []


def test_probabilities_of_large_logits_are_finite():
    predictions = Predictions(np.array([[1e4, 0.0]], np.float32), np.array([0]), ["m"], ["p"], [""])
    np.testing.assert_allclose(predictions.probabilities, [[1, 0]])
