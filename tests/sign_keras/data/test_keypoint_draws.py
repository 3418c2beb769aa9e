import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig, KeypointAugmentConfig
from sign_keras.data.draws import draw
from sign_keras.data.keypoint_draws import SPANS, STEPS

NUM_FRAMES = 20
ALWAYS = KeypointAugmentConfig.model_validate({name: {"probability": 1} for name in STEPS})


def draws(config, count=300):
    """Fields stacked over ``count`` clips."""
    drawn = [
        draw(AugmentConfig(), NUM_FRAMES, tf.constant([0, index], tf.int64), config).keypoints
        for index in range(count)
    ]
    return tf.nest.map_structure(lambda *values: np.stack(values), *drawn)


@pytest.fixture(scope="module")
def always():
    return draws(ALWAYS)


def test_every_step_of_the_configuration_is_drawn():
    assert set(KeypointAugmentConfig().steps) == set(STEPS)


def test_a_clips_other_draws_are_as_without():
    seed = tf.constant([7, 11], tf.int64)
    config = AugmentConfig(zoom=0.2, rotation=11, mirror=0.25, speed=0.4, shift=0.2)
    without, beside = draw(config, NUM_FRAMES, seed), draw(config, NUM_FRAMES, seed, ALWAYS)
    assert without.keypoints is None
    for field in ("offsets", "span", "place", "shift"):
        np.testing.assert_array_equal(getattr(without, field), getattr(beside, field))
    tf.nest.map_structure(np.testing.assert_array_equal, without.picture, beside.picture)


def test_random_numbers_by_hand():
    """A clip's own 14 + T come first; then a chance for each step, and scale, shear, its axis, ..."""
    seed = tf.constant([7, 11], tf.int64)
    uniform = tf.random.stateless_uniform([14 + NUM_FRAMES + 7 + 20 + 10 + NUM_FRAMES], seed).numpy()
    own = uniform[14 + NUM_FRAMES :]
    drawn = draw(AugmentConfig(), NUM_FRAMES, seed, ALWAYS).keypoints
    np.testing.assert_allclose(drawn.scale, 0.8 + 0.4 * own[7], rtol=1e-5)
    np.testing.assert_allclose(np.sum(drawn.shear), 0.3 * own[8] - 0.15, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(drawn.angle, np.deg2rad(60 * own[12] - 30), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(drawn.square, [0.2 + 0.2 * own[17], own[18], own[19]], rtol=1e-5)
    np.testing.assert_array_equal(drawn.fingers, own[27:37] < 0.2)
    np.testing.assert_array_equal(drawn.frames, own[37:] < 0.1)


def test_draws_stay_in_range_and_fill_it(always):
    for values, low, high in (
        (always.scale, 0.8, 1.2),
        (always.shear[:, 0], -0.15, 0.15),
        (always.shear[:, 1], -0.15, 0.15),
        (always.shift[:, 0], -0.1, 0.1),
        (always.shift[:, 1], -0.1, 0.1),
        (always.angle, -np.deg2rad(30), np.deg2rad(30)),
        (always.deviation, 0, 0.005),
        (always.drift, 0, 0.005),
        (always.noise_place, 0, 1),
        (always.square[:, 0], 0.2, 0.4),
        (always.square[:, 1], 0, 1),
    ):
        margin = (high - low) / 15
        assert low - 1e-6 <= values.min() < low + margin
        assert high - margin < values.max() <= high + 1e-6
    assert ((always.shear == 0).sum(axis=1) == 1).all()
    assert (always.hands.sum(axis=1) == 1).all()
    assert 0.4 < always.hands[:, 0].mean() < 0.6
    assert abs(always.fingers.mean() - 0.2) < 0.03
    assert abs(always.frames.mean() - 0.1) < 0.02


def test_spans_are_whole_frames_within_the_clip(always):
    starts, ends = always.spans[:, 0], always.spans[:, 1]
    for values in (starts, ends):
        np.testing.assert_array_equal(values, np.round(values))
    assert starts.min() == 0
    assert ends.max() == NUM_FRAMES
    lengths = dict(zip(SPANS, (ends - starts).T, strict=True))
    assert set(lengths["temporal_mask"]) == {4, 5, 6, 7, 8}
    assert (lengths["hand_dropout"].min(), lengths["hand_dropout"].max()) == (4, NUM_FRAMES)
    # Each place is as likely: a span of all but one frame begins at 0 and at 1 equally often.
    long = draws(KeypointAugmentConfig(temporal_mask={"probability": 1, "length": (0.95, 0.95)}))
    assert set(long.spans[:, 0, 0]) == {0, 1}
    assert 0.4 < long.spans[:, 0, 0].mean() < 0.6


@pytest.mark.parametrize("step", STEPS)
def test_a_steps_probability_is_its_own(step):
    half = draws(KeypointAugmentConfig.model_validate({step: {"probability": 0.5}}), count=120)
    changed = {
        "affine": half.scale != 1,
        "noise": half.deviation > 0,
        "spatial_mask": half.square[:, 0] > 0,
        "frame_dropout": half.frames.any(axis=1),
        **{name: half.spans[:, 1, place] > half.spans[:, 0, place] for place, name in enumerate(SPANS)},
    }
    for name, happened in changed.items():
        assert (0.35 < happened.mean() < 0.65) if name == step else not happened.any(), name
