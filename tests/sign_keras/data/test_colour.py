import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig
from sign_keras.data.colour import LUMA, recolour
from sign_keras.data.draws import PictureDraw, draw

COLOUR = AugmentConfig(brightness=0.2, contrast=0.3, saturation=0.3)
HUE = AugmentConfig(hue=0.5)


def colours(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (2, 4, 5, 3)).astype(np.float32)


def hue_draw(turns: float) -> PictureDraw:
    drawn = draw(AugmentConfig(), 2, tf.constant([1, 2], tf.int64)).picture
    return drawn._replace(hue=tf.constant(turns * 2 * np.pi, tf.float32))


def test_saturation_contrast_and_brightness_agree_with_their_definition():
    drawn, frames = draw(COLOUR, 2, tf.constant([3, 5], tf.int64)).picture, colours()
    grey = (frames @ np.array(LUMA))[..., np.newaxis]
    expected = grey + (frames - grey) * float(drawn.saturation)
    expected = expected.mean() + (expected - expected.mean()) * float(drawn.contrast)
    expected += float(drawn.brightness) * 255
    np.testing.assert_allclose(recolour(frames, drawn, COLOUR), expected, atol=1e-3)


@pytest.mark.parametrize("turns", [0.1, -0.37])
def test_hue_turns_the_colour_plane_of_yiq(turns):
    frames = colours()
    turned = recolour(frames, hue_draw(turns), HUE).numpy()
    angle = 2 * np.pi * turns
    y, i, q = np.moveaxis(tf.image.rgb_to_yiq(frames).numpy(), -1, 0)
    expected = (y, i * np.cos(angle) + q * np.sin(angle), q * np.cos(angle) - i * np.sin(angle))
    np.testing.assert_allclose(np.moveaxis(tf.image.rgb_to_yiq(turned).numpy(), -1, 0), expected, atol=0.02)


def test_hue_keeps_luma_and_grey_and_ends_where_it_began():
    frames = colours()
    turned = recolour(frames, hue_draw(0.3), HUE).numpy()
    assert np.abs(turned - frames).max() > 30
    np.testing.assert_allclose(turned @ np.array(LUMA), frames @ np.array(LUMA), atol=1e-3)
    grey = np.full((1, 2, 2, 3), 90, np.float32)
    np.testing.assert_allclose(recolour(grey, hue_draw(0.3), HUE), grey, atol=1e-3)
    np.testing.assert_allclose(recolour(frames, hue_draw(1), HUE), frames, atol=1e-2)
