import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from sign_keras.bootstrap import (
    bootstrap_interval,
    macro_recall,
    macro_recall_interval,
    paired_bootstrap,
    paired_ratio_bootstrap,
)


def study(num_signers: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Labels, two recognisers' answers (the second worse) and signers, who sign 3 to 7 of 7 glosses 4 times."""
    rng = np.random.default_rng(seed)
    labels, signers = [], []
    for number in range(num_signers):
        for gloss in rng.permutation(7)[: rng.integers(3, 8)]:
            labels += [gloss] * 4
            signers += [f"s{number}"] * 4
    first, second = (rng.random(len(labels)) < share for share in (0.8, 0.6))
    return np.array(labels), first, second, signers


def test_interval_is_wider_where_clips_of_a_signer_fail_together():
    correct = np.repeat([True, True, True, False], 25)
    by_signer, over = bootstrap_interval(correct, np.repeat(["a", "b", "c", "d"], 25).tolist(), 2000)
    by_clip, over_clips = bootstrap_interval(correct, [""] * 100, 2000)
    assert (over, over_clips) == ("signers", "clips")
    assert by_signer == (0.0, 1.0)  # four signers leave much open
    assert by_clip == pytest.approx((0.66, 0.83), abs=0.03)


def test_interval_agrees_with_a_plain_bootstrap():
    rng = np.random.default_rng(1)
    signers = [f"s{number}" for number in rng.integers(0, 12, 150)]
    correct = rng.random(150) < 0.7
    names = np.array(signers)
    groups = [correct[names == name] for name in sorted(set(signers))]
    shares = [
        np.concatenate([groups[number] for number in rng.integers(0, len(groups), len(groups))]).mean()
        for _ in range(4000)
    ]
    found, _ = bootstrap_interval(correct, signers, 4000)
    low, high = np.percentile(shares, [2.5, 97.5])
    # Wider by the ratio of Student's t with 11 degrees of freedom to the normal distribution, sqrt(12 / 11) more.
    wider = 2.201 / 1.960 * np.sqrt(12 / 11)
    middle = np.mean(correct)
    assert found == pytest.approx((middle - (middle - low) * wider, middle + (high - middle) * wider), abs=0.02)


def test_interval_over_few_signers_holds_the_truth_nearly_as_often_as_it_says():
    """Six signers who differ, as in a test split: 93 of 100 intervals hold the truth, of plain percentiles 85."""
    rng = np.random.default_rng(0)
    signers = np.repeat(list("abcdef"), 12).tolist()
    hits = 0
    for _ in range(400):
        skill = np.clip(rng.normal(0.7, 0.1, 6), 0, 1)
        correct = rng.random(72) < np.repeat(skill, 12)
        (low, high), _ = bootstrap_interval(correct, signers, 1000)
        hits += low <= 0.7 <= high
    assert 0.9 <= hits / 400 <= 0.98


def test_one_signer_is_resampled_by_clip():
    interval, over = bootstrap_interval(np.array([True, False] * 10), ["anna"] * 20, 500)
    assert over == "clips"
    assert interval[0] < 0.5 < interval[1]


def test_unknown_signers_count_as_one_each():
    _, over = bootstrap_interval(np.array([True, False, True, False]), ["anna", "ben", "", ""], 100)
    assert over == "signers"


def test_macro_recall_agrees_with_scikit_learn():
    labels, first, _, _ = study()
    predicted = np.where(first, labels, (labels + 1) % 7)
    # Of the glosses that occur as labels, as here; the predicted ones do not matter.
    expected = sklearn_metrics.recall_score(labels, predicted, labels=np.unique(labels), average="macro")
    assert macro_recall(labels, first) == pytest.approx(expected)


def test_macro_recall_of_shares_is_the_mean_over_trainings():
    labels, first, second, _ = study()
    mean = (macro_recall(labels, first) + macro_recall(labels, second)) / 2
    assert macro_recall(labels, (first.astype(float) + second) / 2) == pytest.approx(mean)


def plain_bootstrap(labels, answers, signers, samples=3000):
    """Macro recall of each of the answers ``[A, N]`` in the same resamples ``[samples, A]``, by loops."""
    rng = np.random.default_rng(5)
    owners = np.array(signers)
    clips_of = [np.flatnonzero(owners == name) for name in dict.fromkeys(signers)]
    scores = []
    for _ in range(samples):
        drawn = np.concatenate([clips_of[number] for number in rng.integers(0, len(clips_of), len(clips_of))])
        scores.append(
            [
                np.mean([answer[drawn][labels[drawn] == gloss].mean() for gloss in set(labels[drawn])])
                for answer in answers
            ]
        )
    return np.array(scores)


# Student's t with 9 degrees of freedom to the normal distribution, times sqrt(10 / 9): ten signers are few.
WIDER_FOR_TEN = 2.262 / 1.960 * np.sqrt(10 / 9)


def test_macro_recall_interval_agrees_with_a_plain_bootstrap():
    labels, first, _, signers = study()
    drawn = plain_bootstrap(labels, [first], signers)[:, 0]
    low, high = np.percentile(drawn, [2.5, 97.5])
    found, over = macro_recall_interval(labels, first, signers, 3000)
    middle = drawn.mean()
    assert over == "signers"
    assert found == pytest.approx(
        (middle - (middle - low) * WIDER_FOR_TEN, middle + (high - middle) * WIDER_FOR_TEN), abs=0.02
    )
    assert macro_recall_interval(labels, first, signers, 3000) == (found, over)


def test_paired_bootstrap_agrees_with_a_plain_one():
    labels, first, second, signers = study(seed=3)
    found = paired_bootstrap(labels, first, second, signers, 3000)["macro_recall"]
    scores = plain_bootstrap(labels, [first, second], signers)
    drawn = scores[:, 0] - scores[:, 1]
    low, high = np.percentile(drawn, [2.5, 97.5])
    middle = drawn.mean()
    assert found.difference == pytest.approx(macro_recall(labels, first) - macro_recall(labels, second))
    assert found.interval == pytest.approx(
        (middle - (middle - low) * WIDER_FOR_TEN, middle + (high - middle) * WIDER_FOR_TEN), abs=0.02
    )
    assert found.share_above == pytest.approx((drawn > 0).mean(), abs=0.02)


def test_the_same_answers_differ_by_nothing():
    labels, first, _, signers = study()
    for found in paired_bootstrap(labels, first, first.copy(), signers, 500).values():
        assert (found.difference, found.interval, found.share_above) == (0, (0, 0), 0)


def test_who_is_better_on_every_signer_is_better_in_every_resample():
    """Signers differ far more than the recognisers do: these' own intervals overlap, the paired one is narrow."""
    signers = np.repeat([f"s{number}" for number in range(8)], 20).tolist()
    labels = np.tile(np.arange(4), 40)
    hard = np.arange(160) % 20 // 4  # fifths of each signer's clips, each with all glosses
    skill = np.repeat([0, 1, 1, 2, 2, 3, 3, 4], 20)
    first, second = hard <= skill, hard < skill
    for name, found in paired_bootstrap(labels, first, second, signers, 1000).items():
        assert found.difference == pytest.approx(0.2), name
        assert found.interval == pytest.approx((0.2, 0.2)), name
        assert found.share_above == 1, name
    one, other = (bootstrap_interval(answers, signers, 1000)[0] for answers in (first, second))
    assert other[1] > one[0] + 0.2


def test_exchanging_the_two_turns_the_difference_around():
    labels, first, second, signers = study()
    one = paired_bootstrap(labels, first, second, signers, 1000)
    other = paired_bootstrap(labels, second, first, signers, 1000)
    for name in one:
        assert one[name].difference == -other[name].difference
        mirrored = tuple(-bound for bound in reversed(other[name].interval))
        assert one[name].interval == pytest.approx(mirrored, abs=0.01)  # other resamples
        assert one[name].share_above + other[name].share_above == pytest.approx(1, abs=0.01)


def test_top1_difference_by_hand():
    found = paired_bootstrap(
        np.array([0, 0, 0, 1]), np.array([1, 1, 1, 0]), np.array([1, 0, 0, 1]), ["a", "a", "b", "b"], 200
    )
    assert found["top1"].difference == pytest.approx(0.25)
    assert found["macro_recall"].difference == pytest.approx(1 / 2 - (1 / 3 + 1) / 2)
    assert found["top1"].interval_over == "signers"


def test_paired_interval_holds_the_truth_nearly_as_often_as_it_says():
    """Twelve signers on whom the first is better by 0.1 on average, by more on some and worse on others."""
    rng = np.random.default_rng(0)
    signers = np.repeat([f"s{number}" for number in range(12)], 24).tolist()
    labels = np.tile(np.arange(4), 72)
    hits = 0
    for _ in range(300):
        skill = np.clip(rng.normal(0.6, 0.15, 12), 0.2, 0.8)  # symmetric: its mean stays 0.6 or nearly
        gain = rng.uniform(-0.1, 0.1, 12) + 0.1
        second = rng.random(288) < np.repeat(skill, 24)
        first = rng.random(288) < np.repeat(skill + gain, 24)
        found = paired_bootstrap(labels, first, second, signers, 500)
        hits += found["macro_recall"].interval[0] <= 0.1 <= found["macro_recall"].interval[1]
    assert 0.91 <= hits / 300 <= 0.985


def test_clips_are_drawn_where_nobody_is_known():
    labels, first, second, _ = study()
    found = paired_bootstrap(labels, first, second, [""] * len(labels), 200)
    assert found["top1"].interval_over == "clips"
    assert found["top1"].interval[0] < found["top1"].difference < found["top1"].interval[1]


@pytest.mark.parametrize("sizes", [(3, 3, 3, 2), (3, 2, 3, 3), (0, 0, 0, 0)])
def test_paired_bootstrap_refuses_what_is_not_paired(sizes):
    labels, first, second, signers = sizes
    with pytest.raises(ValueError, match="as many of each"):
        paired_bootstrap(np.zeros(labels, int), np.zeros(first), np.zeros(second), [""] * signers, 100)


def test_ratios_are_compared_on_the_same_people():
    """Signers differ far more than the recognisers do, and in how much they sign."""
    signers = np.repeat([f"s{number}" for number in range(8)], 5).tolist()
    words = np.repeat(np.arange(1, 9), 5)
    first = words * np.repeat(np.linspace(0, 0.7, 8), 5)
    found = paired_ratio_bootstrap(first + words * 0.2, first, words, signers, 500)
    assert found.difference == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.2, 0.2))
    assert (found.share_above, found.interval_over) == (1, "signers")


def test_paired_ratio_of_equal_denominators_is_that_of_top1():
    labels, first, second, signers = study()
    expected = paired_bootstrap(labels, first, second, signers, 500)["top1"]
    found = paired_ratio_bootstrap(first, second, np.ones(len(first)), signers, 500)
    assert found.difference == pytest.approx(expected.difference)
    assert found.interval == pytest.approx(expected.interval, abs=0.02)  # other resamples


def test_a_ratio_to_nothing_is_refused():
    with pytest.raises(ValueError, match="a sum above 0"):
        paired_ratio_bootstrap(np.zeros(2), np.ones(2), np.zeros(2), ["a", "b"], 100)
