import numpy as np
import pytest

from sign_keras.calibration import (
    acceptance_metrics,
    accepted,
    calibration_metrics,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    sign_scores,
    softmax,
    threshold_from_mistakes,
    threshold_from_non_signs,
)


def truthful(num_clips=20_000, num_glosses=5, seed=0):
    """Logits whose softmax says exactly how often each label comes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (num_clips, num_glosses))
    labels = (softmax(logits).cumsum(axis=1) > rng.random((num_clips, 1))).argmax(axis=1)
    return logits, labels


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_that_logits_were_multiplied_by_is_found(true):
    logits, labels = truthful()
    assert fit_temperature(true * logits, labels) == pytest.approx(true, rel=0.03)


def test_the_temperature_is_the_best_of_a_fine_grid():
    logits, labels = truthful(400)
    found = fit_temperature(3 * logits, labels)
    grid = np.linspace(0.5, 8, 400)
    losses = [negative_log_likelihood(3 * logits, labels, temperature) for temperature in grid]
    assert found == pytest.approx(grid[np.argmin(losses)], rel=0.05)


def test_it_makes_an_overconfident_model_truthful_and_changes_no_answer():
    logits, labels = truthful()
    temperature = fit_temperature(4 * logits[:5000], labels[:5000])
    metrics = calibration_metrics(4 * logits[5000:], labels[5000:], temperature)
    assert metrics["expected_calibration_error_before"] > 0.15
    assert metrics["expected_calibration_error"] < 0.02
    assert metrics["negative_log_likelihood"] < metrics["negative_log_likelihood_before"]
    orders = [softmax(logits, value).argsort(axis=1) for value in (1.0, temperature, 7.0)]
    np.testing.assert_array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])


@pytest.mark.parametrize("num_clips", [1, 3, 30])
def test_being_right_about_a_few_clips_is_no_reason_to_be_certain(num_clips):
    logits = np.tile([2.0, 0.0, 0.0], (num_clips, 1))
    labels = np.zeros(num_clips, int)
    sure = softmax(logits, fit_temperature(logits, labels)).max()
    assert sure == pytest.approx((num_clips + 1) / (num_clips + 2), abs=1e-3)


def test_logits_that_say_nothing_keep_their_temperature():
    assert fit_temperature(np.zeros((4, 3)), np.array([0, 1, 2, 0])) == 1
    assert fit_temperature(np.ones((4, 1)), np.zeros(4, int)) == 1


def test_softmax_survives_large_logits():
    np.testing.assert_allclose(softmax(np.float32([[4000, 0]]), 0.05), [[1, 0]])


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    labels = np.array([0, 1, 1, 1])
    # Ten bins: 0.9 twice, half of it right; 0.6 right; 0.7 right.
    assert expected_calibration_error(probabilities, labels, 10) == pytest.approx(0.5 * 0.4 + 0.25 * (0.4 + 0.3))
    parts = reliability(probabilities, labels, 10)
    assert [part["clips"] for part in parts] == [1, 1, 2]
    assert [part["right"] for part in parts] == [1, 1, 0.5]
    assert parts[2]["confidence"] == pytest.approx(0.9)


def test_certain_answers_are_in_the_last_bin():
    assert reliability(np.array([[1.0, 0.0]]), np.array([0]))[0]["clips"] == 1


def test_a_sign_is_answered_only_where_no_sign_is_not():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.2, 0.5]])
    assert sign_scores(probabilities, None).tolist() == [0.7, 0.5]
    assert sign_scores(probabilities, 2).tolist() == [0.7, 0.0]
    assert accepted(sign_scores(probabilities, 2), None).tolist() == [True, False]
    assert accepted(sign_scores(probabilities, 2), 0.7).tolist() == [True, False]
    assert accepted(sign_scores(probabilities, None), 0.6).tolist() == [True, False]


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.2, 0.99])
@pytest.mark.parametrize("ties", [False, True])
def test_the_threshold_is_the_lowest_that_keeps_false_alarms_rare(rate, ties):
    rng = np.random.default_rng(1)
    scores = np.where(rng.random(300) < 0.3, 0.0, rng.uniform(0.2, 0.99, 300))
    scores = np.floor(10 * scores) / 10 if ties else scores
    threshold = threshold_from_non_signs(scores, rate)
    assert accepted(scores, threshold).mean() <= rate
    below = scores[(scores > 0) & (scores < threshold)]
    if len(below):  # a threshold at the next lower score lets too many in
        assert accepted(scores, below.max()).mean() > rate
    else:
        assert threshold == 0


def test_no_threshold_is_needed_where_no_sign_is_always_seen():
    assert threshold_from_non_signs(np.zeros(10), 0.05) == 0


def test_few_non_signs_allow_no_false_alarm():
    assert threshold_from_non_signs(np.array([0.3, 0.8]), 0.05) == pytest.approx(0.8, abs=1e-5)
    assert threshold_from_non_signs(np.array([0.3, 0.8]), 0.05) > 0.8
    assert threshold_from_non_signs(np.array([0.3, 1.0]), 0.05) == 1  # as high as a probability goes


def test_threshold_from_mistakes_by_hand():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, True, False, True, True])
    assert accepted(scores, threshold_from_mistakes(scores, right, 0.1)).tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert threshold_from_mistakes(scores, right, 0.2) == 0  # one in five may be wrong
    assert accepted(scores, threshold_from_mistakes(scores, right, 0.25)).all()
    assert threshold_from_mistakes(scores, ~right, 0.1) is None  # the surest answers are wrong


def test_equal_scores_are_accepted_together():
    scores, right = np.array([0.9, 0.7, 0.7]), np.array([True, True, False])
    assert accepted(scores, threshold_from_mistakes(scores, right, 0.1)).tolist() == [True, False, False]


def test_answers_of_no_sign_are_no_mistakes():
    """A clip of a sign that is taken for none is not accepted at any threshold."""
    scores, right = np.array([0.9, 0.8, 0.0, 0.0]), np.array([True, True, False, False])
    assert threshold_from_mistakes(scores, right, 0.05) == 0
    assert accepted(scores, 0.0).tolist() == [True, True, False, False]


def test_acceptance_metrics_by_hand():
    signs, right = np.array([0.9, 0.6, 0.8, 0.0]), np.array([True, True, False, False])
    found = acceptance_metrics(signs, right, 0.7, {"made_up": np.array([0.75, 0.1]), "recorded": np.array([])})
    assert found == {
        "threshold": 0.7,
        "signs_accepted": 0.5,
        "top1_of_accepted": 0.5,
        "false_alarms": {"made_up": {"clips": 2, "rate": 0.5}},
    }
    assert acceptance_metrics(signs, right, 0.99, {})["top1_of_accepted"] is None
