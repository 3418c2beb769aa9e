from pathlib import Path

import numpy as np
import pytest

from examples.boston104 import main, read_clips
from sign_keras.ctc.arpa import read_arpa
from tests.examples.conftest import edit, parted, read_csv, read_records, write_table
from tfrecords_tools.array_records import ArrayClip
from tfrecords_tools.clips import SkippedPath
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspection.verify import inspect_records

ODD_GLOSS = 'čaj/"káva",it\'s'
NUM_FRAMES = {"1": 30, "3": 25, "20": 40, "21": 35}
# (video, speaker, word, startframe, endframe); not in the order signed, and with a frame of two words.
TRAIN = [
    ("1", "woman-1", "WRITE", 12, 20),
    ("1", "woman-1", "JOHN", 3, 12),
    ("1", "woman-1", ODD_GLOSS, 21, 29),
    ("3", "man-1", "JOHN", 0, 24),
    ("20", "woman-1", "GIVE", 5, 9),
    ("20", "woman-1", "GIVE1", 10, 30),
]
TEST = [("21", "man-1", "WRITE", 4, 10), ("21", "man-1", "JOHN", 11, 34)]
SPEAKERS = {"1": "woman-1", "3": "man-1", "20": "woman-1", "21": "man-1"}


def positions(video: str) -> np.ndarray:
    """``[T, 6]`` pixels as in the source: left hand, right hand, nose."""
    rng = np.random.default_rng(int(video))
    low, high = (134, 70, 54, 22, 140, 47), (290, 251, 224, 251, 201, 84)
    return rng.integers(low, high, (NUM_FRAMES[video], 6), endpoint=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three training sentences and a test sentence, in the layout of the real ones."""
    folder = tmp_path / "boston104"
    folder.mkdir()
    for name, words in (("train", TRAIN), ("test", TEST)):
        write_table(folder / f"{name}_words.csv", "video,speaker,word,startframe,endframe", words)
    write_table(folder / "speaker.csv", "video,speaker", list(SPEAKERS.items()))
    write_table(
        folder / "hands_condensed.csv",
        "video,frame,left-x,left-y,right-x,right-y,nose-x,nose-y",
        [(video, frame, *row) for video in NUM_FRAMES for frame, row in enumerate(positions(video))],
    )
    return folder


def read(
    folder: Path, split: str | None = None, num_validation: int = 0
) -> tuple[dict[str, ArrayClip], list[SkippedPath]]:
    clips, skipped = parted(read_clips(folder, split, num_validation))
    return {clip.path: clip for clip in clips}, skipped


def test_folder_to_records(folder, tmp_path, run_main):
    output = tmp_path / "records"
    status, out, err = run_main(main, "--input", folder, "--output", output, "--workers", 1)
    assert (status, err) == (0, "")
    assert f"{output}: 4 sentences of 5 glosses\n" in out
    assert inspect_records(output).problems == []
    records = read_records(output)
    assert {name: (record["split"], record["signer"], record["glosses"]) for name, record in records.items()} == {
        "1.npy": ("train", "woman-1", ["JOHN", "WRITE", ODD_GLOSS]),
        "3.npy": ("train", "man-1", ["JOHN"]),
        "20.npy": ("train", "woman-1", ["GIVE", "GIVE1"]),
        "21.npy": ("test", "man-1", ["WRITE", "JOHN"]),
    }
    for name, record in records.items():
        pixels = positions(name.removesuffix(".npy")).reshape(-1, 3, 2)
        np.testing.assert_array_equal((record["keypoints"][..., :2] * np.float32([366, 312])).round(), pixels)
        assert (record["keypoints"][..., 2] == 0).all()
        assert record["presence"].all()
        assert record["frame_rate"] == 30
        assert record["aspect_ratio"] == pytest.approx(366 / 312)
    layout = DatasetInfo.load(output).layout
    assert layout is not None
    assert layout.mirror_permutation == (1, 0, 2)


def test_frames_of_words_are_kept(folder, tmp_path, run_main):
    run_main(main, "--input", folder, "--output", tmp_path / "records", "--workers", 1)
    rows = read_csv(tmp_path / "records" / "arrays" / "manifest.csv")
    assert {row["path"]: row["segments"] for row in rows} == {
        "1.npy": "3:13 12:21 21:30",
        "3.npy": "0:25",
        "20.npy": "5:10 10:31",
        "21.npy": "4:11 11:35",
    }
    assert not list((tmp_path / "records").rglob("*.npy"))


def test_sentences_are_spliced_for_training_and_the_language_model_knows_none_of_them(folder, tmp_path, run_main):
    output = tmp_path / "records"
    status, out, _ = run_main(main, "--input", folder, "--output", output, "--spliced", 6, "--workers", 1)
    assert status == 0
    assert "train: 9 sentences of 5 glosses by 2 signers\n" in out
    records = read_records(output)
    spliced = [record for name, record in records.items() if name.startswith("spliced_")]
    assert [record["split"] for record in spliced] == ["train"] * 6
    assert all(set(record["glosses"]) <= {"JOHN", "WRITE", ODD_GLOSS, "GIVE", "GIVE1"} for record in spliced)
    model = read_arpa(output / "language_model.arpa")
    after_john = {gram[1] for gram in model.grams[1] if gram[0] == "JOHN"}
    assert after_john == {"WRITE", "</s>"}


def test_a_test_alone_has_no_language_model(folder, tmp_path, run_main):
    arguments = ["--split", "test", "--spliced", 3, "--workers", 1]
    status, out, _ = run_main(main, "--input", folder, "--output", tmp_path / "records", *arguments)
    assert status == 0
    assert f"{tmp_path / 'records'}: 1 sentences" in out
    assert not (tmp_path / "records" / "language_model.arpa").exists()


def test_one_split_in_given_labels(folder, tmp_path, run_main):
    (tmp_path / "map.json").write_text('{"0": "JOHN", "1": "GIVE", "2": "WRITE"}', encoding="utf-8")
    arguments = ["--split", "test", "--label-map", tmp_path / "map.json", "--workers", 1]
    status, _, _ = run_main(main, "--input", folder, "--output", tmp_path / "records", *arguments)
    assert status == 0
    (record,) = read_records(tmp_path / "records").values()
    assert record["labels"].tolist() == [2, 0]


def test_validation_comes_out_of_training(folder):
    clips, _ = read(folder, num_validation=1)
    splits = {name: clip.columns["split"] for name, clip in clips.items()}
    assert sorted(splits.values()) == ["test", "train", "train", "validation"]
    for split, number in (("train", 2), ("validation", 1), ("test", 1)):
        of_split, _ = read(folder, split, num_validation=1)
        assert of_split.keys() == {name for name in splits if splits[name] == split}
        assert len(of_split) == number


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("hands_condensed.csv", "\n1,7,", "\n1,70,", "hands_condensed.csv lacks its frame 7"),
        ("hands_condensed.csv", "\n1,7,", "\n1,6,", "hands_condensed.csv: frame 6 once more"),
        ("hands_condensed.csv", "\n1,7,", "\n1,seven,", "hands_condensed.csv: holds no numbers"),
        ("hands_condensed.csv", "\n1,7,", "\n1,7.5,", "hands_condensed.csv: holds no numbers"),
        ("train_words.csv", "JOHN,3,12", "JOHN,3,30", "has frames 0 to 29, its words go on to frame 30"),
        ("train_words.csv", "JOHN,3,12", "JOHN,12,3", "line 3: frames 12 to 3"),
        ("train_words.csv", "JOHN,3,12", "JOHN,three,12", "line 3: startframe and endframe must be whole"),
        ("train_words.csv", "JOHN,3,12", "JOHN B,3,12", "line 3: word 'JOHN B' is empty or holds a space"),
        ("train_words.csv", "1,woman-1,JOHN", "1,man-1,JOHN", "is said to be signed by man-1 and by woman-1"),
        ("speaker.csv", "1,woman-1", "1,man-1", "is said to be signed by man-1 and by woman-1"),
    ],
)
def test_a_bad_sentence_is_listed(folder, file, old, new, reason):
    edit(folder / file, old, new)
    clips, (skipped,) = read(folder)
    assert clips.keys() == {"3.npy", "20.npy", "21.npy"}
    assert skipped.path == f"{folder / 'train_words.csv'}: video 1"
    assert reason in skipped.reason


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_positions_that_are_no_numbers(folder, value):
    rows = (folder / "hands_condensed.csv").read_text(encoding="utf-8").splitlines()
    rows[3] = ",".join([*rows[3].split(",")[:-1], value])
    (folder / "hands_condensed.csv").write_text("\n".join(rows), encoding="utf-8")
    _, (skipped,) = read(folder)
    assert skipped.reason == "line 4 of hands_condensed.csv: holds NaN or infinite values"


def test_a_sentence_without_positions_is_listed(folder):
    rows = (folder / "hands_condensed.csv").read_text(encoding="utf-8").splitlines()
    (folder / "hands_condensed.csv").write_text(
        "\n".join(row for row in rows if not row.startswith("3,")), encoding="utf-8"
    )
    clips, (skipped,) = read(folder)
    assert len(clips) == 3
    assert skipped.reason == "has no positions in hands_condensed.csv"


def test_speakers_may_be_missing(folder):
    (folder / "speaker.csv").unlink()
    clips, skipped = read(folder)
    assert {clip.columns["signer"] for clip in clips.values()} == {"woman-1", "man-1"}
    assert skipped == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("hands_condensed.csv", "nose-y", "nose", "hands_condensed.csv: has no column nose-y"),
        ("hands_condensed.csv", "\n1,7,", "\n1,", "hands_condensed.csv:9: expected a value for every column"),
        ("train_words.csv", "endframe", "end", "train_words.csv: has no column endframe"),
        ("train_words.csv", "JOHN,3,12", "JOHN,3", "train_words.csv:3: expected a value for every column"),
    ],
)
def test_bad_tables(folder, assert_refuses, file, old, new, message):
    edit(folder / file, old, new)
    assert_refuses(main, folder, message)


def test_missing_files_and_wrong_arguments(folder, assert_refuses):
    (folder / "test_words.csv").unlink()
    assert_refuses(main, folder, "no test_words.csv in it; found train_words.csv", "--split", "test")
    assert_refuses(main, folder, "--validation -1: must be at least 0", "--validation", "-1")
    assert_refuses(main, folder, "--spliced -1: must be at least 0", "--spliced", "-1")
    (folder / "hands_condensed.csv").unlink()
    assert_refuses(main, folder, "hands_condensed.csv: no such file")
