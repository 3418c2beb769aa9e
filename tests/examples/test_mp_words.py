import json
import os
from pathlib import Path

import numpy as np
import pytest

from examples.mp_words import holistic_array, main, read_clips
from tests.examples.conftest import LENGTHS, edit, make_word, parted, read_csv, read_records, write_mp_words
from tfrecords_tools.array_records import ArrayClip
from tfrecords_tools.clips import SkippedPath
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.label_map import LabelMap

ODD_GLOSS = 'čaj/"káva", it\'s'
SPLITS = {"anna": ("train", "ok"), "bob": ("val", "ok"), "čeněk": ("train", "suspect"), "dora": ("test", "ok")}
TIERS = {"hello": "1", ODD_GLOSS: "1", "rare": "2"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four signers, three words each, three clips a word, in the layout of the real one."""
    folder = tmp_path / "mp_words"
    write_mp_words(folder, SPLITS, TIERS)
    return folder


def read(folder: Path) -> tuple[list[ArrayClip], list[SkippedPath]]:
    """The clips of tier 1 and what could not be read."""
    return parted(read_clips(folder, None, "1"))


def rewrite_npz(file: Path, **changes: np.ndarray | None) -> None:
    with np.load(file) as archive:
        arrays = dict(archive) | changes
    np.savez(file, **{key: array for key, array in arrays.items() if array is not None})


def test_folder_to_records(folder, tmp_path, run_main):
    output = tmp_path / "records"
    status, out, err = run_main(main, "--input", folder, "--output", output, "--workers", 1)
    assert (status, err) == (0, "")
    assert "train: 12 clips of 2 glosses by 2 signers" in out
    assert inspect_records(output).problems == []
    records = read_records(output)
    assert len(records) == 4 * 2 * 3
    assert {(record["signer"], record["split"]) for record in records.values()} == {
        ("anna", "train"),
        ("bob", "validation"),
        ("čeněk", "train"),
        ("dora", "test"),
    }
    assert list(LabelMap.load(output / "label_map.json")) == ["hello", ODD_GLOSS]
    rows = read_csv(output / "arrays" / "manifest.csv")
    assert {row["path"] for row in rows} == records.keys()
    assert {(row["signer"], row["status"]) for row in rows} == {
        (signer, status) for signer, (_, status) in SPLITS.items()
    }
    for row in rows:
        (gloss,), signer = records[row["path"]]["glosses"], row["signer"]
        assert (gloss, signer) == (row["gloss"], records[row["path"]]["signer"])
        sequence, index = row["sequence"].rsplit("/", 1)
        assert sequence == gloss
        frames = make_word(signer, gloss)[int(index), : LENGTHS[int(index)]]
        keypoints = records[row["path"]]["keypoints"]
        np.testing.assert_array_equal(keypoints[:, :33], frames[:, :132].reshape(-1, 33, 4)[..., :3])
        np.testing.assert_array_equal(keypoints[:, 501:522], frames[:, 132:195].reshape(-1, 21, 3))
        assert np.isnan(keypoints[:, 33:501]).all()
        assert np.isnan(keypoints[:, 522:]).all()
        assert records[row["path"]]["presence"].tolist() == [[True, False, True, False]] * len(frames)


def test_arrays_are_deleted_unless_kept(folder, tmp_path, run_main):
    run_main(main, "--input", folder, "--output", tmp_path / "gone", "--workers", 1)
    assert sorted(path.name for path in (tmp_path / "gone" / "arrays").rglob("*")) == [
        "layout.json",
        "manifest.csv",
    ]
    run_main(main, "--input", folder, "--output", tmp_path / "kept", "--workers", 1, "--keep-arrays")
    kept = {path.relative_to(tmp_path / "kept" / "arrays") for path in tmp_path.glob("kept/arrays/*/*.npy")}
    assert {str(path) for path in kept} == read_records(tmp_path / "kept").keys()


def test_a_second_run_makes_no_record_again(folder, tmp_path, run_main):
    output = tmp_path / "records"
    run_main(main, "--input", folder, "--output", output, "--workers", 1)
    shards = {shard: shard.stat().st_mtime_ns for shard in output.glob("*.tfrecord-*")}
    assert run_main(main, "--input", folder, "--output", output, "--workers", 1)[0] == 0
    assert shards == {shard: shard.stat().st_mtime_ns for shard in output.glob("*.tfrecord-*")}
    os.utime(folder / "dora.npz", ns=(0, 0))
    run_main(main, "--input", folder, "--output", output, "--workers", 1)
    assert {shard.name.split("-")[1] for shard in shards if shard.stat().st_mtime_ns != shards[shard]} == {
        "test.tfrecord"
    }


@pytest.mark.parametrize("name", ["val", "validation"])
def test_one_split_in_given_labels(folder, tmp_path, run_main, name):
    (tmp_path / "map.json").write_text(json.dumps({"0": "unseen", "1": ODD_GLOSS}), encoding="utf-8")
    arguments = ["--split", name, "--label-map", tmp_path / "map.json", "--workers", 1]
    status, out, _ = run_main(main, "--input", folder, "--output", tmp_path / "records", *arguments)
    assert status == 1
    assert "3 inputs were skipped" in out
    records = read_records(tmp_path / "records")
    assert {(record["signer"], *record["labels"]) for record in records.values()} == {("bob", 1)}
    assert len(records) == 3
    assert all("gloss 'hello' is not in" in row["reason"] for row in read_csv(tmp_path / "records" / "skipped.csv"))


def test_archives_alone(folder, tmp_path, run_main):
    """Signers who were kept back, without tables: the split is named, the words are those of the label map."""
    for name in ("splits.csv", "manifest.csv"):
        (folder / name).unlink()
    (tmp_path / "map.json").write_text(json.dumps({"0": "unseen", "1": ODD_GLOSS}), encoding="utf-8")
    output = tmp_path / "records"
    arguments = ["--input", folder, "--output", output, "--workers", 1]
    status, _, err = run_main(main, *arguments)
    assert status == 2
    assert "holds no splits.csv; name the split of all its signers" in err
    status, _, err = run_main(main, *arguments, "--split", "test")
    assert status == 2
    assert "name the words with --label-map FILE" in err
    status, _, err = run_main(main, *arguments, "--split", "test", "--label-map", tmp_path / "map.json")
    assert (status, err) == (0, "")
    records = read_records(output)
    assert {(record["signer"], record["split"], *record["labels"]) for record in records.values()} == {
        (signer, "test", 1) for signer in SPLITS
    }
    assert len(records) == 4 * 3
    status, _, _ = run_main(main, *arguments[:2], "--output", tmp_path / "all", "--split", "test", "--tier", "all")
    assert status == 0
    assert len(read_records(tmp_path / "all")) == 4 * 3 * 3


def test_all_tiers(folder, tmp_path, run_main):
    run_main(main, "--input", folder, "--output", tmp_path / "records", "--tier", "all", "--workers", 1)
    assert len(read_records(tmp_path / "records")) == 4 * 3 * 3


BAD_WORDS = {
    "other width": ({"hello": np.zeros((3, 6, 126), np.float16)}, "hello: is 3x6x126 float16; expected"),
    "integers": ({"hello": np.zeros((3, 6, 258), np.int16)}, "hello: is 3x6x258 int16; expected"),
    "NaN": ({"hello": np.full((3, 6, 258), np.nan, np.float16)}, "hello: holds NaN or infinite values"),
    "pickle": ({"hello": np.array([None])}, "hello: Object arrays cannot be loaded"),
    "no lengths": ({"hello__len": None}, "hello: holds no array 'hello__len'"),
    "no word": ({"hello": None}, "hello: holds no array 'hello'"),
    "other lengths": ({"hello__len": np.array([4, 6, 2])}, "hello: holds 3 clips of other lengths or number"),
    "fewer clips": (
        {"hello": np.ones((2, 6, 258), np.float16), "hello__len": np.array([4, 6])},
        "hello: holds 2 clips of other lengths or number than manifest.csv says",
    ),
    "a word more": ({"more": np.zeros(1)}, "more: manifest.csv has no clip of it"),
}


@pytest.mark.parametrize("fault", BAD_WORDS)
def test_a_bad_word_is_listed(folder, fault):
    changes, reason = BAD_WORDS[fault]
    rewrite_npz(folder / "anna.npz", **changes)
    clips, (skipped,) = read(folder)
    assert skipped.path == str(folder / "anna.npz")
    assert skipped.reason.startswith(reason)
    assert len(clips) == 24 - (0 if fault == "a word more" else 3)


def test_what_could_not_be_read_is_in_the_list_of_the_records(folder, tmp_path, run_main):
    rewrite_npz(folder / "anna.npz", hello=None)
    status, out, err = run_main(main, "--input", folder, "--output", tmp_path / "records", "--workers", 1)
    assert (status, err) == (1, "")
    assert "1 inputs were skipped" in out
    (row,) = read_csv(tmp_path / "records" / "skipped.csv")
    assert (row["path"], row["reason"][:6]) == (str(folder / "anna.npz"), "hello:")
    assert len(read_records(tmp_path / "records")) == 21


def test_lengths_beyond_the_array(folder):
    rewrite_npz(folder / "anna.npz", hello__len=np.array([4, 7, 3]))
    edit(folder / "manifest.csv", "anna,train,hello,1,1,1,6", "anna,train,hello,1,1,1,7")
    _, (skipped,) = read(folder)
    assert skipped.reason == "hello: hello__len must lie from 1 to 6"


BAD_ARCHIVES = {
    "missing": (lambda file: file.unlink(), "no such file, but splits.csv names the signer"),
    "empty": (lambda file: file.write_bytes(b""), "is no .npz archive"),
    "cut off": (lambda file: file.write_bytes(file.read_bytes()[:-99]), "is no .npz archive"),
    "one array": (
        lambda file: (np.save(file.with_suffix(".npy"), np.zeros(3)), file.with_suffix(".npy").replace(file)),
        "is a single array",
    ),
}


@pytest.mark.parametrize("fault", BAD_ARCHIVES)
def test_a_bad_archive_is_listed(folder, fault):
    spoil, reason = BAD_ARCHIVES[fault]
    spoil(folder / "anna.npz")
    clips, (skipped,) = read(folder)
    assert skipped.path == str(folder / "anna.npz")
    assert skipped.reason.startswith(reason)
    assert len(clips) == 18


def test_a_signer_of_no_split_is_listed(folder):
    table = (folder / "splits.csv").read_text(encoding="utf-8").splitlines()
    (folder / "splits.csv").write_text("\n".join(line for line in table if "bob" not in line), encoding="utf-8")
    clips, skipped = read(folder)
    assert skipped == [SkippedPath(str(folder / "bob.npz"), "its signer has no row in splits.csv")]
    assert len(clips) == 18


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("splits.csv", "status", "state", "splits.csv: has no column status"),
        ("splits.csv", "bob,val", "bob,holdout", "splits.csv:3: split 'holdout'; expected train, val or test"),
        ("splits.csv", "bob,val", "anna,val", "splits.csv:3: expected one row a signer"),
        ("manifest.csv", "frames", "length", "manifest.csv: has no column frames"),
        ("manifest.csv", "anna,train,hello,1,0,0,4", "anna,train,hello,1,0,0,four", "manifest.csv:2: expected"),
        ("manifest.csv", "anna,train,hello,1,0,0,4", "anna,train,hello", "manifest.csv:2: expected a value"),
    ],
)
def test_bad_tables(folder, assert_refuses, file, old, new, message):
    edit(folder / file, old, new)
    assert_refuses(main, folder, message)


def test_nothing_is_written_for_a_missing_label_map(folder, tmp_path, assert_refuses):
    assert_refuses(main, folder, "no such label map", "--label-map", tmp_path / "none.json")


def test_holistic_array_keeps_the_type():
    array = holistic_array(np.ones((2, 258), np.float16))
    assert (array.shape, array.dtype) == ((2, 543, 3), np.float16)
    assert np.isnan(array[:, MEDIAPIPE_HOLISTIC.group_slices["face"]]).all()
