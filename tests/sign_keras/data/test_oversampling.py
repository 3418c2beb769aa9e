from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.data.oversampling import balanced_counts, redeal


@pytest.mark.parametrize(
    ("natural", "oversample", "expected"),
    [
        ([90, 9, 1], 0.0, [90, 9, 1]),
        # Square roots 9.49, 3, 1 of a sum of 13.49: 70.34, 22.24, 7.41 of 100.
        ([90, 9, 1], 0.5, [70, 22, 8]),
        ([90, 9, 1], 1.0, [34, 33, 33]),
        ([4, 0, 2], 1.0, [3, 0, 3]),
        ([5, 5, 5], 0.7, [5, 5, 5]),
    ],
)
def test_counts_by_hand(natural, oversample, expected):
    assert balanced_counts(natural, oversample).tolist() == expected


@pytest.mark.parametrize("oversample", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_counts_keep_their_sum_and_their_order(oversample):
    natural = np.random.default_rng(0).integers(1, 200, 50)
    counts = balanced_counts(natural, oversample)
    assert counts.sum() == natural.sum()
    assert counts.min() >= natural.min()
    assert (np.diff(counts[np.argsort(natural, kind="stable")]) >= -1).all()  # remainders apart


def deal(labels, wanted, seed):
    clips = tf.data.Dataset.from_tensor_slices(np.array(labels, np.int64)).enumerate()
    natural = np.bincount(labels, minlength=len(wanted))
    stream = redeal(clips, lambda clip: clip[1], natural, wanted, tf.constant(seed, tf.int64))
    return [(int(number), int(label)) for number, label in stream.as_numpy_iterator()]


def test_every_epoch_holds_exactly_the_wanted_counts():
    labels = np.random.default_rng(1).permutation([0] * 20 + [1] * 7 + [3] * 3)
    wanted = [8, 11, 0, 11]
    epochs = [deal(labels, wanted, [5, epoch]) for epoch in range(6)]
    for epoch in epochs:
        assert Counter(label for _, label in epoch) == {0: 8, 1: 11, 3: 11}
        times = Counter(number for number, _ in epoch)
        for label, count in ((0, 8 / 20), (1, 11 / 7), (3, 11 / 3)):
            of_gloss = {times[number] for number in np.flatnonzero(labels == label)}
            assert of_gloss <= {int(np.floor(count)), int(np.ceil(count))}
    # Each clip of a frequent gloss has its turn, in one epoch or another.
    assert len({number for epoch in epochs for number, label in epoch if label == 0}) > 15
    assert epochs[0] != epochs[1]
    assert epochs[0] == deal(labels, wanted, [5, 0])


def test_natural_counts_leave_the_stream_as_it_is():
    labels = [0, 1, 1, 0, 2]
    assert deal(labels, [2, 2, 1], [1, 1]) == list(enumerate(labels))
