import numpy as np
import pytest
import tensorflow as tf

from sign_keras.data.sampling import clip_frames, sample_frames
from sign_keras.inference.ticks import Ticks
from tfrecords_tools.clips import SamplingSpec


def ticked(seconds, rate):
    ticks = Ticks(rate)
    return [item for place, moment in enumerate(seconds) for item in ticks.push(moment, place)] + ticks.finish()


@pytest.mark.parametrize("seed", range(5))
def test_ticks_are_the_samples_of_a_clip(seed):
    rng = np.random.default_rng(seed)
    rate = float(rng.uniform(5, 40))
    seconds = np.cumsum(rng.uniform(0.01, 0.12, 60))
    timestamps = tf.constant(np.round((seconds - seconds[0]) * 1e6).astype(np.int64))
    count = int(clip_frames(timestamps, rate))
    sampling = SamplingSpec(num_frames=count + 1, frame_rate=rate, height=16, width=16)
    expected = sample_frames(timestamps, sampling)[0].numpy()[:count]
    assert ticked(seconds, rate) == expected.tolist()


@pytest.mark.parametrize("rate", [12.0, 25.0, 29.97])
def test_a_stream_of_the_very_rate_gives_each_frame_once(rate):
    assert ticked(7.0 + np.arange(40) / rate, rate) == list(range(40))


def test_a_single_frame_is_one_tick_and_none_is_none():
    assert ticked([3.0], 25.0) == [0]
    assert ticked([], 25.0) == []
