from pathlib import Path

import pytest

from tfrecords_tools.clips import ClipSpec, SplitSettings
from tfrecords_tools.dataset_info import SCHEMA_VERSION, DatasetError, DatasetInfo, SplitInfo
from tfrecords_tools.shards import ShardWriter, count_records, find_shards, read_shard

NAME = "signs-train.tfrecord-00000-of-00001"
RECORDS = [b"first", b"", b"x" * 1000]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    with ShardWriter(tmp_path / NAME) as writer:
        for record in RECORDS:
            writer.write(record)
    return tmp_path / NAME


def make_info(**changes: object) -> DatasetInfo:
    values = {
        "schema_version": SCHEMA_VERSION,
        "name": "signs",
        "source": "manifest",
        "clip_spec": ClipSpec(),
        "splits": {"train": SplitInfo(clips=3)},
        "split_settings": SplitSettings(),
        "shards": {NAME: 3},
        "num_skipped": 0,
        "crop_origins": {},
        "mean": None,
        "standard_deviation": None,
        "keypoint_layout": None,
        "tool_versions": {},
    }
    return DatasetInfo(**values | changes)


def test_write_then_read(shard):
    assert list(read_shard(shard)) == RECORDS
    assert count_records(shard) == 3
    assert find_shards(shard.parent, make_info(), "train") == [shard]


def test_failed_write_leaves_nothing(tmp_path):
    def write() -> None:
        with ShardWriter(tmp_path / NAME) as writer:
            writer.write(b"record")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost_bytes", [1, 500, 1010, 1015])
def test_truncated_shard_is_named(shard, lost_bytes):
    shard.write_bytes(shard.read_bytes()[:-lost_bytes])
    with pytest.raises(DatasetError, match=f"{NAME}: is cut off within record 2"):
        find_shards(shard.parent, make_info(), "train")
    with pytest.raises(DatasetError, match=rf"{NAME}: (record 2 is damaged|is cut off within record 2)"):
        list(read_shard(shard))


def test_shard_cut_between_records_is_named(shard):
    shard.write_bytes(shard.read_bytes()[: -(1000 + 16)])
    with pytest.raises(DatasetError, match=r"holds 2 records, dataset_info.json says 3"):
        find_shards(shard.parent, make_info(), "train")


def test_flipped_bit_is_named(shard):
    content = bytearray(shard.read_bytes())
    content[-100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match="record 2 is damaged"):
        list(read_shard(shard))


def test_missing_shard_is_named(shard):
    shard.unlink()
    with pytest.raises(DatasetError, match=f"{NAME}: shard is missing"):
        find_shards(shard.parent, make_info(), "train")


def test_other_schema_version_and_empty_split(shard):
    with pytest.raises(DatasetError, match="schema version 99"):
        find_shards(shard.parent, make_info(schema_version=99), "train")
    with pytest.raises(DatasetError, match=r"split 'test' is empty; it holds train \(3 clips\)"):
        find_shards(shard.parent, make_info(), "test")


def test_info_round_trip_and_faults(tmp_path):
    path = tmp_path / "dataset_info.json"
    path.write_text(make_info().model_dump_json())
    assert DatasetInfo.load(tmp_path) == make_info()
    path.write_text("{")
    with pytest.raises(DatasetError, match=r"dataset_info\.json"):
        DatasetInfo.load(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        DatasetInfo.load(tmp_path / "nowhere")
