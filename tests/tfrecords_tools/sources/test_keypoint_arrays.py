import io
import json
from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.clips import ClipError, ClipSpec, SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.extract import KeypointRecording, SkippedClip, extract_clip
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.schema import decode_record
from tfrecords_tools.settings import validate
from tfrecords_tools.shards import find_shards, read_shard
from tfrecords_tools.sources import SOURCES, Listing

LAYOUT = {
    "name": "three_points",
    "points": ["left_hand/wrist", "right_hand/wrist", "right_hand/index_tip"],
    "mirror_pairs": [["left_hand/wrist", "right_hand/wrist"]],
    "frame_rate": 20,
}


def make_array(num_frames: int = 6, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(num_frames).uniform(0, 1, (num_frames, 3, channels)).astype(np.float32)


def write_folder(folder: Path, manifest: str, layout: object = None, **arrays: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_text(manifest, encoding="utf-8")
    (folder / "layout.json").write_text(json.dumps(LAYOUT if layout is None else layout), encoding="utf-8")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def list_clips(path: Path) -> Listing:
    return validate(SOURCES["keypoint_arrays"], {}, "--set source").list_clips(path)


def read_one(folder: Path, array: np.ndarray, **layout: object) -> KeypointRecording:
    write_folder(folder, "path,gloss\na.npy,hello\n", LAYOUT | layout, a=array)
    listing = list_clips(folder)
    assert listing.reader is not None
    return listing.reader(listing.clips[0])


def test_rows_become_clips(tmp_path):
    write_folder(
        tmp_path,
        "path,gloss,glosses,signer,split,mood\n"
        'a.npy,"čaj / ""káva"", it\'s",,anna,train,glad\n'
        "b.npy,,IX SEE,,,\n"
        "c.npy,,,,,\n",
    )
    listing = list_clips(tmp_path)
    a, b = listing.clips
    assert (a.glosses, a.signer, a.split, a.media_id) == (('čaj / "káva", it\'s',), "anna", "train", "a.npy")
    assert a.metadata["mood"] == "glad"
    assert (b.glosses, b.signer, b.split) == (("IX", "SEE"), "", None)
    assert listing.skipped == [SkippedPath(f"{tmp_path / 'manifest.csv'}:4", "no gloss")]
    assert listing.layout is not None
    assert list(listing.layout.names) == LAYOUT["points"]
    assert listing.layout.mirror_permutation == (1, 0, 2)
    assert [clip.path for clip in list_clips(tmp_path / "manifest.csv").clips] == [a.path, b.path]


def test_arrays_become_keypoints(tmp_path):
    array = make_array()
    array[1, 0, 1] = np.nan
    array[2, 2] = np.nan
    recording = read_one(tmp_path, array)
    points = recording.keypoints.points
    assert (points.shape, points.dtype) == ((6, 3, 3), np.float16)
    expected = array.astype(np.float16)
    expected[1, 0] = np.nan  # a point without its y is no point
    np.testing.assert_array_equal(points, expected)
    present = np.ones((6, 2), bool)
    present[1, 0] = present[2, 1] = False
    np.testing.assert_array_equal(recording.keypoints.presence, present)
    assert np.isfinite(points[2, 1]).all()  # found, though its group was not found whole
    assert recording.keypoints.visibility.shape == (6, 0)
    np.testing.assert_allclose(recording.seconds, np.arange(6) / 20)
    assert (recording.frame_rate, recording.aspect_ratio) == (20, 0)


def test_two_coordinates_get_a_zero(tmp_path):
    array = make_array(channels=2)
    array[0, 0] = np.nan
    points = read_one(tmp_path, array, aspect_ratio=1.25).keypoints.points
    np.testing.assert_array_equal(points[..., :2], array.astype(np.float16))
    assert np.isnan(points[0, 0, 2])
    assert (points[1:, :, 2] == 0).all()
    assert read_one(tmp_path, array, aspect_ratio=1.25).aspect_ratio == 1.25


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_pixels_are_divided_by_the_pictures_size(tmp_path, dtype):
    array = (make_array() * 600).astype(dtype)
    recording = read_one(tmp_path, array, width=640, height=480)
    expected = array / np.array([640, 480, 640])
    np.testing.assert_allclose(recording.keypoints.points, expected, atol=5e-4)
    assert recording.aspect_ratio == 640 / 480


def test_pixels_without_a_size_are_refused(tmp_path):
    with pytest.raises(ClipError, match=r"x and y reach 5\d\d.* and 5\d\d.*give the picture's width and height"):
        read_one(tmp_path, make_array(12) * 600)
    some = make_array(12)
    some[:5] *= 600  # a tracker that went astray, not another unit
    assert read_one(tmp_path, some).keypoints.presence.all()


def test_spans_of_one_array(tmp_path):
    array = make_array(10)
    write_folder(
        tmp_path,
        "path,gloss,start_frame,end_frame,start_seconds,end_seconds\n"
        "a.npy,hello,0,4,,\n"
        "a.npy,yes,4,,,\n"
        "a.npy,no,,,0.1,0.35\n"
        "a.npy,late,8,11,,\n"
        "a.npy,later,,,0.1,0.6\n",
        a=array,
    )
    listing = list_clips(tmp_path)
    assert listing.reader is not None
    for clip, rows in zip(listing.clips, (slice(0, 4), slice(4, 10), slice(2, 7)), strict=False):
        recording = listing.reader(clip)
        np.testing.assert_array_equal(recording.keypoints.points, array[rows].astype(np.float16))
        np.testing.assert_allclose(recording.seconds, np.arange(len(array[rows])) / 20)
    with pytest.raises(ClipError, match="has 10 frames; the clip is said to be 8 to 11"):
        listing.reader(listing.clips[3])
    with pytest.raises(ClipError, match=r"has 10 frames and ends before 0\.6 s"):
        listing.reader(listing.clips[4])


def test_a_bbox_makes_no_sense(tmp_path):
    write_folder(tmp_path, "path,gloss,bbox\na.npy,hello,0 0 5 5\nb.npy,yes,\n")
    listing = list_clips(tmp_path)
    assert [clip.media_id for clip in listing.clips] == ["b.npy"]
    assert [(Path(item.path).name, item.reason) for item in listing.skipped] == [
        ("a.npy", "has a bbox, but an array is no picture to cut")
    ]


BAD_ARRAYS = {
    "other points": (np.zeros((5, 4, 3)), r"is 5x4x3; expected frames x 3 points"),
    "four numbers a point": (np.zeros((5, 3, 4)), r"is 5x3x4; expected frames x 3 points .* x 2 or 3 coordinates"),
    "flat": (np.zeros((5, 9)), "is 5x9; expected"),
    "no array": (np.float32(1), "is a single number; expected"),
    "text": (np.full((5, 3, 2), "a"), "holds <U1, not numbers"),
    "truth values": (np.ones((5, 3, 2), bool), "holds bool, not numbers"),
    "infinite": (np.full((5, 3, 2), np.inf), "holds infinite or huge values; a missing point is NaN"),
    "huge": (np.full((5, 3, 2), 1e300), "holds infinite or huge values"),
}


@pytest.mark.parametrize("fault", BAD_ARRAYS)
def test_a_bad_array_is_a_skipped_clip(tmp_path, fault):
    array, reason = BAD_ARRAYS[fault]
    with pytest.raises(ClipError, match=reason):
        read_one(tmp_path, array)


class Trap:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("was unpickled",))


def npz_bytes(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


BAD_FILES = {
    "missing": (lambda file: file.unlink(), "no such file"),
    "empty": (lambda file: file.write_bytes(b""), r"is no \.npy array"),
    "cut off": (lambda file: file.write_bytes(file.read_bytes()[:-9]), r"is no \.npy array, or is cut off"),
    "pickle": (
        lambda file: np.save(file, np.array([Trap()], object), allow_pickle=True),
        r"is no \.npy array.*[oO]bjects",
    ),
    "bare pickle": (lambda file: np.array([Trap()], object).dump(file), r"is no \.npy array"),
    "archive": (lambda file: file.write_bytes(npz_bytes(a=make_array())), r"is an \.npz archive"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_file_is_a_skipped_clip(tmp_path, fault):
    write_folder(tmp_path, "path,gloss\na.npy,hello\n", a=make_array())
    spoil, reason = BAD_FILES[fault]
    spoil(tmp_path / "a.npy")
    listing = list_clips(tmp_path)
    skipped = extract_clip(listing.clips[0], ClipSpec(frames=False), listing.reader)
    assert isinstance(skipped, SkippedClip)
    assert listing.reader is not None
    with pytest.raises(ClipError, match=reason):
        listing.reader(listing.clips[0])


def test_an_array_without_frames_is_a_skipped_clip(tmp_path):
    write_folder(tmp_path, "path,gloss\na.npy,hello\n", a=np.zeros((0, 3, 2)))
    listing = list_clips(tmp_path)
    skipped = extract_clip(listing.clips[0], ClipSpec(frames=False), listing.reader)
    assert isinstance(skipped, SkippedClip)
    assert skipped.reason == "holds no frame"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": ["wrist"]}, "point 'wrist': expected group/point"),
        ({"points": []}, "points: "),
        ({"frame_rate": 0}, "frame_rate: "),
        ({"frames": 20}, "frames: unknown key"),
        ({"mirror_pairs": [["left_hand/wrist", "right_hand/thumb"]]}, "that do not exist: right_hand/thumb"),
        ({"width": 640}, "width and height: give both"),
        ({"width": 640, "height": 480, "aspect_ratio": 1}, "aspect_ratio follows from width and height"),
        ({"name": "mediapipe_holistic"}, "points: 3 given, 543 in the layout mediapipe_holistic"),
    ],
)
def test_layout_faults(tmp_path, change, message):
    write_folder(tmp_path, "path,gloss\na.npy,hello\n", LAYOUT | change)
    with pytest.raises(UserError, match=message) as error:
        list_clips(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "layout.json"))


def test_layouts_of_a_known_name_must_be_that_one(tmp_path):
    points = list(MEDIAPIPE_HOLISTIC.names)
    known = {"name": "mediapipe_holistic", "points": points, "frame_rate": 30}
    write_folder(tmp_path, "path,gloss\na.npy,hello\n", known, a=np.zeros((2, 543, 3)))
    listing = list_clips(tmp_path)
    assert listing.layout == MEDIAPIPE_HOLISTIC
    assert listing.reader is not None
    assert listing.reader(listing.clips[0]).keypoints.visibility.shape == (2, 33)
    swapped = [points[1], points[0], *points[2:]]
    write_folder(tmp_path, "path,gloss\na.npy,hello\n", known | {"points": swapped})
    with pytest.raises(UserError, match=r"row 0 is given as 'pose/left_eye_inner', it is 'pose/nose'"):
        list_clips(tmp_path)
    write_folder(tmp_path, "path,gloss\na.npy,hello\n", known | {"mirror_pairs": [points[:2]]})
    with pytest.raises(UserError, match="mirror_pairs: are not those of the layout"):
        list_clips(tmp_path)


def test_missing_and_broken_tables(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.csv: no such manifest"):
        list_clips(tmp_path)
    write_folder(tmp_path, "path,gloss\na.npy,hello\n")
    (tmp_path / "layout.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"layout\.json: is no JSON"):
        list_clips(tmp_path)
    (tmp_path / "layout.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match=r"layout\.json: is no JSON"):
        list_clips(tmp_path)
    (tmp_path / "layout.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"layout\.json: holds no JSON object"):
        list_clips(tmp_path)
    (tmp_path / "layout.json").unlink()
    with pytest.raises(UserError, match=r"layout\.json: no such file; it must name the arrays' points"):
        list_clips(tmp_path)
    write_folder(tmp_path, "path,signer\na.npy,anna\n")
    with pytest.raises(UserError, match="needs the columns path and gloss"):
        list_clips(tmp_path)


def test_folder_to_records(tmp_path):
    arrays = {f"clip{number}": make_array(3 + number) for number in range(8)}
    arrays["clip3"][0, 1] = np.nan
    rows = [f'{name}.npy,"it\'s / {number % 2}",s{number % 4}' for number, name in enumerate(arrays)]
    write_folder(tmp_path / "arrays", "\n".join(["path,gloss,signer", *rows, "gone.npy,hello,s1"]), **arrays)
    (tmp_path / "map.json").write_text('{"0": "it\'s / 1"}', encoding="utf-8")
    for name, settings, clips in (("all", {}, 8), ("half", {"label_map": str(tmp_path / "map.json")}, 4)):
        output = tmp_path / name
        info = convert_source("keypoint_arrays", tmp_path / "arrays", output, settings, workers=1)
        inspection = inspect_records(output)
        assert inspection.problems == []
        assert sum(part.clips for part in info.splits.values()) == clips
        assert info.num_skipped == 9 - clips
        layout = DatasetInfo.load(output).layout
        assert layout is not None
        assert list(layout.names) == LAYOUT["points"]
        for split in info.splits:
            if info.splits[split].clips:
                for shard in find_shards(output, info, split):
                    for serialized in read_shard(shard):
                        record = decode_record(serialized, layout)
                        array = arrays[record["media_id"].removesuffix(".npy")]
                        np.testing.assert_array_equal(record["keypoints"], array.astype(np.float16))


def test_a_changed_layout_reads_clips_again(tmp_path):
    write_folder(tmp_path / "arrays", "path,gloss\na.npy,hello\n", a=make_array(3))
    rates = []
    for frame_rate in (20, 40):
        (tmp_path / "arrays" / "layout.json").write_text(json.dumps(LAYOUT | {"frame_rate": frame_rate}))
        info = convert_source("keypoint_arrays", tmp_path / "arrays", tmp_path / "records", {}, workers=1)
        (split,) = (split for split, part in info.splits.items() if part.clips)
        (shard,) = find_shards(tmp_path / "records", info, split)
        rates += [decode_record(record, None)["frame_rate"] for record in read_shard(shard)]
    assert rates == [20, 40]


def test_the_reader_goes_to_workers_cheaply(tmp_path):
    """It is pickled once a clip: names of 543 points would be more than most arrays."""
    import cloudpickle

    known = {"name": "mediapipe_holistic", "points": list(MEDIAPIPE_HOLISTIC.names), "frame_rate": 30}
    write_folder(tmp_path, "path,gloss\na.npy,hello\n", known)
    listing = list_clips(tmp_path)
    pickled = cloudpickle.dumps(listing.reader)
    assert len(pickled) < 1000
    with pytest.raises(ClipError, match="no such file"):
        cloudpickle.loads(pickled)(listing.clips[0])
