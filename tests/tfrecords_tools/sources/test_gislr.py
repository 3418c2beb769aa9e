import csv
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.clips import Clip, ClipError
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.schema import decode_record
from tfrecords_tools.settings import validate
from tfrecords_tools.shards import find_shards, read_shard
from tfrecords_tools.sources import SOURCES, Listing
from tfrecords_tools.sources.gislr import read_sequence

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

PUBLISHED_ORDER = {"face": 468, "left_hand": 21, "pose": 33, "right_hand": 21}
SIGNS = {"TV": 0, "after": 1, "thank/you": 2, 'čaj "hot"': 3}
LABELS = "sign_to_prediction_index_map.json"


def list_clips(path: Path, **settings: object) -> Listing:
    return validate(SOURCES["gislr"], settings, "--set source").list_clips(path)


def make_table(parts: dict[str, np.ndarray], frames: Sequence[int]) -> pyarrow.Table:
    """Rows in the published order, out of ``[T, P, 3]`` a group; NaN becomes null, as pandas writes it."""
    xyz = np.concatenate([parts[group] for group in PUBLISHED_ORDER], axis=1).reshape(-1, 3)
    rows = [(f, group, i) for f in frames for group, size in PUBLISHED_ORDER.items() for i in range(size)]
    columns = {
        "frame": pyarrow.array([row[0] for row in rows], pyarrow.int16()),
        "row_id": pyarrow.array(["-".join(map(str, row)) for row in rows]),
        "type": pyarrow.array([row[1] for row in rows]),
        "landmark_index": pyarrow.array([row[2] for row in rows], pyarrow.int16()),
    }
    for axis, name in enumerate("xyz"):
        columns[name] = pyarrow.array(xyz[:, axis], from_pandas=True)
    return pyarrow.table(columns)


def make_parts(num_frames: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {group: rng.random((num_frames, size, 3)) for group, size in PUBLISHED_ORDER.items()}


def write_rows(root: Path, rows: Sequence[Sequence[object]], columns: str = "path,participant_id,sequence_id,sign"):
    root.mkdir(exist_ok=True)
    with (root / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns.split(","), *rows])
    (root / LABELS).write_text(json.dumps(SIGNS), encoding="utf-8")


def row(participant: int, sequence: int, sign: str) -> tuple[str, int, int, str]:
    return f"train_landmark_files/{participant}/{sequence}.parquet", participant, sequence, sign


@pytest.fixture
def asl_signs(tmp_path: Path) -> Path:
    """Three participants, each of whom signs every sign once."""
    root = tmp_path / "asl-signs"
    rows = [
        row(participant, 10 * participant + index, sign)
        for participant in (1, 2, 3)
        for index, sign in enumerate(SIGNS)
    ]
    write_rows(root, rows)
    for number, (path, *_) in enumerate(rows):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(make_table(make_parts(2, seed=number), (4, 5)), root / path)
    return root


def write(tmp_path: Path, table: pyarrow.Table, **options: object) -> Clip:
    path = tmp_path / "1.parquet"
    parquet.write_table(table, path, **options)
    return Clip(str(path), ("TV",), "1.parquet")


def test_rows_become_clips(asl_signs):
    listing = list_clips(asl_signs)
    assert (listing.layout, listing.skipped, listing.notes) == (MEDIAPIPE_HOLISTIC, [], [])
    assert len(listing.clips) == 12
    clip = listing.clips[7]
    assert clip == Clip(
        path=str(asl_signs / "train_landmark_files/2/23.parquet"),
        glosses=('čaj "hot"',),
        media_id="train_landmark_files/2/23.parquet",
        signer="2",
        metadata={"sequence_id": "23", "frame_rate": "30.0"},
    )


