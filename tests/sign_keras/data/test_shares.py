"""What machines take of each batch: together everything, nothing twice, and the very clips that one would see."""

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import DataConfig
from sign_keras.data.dataset import Records
from sign_keras.data.shares import Share
from sign_keras.training.trainer import updates_per_epoch
from tfrecords_tools.clips import SamplingSpec


@pytest.mark.parametrize(
    ("num_clips", "devices", "sizes"), [(17, 1, [8, 8, 1]), (17, 2, [8, 8]), (23, 4, [8, 8, 4])]
)
def test_devices_share_every_batch_evenly(num_clips, devices, sizes):
    places = tf.range(num_clips, dtype=tf.int64)
    held = np.flatnonzero([Share(devices=devices).holds(place, num_clips, 8) for place in places])
    expected = [place for number, size in enumerate(sizes) for place in range(8 * number, 8 * number + size)]
    assert held.tolist() == expected
    assert updates_per_epoch(num_clips, 8, devices) == len(sizes)


@pytest.mark.parametrize("count", [2, 4])
def test_parts_of_a_batch_are_its_clips_in_order(count):
    batch = {"frames": tf.range(11)}, tf.range(11)
    parts = [Share(index, count, devices=4).of_batch(*batch) for index in range(count)]
    assert np.concatenate([labels for _, labels in parts]).tolist() == list(range(8))
    assert len({len(labels) for _, labels in parts}) == 1
    for inputs, labels in parts:
        np.testing.assert_array_equal(inputs["frames"], labels)


@pytest.mark.parametrize("mix", [{}, {"mixup": 0.4, "probability": 0.5}], ids=["each clip", "mixed"])
@pytest.mark.parametrize("first_batch", [0, 1])
def test_machines_see_together_what_one_sees(tiny_records, mix, first_batch):
    """Shuffled, augmented, 12 clips in batches of 8 and 4; two epochs, also from within the first."""
    sampling = SamplingSpec(num_frames=3, height=16, width=16)
    records = Records.open(tiny_records, sampling, ("frames",))
    config = DataConfig.model_validate({"augment": {"zoom": 0.2, "brightness": 0.1}, "mix": mix})

    def batches(share):
        made = records.training_batches(config, 8, seed=3, first_batch=first_batch, share=share)
        return list(made.take(4 - first_batch).as_numpy_iterator())

    whole = batches(Share())
    parts = [batches(Share(index, 2, devices=4)) for index in range(2)]
    assert [len(labels) for _, labels in whole] == [8, 4, 8, 4][first_batch:]
    for (inputs, labels), *of_machines in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([part for _, part in of_machines]), labels)
        np.testing.assert_array_equal(np.concatenate([part["frames"] for part, _ in of_machines]), inputs["frames"])
