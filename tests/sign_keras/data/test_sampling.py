import numpy as np
import pytest
import tensorflow as tf

from sign_keras.data.sampling import sample_frames, sample_moments
from tfrecords_tools.clips import SamplingSpec


def sample(num_available: int, num_frames: int, *, rate: float = 25, frame_rate: float | None = None, **when):
    timestamps = tf.constant([round(index * 1e6 / rate) for index in range(num_available)], tf.int64)
    sampling = SamplingSpec(num_frames=num_frames, frame_rate=frame_rate, height=32, width=32)
    indices, mask = sample_frames(timestamps, sampling, **when)
    return indices.numpy().tolist(), mask.numpy().tolist()


def test_even_sampling_of_as_many_frames_takes_each_once():
    assert sample(7, 7)[0] == list(range(7))


def test_even_sampling_takes_the_middle_of_each_part():
    assert sample(12, 3)[0] == [2, 6, 10]
    assert sample(9, 1)[0] == [4]


def test_even_sampling_repeats_frames_of_short_clips_in_order():
    indices, mask = sample(2, 6)
    assert indices == [0, 0, 0, 1, 1, 1]
    assert all(mask)
    assert sample(1, 4)[0] == [0, 0, 0, 0]


@pytest.mark.parametrize("offset", [0.0, 0.999999])
def test_jittered_frames_stay_within_their_parts(offset):
    indices, _ = sample(20, 4, offsets=tf.fill([4], offset))
    assert [index // 5 for index in indices] == [0, 1, 2, 3]


def test_sampling_at_the_clips_own_rate_takes_each_frame_once_and_pads():
    indices, mask = sample(5, 8, frame_rate=25)
    assert indices[:5] == [0, 1, 2, 3, 4]
    assert mask == [True] * 5 + [False] * 3
    assert indices[5:] == [4, 4, 4]


def test_sampling_at_a_rate_takes_the_middle_of_long_clips():
    indices, mask = sample(100, 10, frame_rate=25)
    assert indices == list(range(45, 55))
    assert all(mask)


def test_sampling_at_half_the_rate_takes_every_other_frame():
    indices, mask = sample(20, 10, frame_rate=12.5)
    assert np.diff(indices).tolist() == [2] * 9
    assert all(mask)


def test_sampling_at_a_rate_of_a_still_image_gives_one_real_frame():
    assert sample(1, 4, frame_rate=10) == ([0, 0, 0, 0], [True, False, False, False])


@pytest.mark.parametrize(
    ("place", "expected"),
    [(0.0, [1, 3, 5, 7]), (0.5, [5, 7, 9, 11]), (1.0, [9, 11, 13, 15])],
)
def test_half_a_span_lies_where_it_is_placed(place, expected):
    """Parts of two frames instead of four; the frame at a part's middle."""
    assert sample(16, 4, span=0.5, place=place)[0] == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [(0.0, [2, 6, 10, 14, 15, 15]), (0.5, [0, 2, 6, 10, 14, 15]), (1.0, [0, 0, 2, 6, 10, 14])],
)
def test_a_longer_span_holds_the_clips_ends(place, expected):
    """24 frames' time over a clip of 16: parts of four frames."""
    assert sample(16, 6, span=1.5, place=place)[0] == expected


@pytest.mark.parametrize(
    ("span", "place", "expected"),
    [
        (1.0, 0.0, [0, 1, 2, 3]),
        (1.0, 1.0, [16, 17, 18, 19]),
        (0.5, 0.0, [0, 0, 1, 1]),
        (1.5, 1.0, [14, 16, 17, 19]),
    ],
)
def test_spans_at_a_rate(span, place, expected):
    indices, mask = sample(20, 4, frame_rate=25, span=span, place=place)
    assert indices == expected
    assert all(mask)


def test_a_span_at_a_rate_that_leaves_the_clip_is_padded():
    indices, mask = sample(5, 4, frame_rate=25, span=1.5, place=1.0)
    assert indices == [0, 2, 3, 4]
    assert mask == [True, True, True, False]


@pytest.mark.parametrize(("shift", "expected"), [(0.25, [6, 10, 14, 15]), (-0.25, [0, 2, 6, 10])])
def test_a_shift_moves_all_frames_and_holds_the_clips_ends(shift, expected):
    assert sample(16, 4, shift=shift)[0] == expected


def test_a_shift_is_a_share_of_what_is_covered():
    """Half a span in the middle, 8 frames long, moved by 2 of them."""
    assert sample(16, 4, span=0.5, shift=0.25)[0] == [7, 9, 11, 13]


@pytest.mark.parametrize(
    ("available", "shift", "expected"),
    [
        (20, 0.5, [10, 11, 12, 13]),
        (20, -0.5, [6, 7, 8, 9]),
        (4, -0.5, [0, 1, 2, 3]),
    ],
)
def test_shifts_at_a_rate_never_begin_before_the_clip(available, shift, expected):
    indices, mask = sample(available, 4, frame_rate=25, shift=shift)
    assert indices == expected
    assert all(mask)


def test_a_shift_of_a_short_clip_cuts_its_beginning_and_pads():
    indices, mask = sample(4, 8, frame_rate=25, shift=0.5)
    assert indices[:2] == [2, 3]
    assert mask == [True, True] + [False] * 6


@pytest.mark.parametrize("frame_rate", [None, 25])
def test_moments_of_a_clips_own_frames_are_their_middles(frame_rate):
    timestamps = tf.range(6, dtype=tf.int64) * 40_000
    moments = sample_moments(timestamps, SamplingSpec(num_frames=6, frame_rate=frame_rate, height=32, width=32))
    assert moments.indices.numpy().tolist() == list(range(6))
    np.testing.assert_allclose(moments.shares, 0.5, atol=1e-4)


@pytest.mark.parametrize("frame_rate", [None, 50])
def test_moments_between_frames_say_how_far(frame_rate):
    """Twice as many as there are frames: a quarter and three quarters into each."""
    timestamps = tf.range(4, dtype=tf.int64) * 40_000
    moments = sample_moments(timestamps, SamplingSpec(num_frames=8, frame_rate=frame_rate, height=32, width=32))
    assert moments.indices.numpy().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    np.testing.assert_allclose(moments.shares, [0.25, 0.75] * 4, atol=1e-4)


def test_moments_beyond_the_clip_hold_its_ends():
    timestamps = tf.range(4, dtype=tf.int64) * 40_000
    sampling = SamplingSpec(num_frames=4, height=32, width=32)
    early = sample_moments(timestamps, sampling, shift=-0.5)
    assert early.indices.numpy().tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(early.shares, [0, 0, 0.5, 0.5])
    late = sample_moments(timestamps, sampling, shift=0.5)
    assert late.indices.numpy().tolist() == [2, 3, 3, 3]
    np.testing.assert_allclose(late.shares, [0.5, 0.5, 1, 1])


def test_sampling_is_the_same_in_a_graph():
    sampling = SamplingSpec(num_frames=5, frame_rate=10, height=32, width=32)
    timestamps = tf.constant([0, 40_000, 90_000, 400_000], tf.int64)
    eager = sample_frames(timestamps, sampling)
    graph = tf.function(lambda stamps: sample_frames(stamps, sampling))(timestamps)
    for a, b in zip(eager, graph, strict=True):
        np.testing.assert_array_equal(a, b)