def test_values_reach_the_rows_of_the_layout(tmp_path):
    parts = make_parts(3)
    parts["left_hand"][1:] = np.nan
    parts["pose"][2, 7, 1] = np.nan  # one value of a group: the group is not there
    recording = read_sequence(write(tmp_path, make_table(parts, (20, 21, 22))), frame_rate=30)
    points = recording.keypoints.points
    assert points.shape == (3, 543, 3)
    for group, rows in MEDIAPIPE_HOLISTIC.group_slices.items():
        np.testing.assert_array_equal(points[0, rows], parts[group][0].astype(np.float16))
    left_wrist = MEDIAPIPE_HOLISTIC.row("left_hand/wrist")
    assert points[0, left_wrist].tolist() == parts["left_hand"][0, 0].astype(np.float16).tolist()
    np.testing.assert_array_equal(
        recording.keypoints.presence,  # pose, face, left hand, right hand
        [[True, True, True, True], [True, True, False, True], [False, True, False, True]],
    )
    assert np.isnan(points[2, MEDIAPIPE_HOLISTIC.group_slices["pose"]]).all()


@pytest.mark.parametrize("options", [{"row_group_size": 700}, {"use_dictionary": False}, {"version": "1.0"}])
def test_however_the_parquet_was_written(tmp_path, options):
    table = make_table(make_parts(3), (0, 1, 2))
    expected = read_sequence(write(tmp_path, table), 30).keypoints.points
    np.testing.assert_array_equal(read_sequence(write(tmp_path, table, **options), 30).keypoints.points, expected)


def test_gaps_between_frames_are_kept_as_times(tmp_path):
    recording = read_sequence(write(tmp_path, make_table(make_parts(3), (103, 104, 109))), frame_rate=20)
    np.testing.assert_allclose(recording.seconds, [0, 0.05, 0.3])
    assert recording.frame_rate == 20


def damage(table: pyarrow.Table, column: str, values: Sequence[object]) -> pyarrow.Table:
    return table.set_column(table.column_names.index(column), column, pyarrow.array(values))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.drop(["landmark_index"]), "lacks the columns landmark_index"),
        (lambda t: t.drop(["type"]), "lacks the columns type"),
        (lambda t: t.slice(0, 1000), "has 1000 rows; expected 543 for each frame"),
        (lambda t: t.slice(0, 0), "has 0 rows; expected 543 for each frame"),
        (lambda t: t.take([1, 0, *range(2, len(t))]), "row 0 is face 1; expected face 0"),
        (lambda t: damage(t, "type", ["face"] * len(t)), "row 468 is face 0; expected left_hand 0"),
        (lambda t: damage(t, "type", [1] * len(t)), "row 0 is of an unknown type 0; expected face 0"),
        (lambda t: damage(t, "type", [None, *["face"] * (len(t) - 1)]), "row 0 is of an unknown type 0"),
        (lambda t: damage(t, "x", ["wide"] * len(t)), "is no parquet file of keypoints (could not convert string"),
        (lambda t: damage(t, "y", [1e30] * len(t)), "is damaged: a coordinate of 1e+30 frame widths"),
        (lambda t: damage(t, "frame", range(len(t))), "its frame numbers do not rise by frames of 543 rows"),
        (lambda t: damage(t, "frame", [7] * len(t)), "its frame numbers do not rise by frames of 543 rows"),
    ],
)
def test_tables_that_are_not_as_published_are_skipped(tmp_path, change, reason):
    clip = write(tmp_path, change(make_table(make_parts(2), (1, 2))))
    with pytest.raises(ClipError) as error:
        read_sequence(clip, 30)
    assert reason in error.value.reason
    assert "\n" not in error.value.reason


def test_a_sequence_without_any_keypoint_is_skipped(tmp_path):
    nowhere = {group: np.full_like(values, np.nan) for group, values in make_parts(2).items()}
    with pytest.raises(ClipError, match="every coordinate is missing"):
        read_sequence(write(tmp_path, make_table(nowhere, (1, 2))), 30)


def test_files_that_are_no_parquet_are_skipped(tmp_path):
    clip = write(tmp_path, make_table(make_parts(2), (1, 2)))
    whole = Path(clip.path).read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2], b"\0" * 5000):
        Path(clip.path).write_bytes(content)
        with pytest.raises(ClipError, match="is no parquet file of keypoints"):
            read_sequence(clip, 30)
    Path(clip.path).unlink()
    with pytest.raises(ClipError, match="no such file"):
        read_sequence(clip, 30)


