import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig
from sign_keras.data.draws import draw

EVERYTHING = AugmentConfig(
    zoom=0.3,
    aspect=1 / 3,
    rotation=20,
    mirror=0.5,
    blur=2,
    brightness=0.2,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
    speed=0.4,
    shift=0.3,
)
FIRST_STEPS = AugmentConfig(zoom=0.2, rotation=11, mirror=0.25, brightness=0.12, contrast=0.25, saturation=0.35)


@pytest.fixture(scope="module")
def many():
    """300 draws, their fields stacked."""
    drawn = [draw(EVERYTHING, 4, tf.constant([0, index], tf.int64)) for index in range(300)]
    return tf.nest.map_structure(lambda *values: np.stack(values), *drawn)


def test_a_seed_gives_what_it_gave_before_steps_were_added():
    """The numbers of a configuration that knows none of the later steps, worked out by hand."""
    seed = tf.constant([7, 11], tf.int64)
    uniform = tf.random.stateless_uniform([8 + 5], seed).numpy()
    drawn = draw(FIRST_STEPS, 5, seed)
    side = 1 - np.float32(0.2) * uniform[0]
    window = [(1 - side) * uniform[1], (1 - side) * uniform[2], side, side]
    np.testing.assert_allclose(drawn.picture.window, window, rtol=1e-6)
    np.testing.assert_allclose(drawn.picture.angle, np.deg2rad(11) * (2 * uniform[3] - 1), rtol=1e-6)
    assert bool(drawn.picture.mirrored) == (uniform[4] < 0.25)
    np.testing.assert_allclose(drawn.picture.brightness, 0.12 * (2 * uniform[5] - 1), rtol=1e-6)
    np.testing.assert_allclose(drawn.picture.contrast, 1 + 0.25 * (2 * uniform[6] - 1), rtol=1e-6)
    np.testing.assert_allclose(drawn.picture.saturation, 1 + 0.35 * (2 * uniform[7] - 1), rtol=1e-6)
    np.testing.assert_allclose(drawn.offsets, uniform[8:], rtol=1e-6)
    assert (float(drawn.span), float(drawn.place), float(drawn.shift)) == (1, 0.5, 0)
    assert (float(drawn.picture.hue), float(drawn.picture.blur)) == (0, 0)


def test_later_steps_leave_the_earlier_ones_as_they_were():
    seed = tf.constant([7, 11], tf.int64)
    before = draw(FIRST_STEPS, 5, seed)
    after = draw(FIRST_STEPS.model_copy(update={"hue": 0.3, "blur": 1.0, "speed": 0.5}), 5, seed)
    for field in ("window", "angle", "mirrored", "brightness", "contrast", "saturation"):
        np.testing.assert_array_equal(getattr(before.picture, field), getattr(after.picture, field))
    np.testing.assert_array_equal(before.offsets, after.offsets)
    assert float(after.picture.hue) != 0


def test_draws_stay_in_range_and_fill_it(many):
    picture = many.picture
    for values, low, high in (
        (picture.angle, -np.deg2rad(20), np.deg2rad(20)),
        (picture.brightness, -0.2, 0.2),
        (picture.contrast, 0.7, 1.3),
        (picture.saturation, 0.7, 1.3),
        (picture.hue, -0.2 * np.pi, 0.2 * np.pi),
        (picture.blur, 0, 2),
        (many.span, 0.6, 1.4),
        (many.place, 0, 1),
        (many.shift, -0.3, 0.3),
        (many.offsets, 0, 1),
    ):
        margin = (high - low) / 20
        assert low <= values.min() < low + margin
        assert high - margin < values.max() <= high
    assert 0.4 < picture.mirrored.mean() < 0.6


def test_windows_lie_within_the_frame_and_have_the_drawn_shapes(many):
    windows = many.picture.window
    assert (windows >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= 1 + 1e-6).all()
    ratios = np.log(windows[:, 3] / windows[:, 2])
    most = np.log(4 / 3)
    assert -most - 1e-5 <= ratios.min() < -0.9 * most
    assert 0.9 * most < ratios.max() <= most + 1e-5
    assert abs(ratios.mean()) < 0.1 * most
    # Those that fit at once are as large as a square of a side in [0.7, 1]; none is larger.
    sides = np.sqrt(windows[:, 2] * windows[:, 3])
    touching = np.isclose(windows[:, 2:].max(axis=1), 1)
    assert (sides[~touching] >= 0.7 - 1e-6).all()
    assert (sides <= 1 + 1e-6).all()


def test_every_frame_has_its_own_draw_where_consistency_is_off():
    config = EVERYTHING.model_copy(update={"consistent": False})
    seed = tf.constant([1, 2], tf.int64)
    drawn, consistent = draw(config, 6, seed), draw(EVERYTHING, 6, seed)
    for field in drawn.picture:
        assert field.shape[0] == 6
    assert len(np.unique(drawn.picture.angle)) == len(np.unique(drawn.picture.contrast)) == 6
    # Which frames are taken is one draw for the clip in any case.
    for own, other in zip(drawn[:3], consistent[:3], strict=True):
        np.testing.assert_array_equal(own, other)
