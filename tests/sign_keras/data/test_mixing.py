import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from sign_keras.config import MixConfig
from sign_keras.data.mixing import MixDraw, draw_mix, mix

SEED = tf.constant([3, 5], tf.int64)


def batch(values, mask=None, shape=(4, 8, 8)):
    """Plain clips, one grey value each, of the glosses 0, 1, 2 in turn."""
    frames = np.stack([np.full((*shape, 3), value, np.uint8) for value in values])
    inputs = {"frames": tf.constant(frames)}
    if mask is not None:
        inputs["frame_mask"] = tf.constant(mask)
    return inputs, tf.range(len(values), dtype=tf.int32) % 3


def by_hand(partner, share, blended, centre=(0.5, 0.5, 0.5)):
    size = len(partner)
    return MixDraw(
        tf.constant(partner, tf.int32),
        tf.constant(share, tf.float32),
        tf.constant(blended, tf.bool),
        tf.tile(tf.constant([centre], tf.float32), [size, 1]),
    )


def test_mixup_by_hand():
    inputs, labels = batch([10, 110, 201])
    mixed, shares = mix(inputs, labels, 4, by_hand([1, 2, 0], [0.7, 0.25, 1.0], [True] * 3), tube=False)
    assert mixed["frames"].dtype == tf.uint8
    # 0.7 * 10 + 0.3 * 110 = 40; 0.25 * 110 + 0.75 * 201 = 178.25; the third keeps all of itself.
    np.testing.assert_array_equal(mixed["frames"][:, 0, 0, 0, 0], [40, 178, 201])
    assert [len(np.unique(clip)) for clip in mixed["frames"].numpy()] == [1, 1, 1]
    assert shares.dtype == tf.float32
    np.testing.assert_allclose(shares, [[0.7, 0.3, 0, 0], [0, 0.25, 0.75, 0], [0, 0, 1, 0]], atol=1e-7)


def test_cutmix_pastes_one_box_into_all_frames_by_hand():
    inputs, labels = batch([10, 200])
    # A quarter of the area: 4 of 8 pixels a side, around row 4 and column 6.
    drawn = by_hand([1, 0], [0.75, 0.75], [False] * 2, centre=(0.1, 0.5, 0.75))
    mixed, shares = mix(inputs, labels, 3, drawn, tube=False)
    expected = np.full((4, 8, 8), 10)
    expected[:, 2:6, 4:8] = 200
    np.testing.assert_array_equal(mixed["frames"][0, ..., 0], expected)
    np.testing.assert_array_equal(mixed["frames"][1, ..., 1], 210 - expected)
    np.testing.assert_allclose(shares, [[0.75, 0.25, 0], [0.25, 0.75, 0]])


def test_labels_follow_the_box_that_is_left_at_an_edge():
    inputs, labels = batch([10, 200])
    drawn = by_hand([1, 0], [0.75, 0.75], [False] * 2, centre=(0.5, 0.0, 0.0))
    mixed, shares = mix(inputs, labels, 3, drawn, tube=False)
    # Of the box's 4 x 4 pixels, 2 x 2 lie within: a sixteenth.
    np.testing.assert_allclose(shares[0], [15 / 16, 1 / 16, 0])
    assert (mixed["frames"].numpy()[0] == 200).mean() == 1 / 16


def test_a_tube_begins_and_ends_by_hand():
    inputs, labels = batch([10, 200], shape=(8, 8, 8))
    # An eighth of the volume: 4 of 8 frames, rows and columns.
    drawn = by_hand([1, 0], [7 / 8, 1.0], [False] * 2, centre=(0.25, 0.5, 0.5))
    mixed, shares = mix(inputs, labels, 3, drawn, tube=True)
    expected = np.full((8, 8, 8), 10)
    expected[0:4, 2:6, 2:6] = 200
    np.testing.assert_array_equal(mixed["frames"][0, ..., 2], expected)
    np.testing.assert_allclose(shares, [[7 / 8, 1 / 8, 0], [0, 1, 0]])


def test_a_frame_is_real_where_it_is_in_either_clip():
    mask = [[True, True, False, False], [True, True, True, False]]
    inputs, labels = batch([10, 200], mask)
    mixed, _ = mix(inputs, labels, 3, by_hand([1, 0], [0.5, 1.0], [True] * 2), tube=False)
    np.testing.assert_array_equal(mixed["frame_mask"], [[True, True, True, False], mask[1]])


def test_a_clip_that_meets_itself_stays_as_it_is():
    inputs, labels = batch([10, 200])
    mixed, shares = mix(inputs, labels, 3, by_hand([0, 1], [0.4, 0.4], [True, False]), tube=False)
    np.testing.assert_array_equal(mixed["frames"], inputs["frames"])
    np.testing.assert_array_equal(shares, np.eye(3)[:2])


@pytest.mark.parametrize(("mixup", "cutmix", "blended"), [(0.2, 0, 1.0), (0, 1.0, 0.0), (0.2, 1.0, 0.5)])
def test_shares_follow_their_beta_distribution(mixup, cutmix, blended):
    drawn = draw_mix(MixConfig(mixup=mixup, cutmix=cutmix), tf.constant(4000), SEED)
    assert abs(drawn.blended.numpy().mean() - blended) < 0.03
    for alpha, chosen in ((mixup, drawn.blended), (cutmix, ~drawn.blended)):
        shares = drawn.share.numpy()[chosen.numpy()]
        if alpha:
            assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).statistic < 0.04
    np.testing.assert_array_equal(np.sort(drawn.partner), range(4000))


def test_a_small_alpha_gives_nearly_whole_clips():
    share = draw_mix(MixConfig(mixup=0.01), tf.constant(500), SEED).share.numpy()
    assert np.isfinite(share).all()
    assert np.mean((share < 0.01) | (share > 0.99)) > 0.9


def test_only_the_share_asked_for_is_mixed():
    drawn = draw_mix(MixConfig(cutmix=1, probability=0.3), tf.constant(4000), SEED)
    assert abs((drawn.share.numpy() < 1).mean() - 0.3) < 0.03


def test_mixing_off_is_the_default():
    assert not MixConfig().is_on
    assert MixConfig(mixup=0.2).is_on
    assert MixConfig(cutmix=1).is_on