def test_rows_that_make_no_sense_are_listed(asl_signs):
    good = row(1, 10, "TV")
    write_rows(
        asl_signs,
        [
            good,
            row(1, 11, "dance"),
            good,
            row(1, 12, ""),
            ("", 1, 13, "TV"),
            row(8, 99, "TV"),
            row(1, 14, "TV")[:3],
        ],
    )
    listing = list_clips(asl_signs)
    assert [clip.media_id for clip in listing.clips] == [good[0]]
    table = asl_signs / "train.csv"
    assert [(item.path, item.reason) for item in listing.skipped] == [
        (f"{table}:3", f"sign 'dance' is not in {LABELS}"),
        (f"{table}:4", "the same sequence as in line 2"),
        (f"{table}:5", "no sign"),
        (f"{table}:6", "no path"),
        (str(asl_signs / row(8, 99, "TV")[0]), "no such file"),
        (f"{table}:8", "has another number of values than the header"),
    ]
    assert "train.csv: 1 of 2 sequences are here" in listing.notes
    assert listing.missing == [row(8, 99, "TV")[0]]
    assert listing.coverage == {
        "metadata": "train.csv",
        "have": 1,
        "of": 2,
        "glosses": {"TV": {"have": 1, "of": 2}},
    }


def test_faults_of_the_tables(asl_signs, monkeypatch):
    (asl_signs / LABELS).write_text('{"TV": 0, "after": 2}')
    with pytest.raises(UserError, match="ids must run from 0 to 1"):
        list_clips(asl_signs)
    (asl_signs / LABELS).write_text('{"TV": 0, "after": 0, "all": 1}')
    with pytest.raises(UserError, match="each once"):
        list_clips(asl_signs)
    (asl_signs / LABELS).write_text('["TV"]')
    with pytest.raises(UserError, match=r'expected \{"sign": id'):
        list_clips(asl_signs)
    (asl_signs / LABELS).write_text("TV")
    with pytest.raises(UserError, match="is no JSON text"):
        list_clips(asl_signs)
    (asl_signs / LABELS).unlink()
    with pytest.raises(UserError, match=rf"{LABELS}: no such file"):
        list_clips(asl_signs)
    write_rows(asl_signs, [("a.parquet", 1)], columns="path,participant_id")
    with pytest.raises(UserError, match="has no column sequence_id, sign; found path, participant_id"):
        list_clips(asl_signs)
    (asl_signs / "train.csv").unlink()
    with pytest.raises(UserError, match=r"train\.csv: no such file"):
        list_clips(asl_signs)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'sign_keras\[gislr\]'"):
        list_clips(asl_signs)


def test_label_ids_are_kaggles_where_asked_for(asl_signs, tmp_path):
    ids = {"after": 0, "TV": 3, 'čaj "hot"': 1, "thank/you": 2}
    (asl_signs / LABELS).write_text(json.dumps(ids), encoding="utf-8")
    assert f"sorted list of the 4 signs found, not those of {LABELS}" in list_clips(asl_signs).notes[0]
    file, output = tmp_path / "kaggle_ids.json", tmp_path / "records"
    settings = {"source": {"write_label_map": str(file)}, "label_map": str(file)}
    info = convert_source("gislr", asl_signs, output, settings, workers=1)
    label_map = LabelMap.load(output / "label_map.json")
    assert {sign: label_map.id(sign) for sign in label_map} == ids
    records = [
        decode_record(record, info.layout)
        for split in info.splits
        for shard in find_shards(output, info, split)
        for record in read_shard(shard)
    ]
    assert len(records) == 12
    assert all(record["labels"].tolist() == [ids[record["glosses"][0]]] for record in records)
    assert all(record["keypoints"].shape == (2, 543, 3) for record in records)
    assert sorted(signer for split in info.splits.values() for signer in split.signers) == ["1", "2", "3"]


def test_the_whole_dataset_lists_in_seconds(tmp_path):
    num_sequences = 94_477
    signs = list(SIGNS)
    rows = [row(2000 + i % 21, 1_000_000_000 + i, signs[i % len(signs)]) for i in range(num_sequences)]
    write_rows(tmp_path / "asl-signs", rows)
    start = time.perf_counter()
    listing = list_clips(tmp_path / "asl-signs")
    seconds = time.perf_counter() - start
    assert listing.missing is not None
    assert len(listing.missing) == num_sequences  # none of the files is there, and none was asked for by itself
    assert seconds < 20  # about 1.5 s; ten times that on a machine that is busy
