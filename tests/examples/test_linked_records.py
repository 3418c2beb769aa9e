import shutil
from pathlib import Path

import pytest

import linked_records
from examples.mp_words import main as convert_words
from linked_records import link_records
from tests.examples.conftest import STUDY_SIGNERS, read_records
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.shards import find_shards


@pytest.fixture
def parts(study_output: Path) -> dict[str, list[Path]]:
    """Seven signers to train, two to choose, one to test."""
    folders = [study_output / "signers" / name for name in STUDY_SIGNERS if name != "kept back"]
    return {"train": folders[:7], "validation": folders[7:9], "test": folders[9:]}


def test_linked_records_are_those_that_convert_makes(study_input, study_output, tmp_path, run_main):
    """The published split, linked, against the same split converted; the signer who is kept back is not linked."""
    assert run_main(convert_words, "--input", study_input, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    linked, plain = study_output / "fixed_split", tmp_path / "plain"
    assert inspect_records(linked).problems == []
    found, wanted = read_records(linked), read_records(plain)
    assert found.keys() == {name for name, record in wanted.items() if record["split"] != "test"}
    for name, record in found.items():
        for key in ("split", "signer", "glosses", "frame_rate"):
            assert record[key] == wanted[name][key]
        for key in ("labels", "keypoints", "presence"):
            assert record[key].tobytes() == wanted[name][key].tobytes()
    infos = DatasetInfo.load(linked), DatasetInfo.load(plain)
    for split in ("train", "validation"):
        assert infos[0].splits[split] == infos[1].splits[split]
    for group, statistics in infos[1].keypoint_statistics.items():
        same = infos[0].keypoint_statistics[group]
        assert same.presence == pytest.approx(statistics.presence)
        assert same.mean == (None if statistics.mean is None else pytest.approx(statistics.mean))
    assert (linked / "label_map.json").read_text() == (plain / "label_map.json").read_text()


def test_links_need_no_room(parts, tmp_path):
    info = link_records(parts, tmp_path / "fold")
    assert {split: part.clips for split, part in info.splits.items()} == {"train": 42, "validation": 12, "test": 6}
    for split, folders in parts.items():
        sources = [folder / name for folder in folders for name in DatasetInfo.load(folder).shards]
        for link, source in zip(find_shards(tmp_path / "fold", info, split), sources, strict=True):
            assert link.samefile(source)


def test_what_has_not_changed_stays(parts, tmp_path):
    link_records(parts, tmp_path / "fold")
    written = (tmp_path / "fold" / "dataset_info.json").stat().st_mtime_ns
    link_records(parts, tmp_path / "fold")
    assert (tmp_path / "fold" / "dataset_info.json").stat().st_mtime_ns == written


def test_other_splits_replace_those_before(parts, tmp_path):
    link_records(parts, tmp_path / "fold")
    parts["train"], parts["test"] = parts["test"], parts["train"]
    info = link_records(parts, tmp_path / "fold")
    assert {path.name for path in (tmp_path / "fold").glob("*.tfrecord-*")} == set(info.shards)
    signers = {
        record["signer"] for record in read_records(tmp_path / "fold").values() if record["split"] == "train"
    }
    assert signers == {"s9 ě"}


def test_a_part_that_was_made_anew_is_linked_anew(parts, tmp_path):
    folders = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in parts["train"][:2]]
    link_records({"train": folders[:1], "test": folders[1:]}, tmp_path / "fold")
    (shard,) = folders[0].glob("*.tfrecord-*")
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content)
    link_records({"train": folders[:1], "test": folders[1:]}, tmp_path / "fold")
    (link,) = (tmp_path / "fold").glob("fold-train.*")
    assert link.samefile(shard)


def test_without_links_shards_are_copied(parts, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(linked_records.os, "link", refuse)
    link_records(parts, tmp_path / "fold")
    assert len(read_records(tmp_path / "fold")) == 60
    written = (tmp_path / "fold" / "dataset_info.json").stat().st_mtime_ns
    link_records(parts, tmp_path / "fold")
    assert (tmp_path / "fold" / "dataset_info.json").stat().st_mtime_ns == written


def test_parts_of_other_glosses_are_refused(parts, tmp_path):
    other = Path(shutil.copytree(parts["test"][0], tmp_path / "other"))
    (other / "label_map.json").write_text('{"0": "hello", "1": "bye"}', encoding="utf-8")
    with pytest.raises(UserError, match="other: has other glosses or keypoints than"):
        link_records({"train": parts["train"], "test": [other]}, tmp_path / "fold")
    assert not (tmp_path / "fold").exists()


def test_a_part_without_its_journal_is_refused(parts, tmp_path):
    other = Path(shutil.copytree(parts["test"][0], tmp_path / "other"))
    shutil.rmtree(other / ".conversion")
    with pytest.raises(UserError, match=r"is missing or damaged; delete .*other and try again"):
        link_records({"train": [other]}, tmp_path / "fold")
