import numpy as np
import pytest

from tfrecords_tools.moments import Moments


def test_merged_moments_are_those_of_all_values():
    values = np.random.default_rng(0).normal(3, 2, (100, 3))
    parts = [Moments.of_values(values[:30]), Moments.of_values(values[30:])]
    mean, deviation = Moments.merged(parts).mean_and_deviation()
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(deviation, values.std(axis=0))
    assert Moments.merged([]).mean_and_deviation() == (None, None)


def test_small_types_are_summed_in_float64():
    """Squares of pixels do not fit into their own type, nor many float16 values into one."""
    pixels = np.full((1000, 3), 255, np.uint8)
    assert Moments.of_values(pixels) == Moments(count=1000, total=(255e3,) * 3, squares=(255e3 * 255,) * 3)
    assert Moments.of_values(np.ones((70_000, 3), np.float16)).total == (70_000,) * 3


def test_deviation_of_equal_values_is_zero_and_not_the_root_of_a_rounding_error():
    _, deviation = Moments.of_values(np.full((1000, 3), 0.1)).mean_and_deviation()
    assert deviation == pytest.approx((0, 0, 0), abs=1e-6)


def test_json_is_the_same_moments():
    moments = Moments.of_values(np.random.default_rng(0).normal(3, 2, (10, 3)))
    assert Moments.model_validate_json(moments.model_dump_json()) == moments
