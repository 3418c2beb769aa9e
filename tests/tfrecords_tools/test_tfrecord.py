from pathlib import Path

import pytest
import tensorflow as tf

from tfrecords_tools.tfrecord import TFRecordError, count_records, read_records, write_record

RECORDS = [b"first", b"", bytes(range(256)) * 40]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with (tmp_path / "a.tfrecord").open("wb") as stream:
        for record in RECORDS:
            write_record(stream, record)
    return tmp_path / "a.tfrecord"


def test_bytes_are_those_that_tensorflow_writes(file, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "b.tfrecord")) as writer:
        for record in RECORDS:
            writer.write(record)
    assert file.read_bytes() == (tmp_path / "b.tfrecord").read_bytes()


def test_round_trip(file):
    assert list(read_records(file)) == RECORDS
    assert count_records(file) == len(RECORDS)


def test_every_cut_is_noticed(file):
    """Wherever a file ends, but between records, reading and counting say so."""
    whole = file.read_bytes()
    ends = {0, 16 + 5, 32 + 5, len(whole)}
    for size in [*range(60), len(whole) - 5, len(whole) - 1]:
        if size in ends:
            continue
        file.write_bytes(whole[:size])
        with pytest.raises(TFRecordError, match="is cut off within record"):
            list(read_records(file))
        with pytest.raises(TFRecordError, match="is cut off within record"):
            count_records(file)


@pytest.mark.parametrize("position", [0, 8, 13, 18])
def test_every_flipped_bit_is_noticed(file, position):
    content = bytearray(file.read_bytes())
    content[position] ^= 4
    file.write_bytes(content)
    with pytest.raises(TFRecordError, match="record 0"):
        list(read_records(file))
