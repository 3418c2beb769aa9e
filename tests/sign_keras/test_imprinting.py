"""Clips as points around the centres of their signs, and a head that was trained on some of these signs."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sign_keras.embeddings import Embeddings
from sign_keras.imprinting import Head, imprint

NUM_KNOWN, NUM_FEATURES = 12, 24


class Signs:
    """Twelve signs that a head knows, and one that it does not; clips differ more in some features than others."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        spread = self.rng.normal(size=(NUM_FEATURES, NUM_FEATURES)) / np.sqrt(NUM_FEATURES)
        self.spread = spread * np.linspace(1.5, 0.2, NUM_FEATURES)
        self.centres = 3 + 0.7 * self.rng.normal(size=(NUM_KNOWN + 1, NUM_FEATURES))
        values, labels = self.known(40)
        trained = LogisticRegression(C=0.3, max_iter=2000).fit(values, labels)
        self.head = Head(trained.coef_.T, trained.intercept_)

    def clips(self, sign, count):
        return self.centres[sign] + self.rng.normal(size=(count, NUM_FEATURES)) @ self.spread

    def known(self, count):
        values = np.concatenate([self.clips(sign, count) for sign in range(NUM_KNOWN)])
        return values, np.repeat(np.arange(NUM_KNOWN), count)


@pytest.fixture(scope="module")
def signs():
    return Signs()


def scores(signs, num_clips, share_taken=0.02, draws=10):
    """Recall of the new sign, and accuracy on the known ones without and with it; means over draws."""
    found = []
    values, labels = signs.known(60)
    for _ in range(draws):
        known = Embeddings(*signs.known(8))
        head = imprint(signs.head, signs.clips(NUM_KNOWN, num_clips), known, share_taken)
        found.append(
            (
                np.mean(head.logits(signs.clips(NUM_KNOWN, 200)).argmax(axis=1) == NUM_KNOWN),
                np.mean(signs.head.logits(values).argmax(axis=1) == labels),
                np.mean(head.logits(values).argmax(axis=1) == labels),
            )
        )
    return np.mean(found, axis=0)


def test_more_clips_recognise_the_new_sign_better(signs):
    recalls = {}
    for num_clips in (1, 5, 10):
        recalls[num_clips], before, after = scores(signs, num_clips)
        assert after > before - 0.04
    assert recalls[1] > 0.5
    assert recalls[5] > max(0.9, recalls[1])
    assert recalls[10] >= recalls[5] - 0.01


def test_answers_about_the_other_signs_stay_as_they_are(signs):
    head = imprint(signs.head, signs.clips(NUM_KNOWN, 3), Embeddings(*signs.known(5)), 0.1)
    values, _ = signs.known(5)
    np.testing.assert_array_equal(head.kernel[:, :-1], signs.head.kernel)
    # Some processors add up a product of matrices in another order when there is one column more.
    np.testing.assert_allclose(head.logits(values)[:, :-1], signs.head.logits(values), rtol=1e-10, atol=1e-10)
    assert head.kernel.shape == (NUM_FEATURES, NUM_KNOWN + 1)
    lengths = np.linalg.norm(head.kernel, axis=0)
    assert lengths[-1] == pytest.approx(lengths[:-1].mean())


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5])
def test_the_new_sign_takes_as_much_as_it_may_and_no_more(signs, share):
    known = Embeddings(*signs.known(10))
    head = imprint(signs.head, signs.clips(NUM_KNOWN, 2), known, share)
    taken = (head.logits(known.values).astype(np.float32).argmax(axis=1) == NUM_KNOWN).sum()
    assert taken == int(share * len(known))


def test_a_direction_in_which_clips_of_one_sign_differ_counts_less():
    """Two features; the new sign differs in both alike, but clips of any sign differ in the first."""
    rng = np.random.default_rng(0)
    values = np.concatenate([sign + rng.normal(size=(200, 2)) * [3, 0.3] for sign in ([0, -1], [0, 1])])
    head = Head(np.array([[0.0, 0.0], [-1.0, 1.0]]), np.zeros(2))
    column = imprint(head, np.array([[2.0, 2.0]]), Embeddings(values, np.repeat([0, 1], 200)), 0.1).kernel[:, -1]
    assert column[1] > 10 * column[0] > 0


def test_a_clip_a_sign_leaves_the_difference_of_means():
    known = Embeddings(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]), np.array([0, 1]))
    head = Head(np.array([[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]]), np.zeros(2))
    found = imprint(head, np.array([[0.0, 2.0, 0.0], [0.0, 4.0, 0.0]]), known, 0.0)
    np.testing.assert_allclose(found.kernel[:, -1], [0, 1, 0], atol=1e-12)
    # Just below what would take one of the known clips, whose own logit is 1 where the new one's is 0.
    assert found.bias[-1] == pytest.approx(1, abs=1e-4)
    assert found.bias[-1] < 1


def test_features_that_are_always_the_same_do_no_harm(signs):
    values, labels = signs.known(6)
    dead = Embeddings(np.pad(values, ((0, 0), (0, 8))), labels)
    head = Head(np.pad(signs.head.kernel, ((0, 8), (0, 0))), signs.head.bias)
    clips = signs.clips(NUM_KNOWN, 3)
    found = imprint(head, np.pad(clips, ((0, 0), (0, 8))), dead, 0.1)
    assert np.isfinite(found.kernel).all()
    assert (found.logits(np.pad(clips, ((0, 0), (0, 8)))).argmax(axis=1) == NUM_KNOWN).all()


def test_clips_that_are_no_different_are_refused():
    known = Embeddings(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="no different from the mean"):
        imprint(Head(np.eye(2), np.zeros(2)), np.zeros((3, 2)), known, 0.1)
