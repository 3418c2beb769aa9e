import io
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.clips import Clip, ClipError
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.sources import SOURCES, Listing
from tfrecords_tools.sources.pose_files import read_pose
from tfrecords_tools.video import Span

pytest.importorskip("pose_format")
from pose_format.numpy import NumPyPoseBody
from pose_format.pose import Pose
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

WIDTH, HEIGHT = 640, 480
FINGERS = ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
HAND = [
    *("WRIST", "THUMB_CMC", "THUMB_MCP", "THUMB_IP", "THUMB_TIP"),
    *(f"{finger}_{joint}" for finger in FINGERS for joint in ("MCP", "PIP", "DIP", "TIP")),
]
BODY = [point.upper() for point in dict(MEDIAPIPE_HOLISTIC.groups)["pose"]]
PUBLISHED = {
    "POSE_LANDMARKS": BODY,
    "FACE_LANDMARKS": [str(index) for index in range(478)],
    "LEFT_HAND_LANDMARKS": HAND,
    "RIGHT_HAND_LANDMARKS": HAND,
    "POSE_WORLD_LANDMARKS": BODY,
}
ROWS = {  # where a file of the published components has each group of the layout
    "pose": slice(0, 33),
    "face": slice(33, 501),
    "left_hand": slice(511, 532),
    "right_hand": slice(532, 553),
}


def make_values(
    num_frames: int, components: dict[str, list[str]] = PUBLISHED, people: int = 1, dimensions: int = 3
):
    """Pixels all over the picture, and depths about 0, as float32 ``[T, people, points, dimensions]``."""
    num_points = sum(map(len, components.values()))
    values = np.random.default_rng(0).random((num_frames, people, num_points, dimensions)).astype(np.float32)
    values[..., :2] *= (WIDTH, HEIGHT)
    values[..., 2:] = 0.1 * values[..., 2:] - 0.05
    return values


def write_pose(
    path: Path,
    values: np.ndarray,
    confidence: np.ndarray | None = None,
    components: dict[str, list[str]] = PUBLISHED,
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    frame_rate: float = 30,
    point_format: str = "XYZC",
) -> Clip:
    header = PoseHeader(
        0.2,
        PoseHeaderDimensions(*size, 0),
        [PoseHeaderComponent(name, points, [], [], point_format) for name, points in components.items()],
    )
    if confidence is None:
        confidence = np.ones(values.shape[:3], np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Pose(header, NumPyPoseBody(frame_rate, values, confidence)).write(file)
    return Clip(str(path), ("hello",), path.name)


def list_clips(folder: Path, text: str) -> Listing:
    (folder / "manifest.csv").write_text(text, encoding="utf-8")
    return SOURCES["pose_files"]().list_clips(folder)


def points_of(keypoints: ClipKeypoints, group: str) -> np.ndarray:
    return keypoints.points[:, MEDIAPIPE_HOLISTIC.group_slices[group]]


def assert_pixels(points: np.ndarray, values: np.ndarray) -> None:
    """float16 ``points`` are the file's ``values``: pixels by the picture's size, depths as they are."""
    np.testing.assert_array_equal(points, (values / np.float32([WIDTH, HEIGHT, 1])).astype(np.float16))


def test_pixels_become_frame_widths_and_depths_stay(tmp_path):
    values = make_values(3)
    recording = read_pose(write_pose(tmp_path / "a.pose", values, frame_rate=29.97))
    for group, rows in ROWS.items():
        assert_pixels(points_of(recording.keypoints, group), values[:, 0, rows])
    assert recording.keypoints.presence.all()
    assert recording.frame_rate == pytest.approx(29.97)
    np.testing.assert_allclose(recording.seconds, np.arange(3) / 29.97, rtol=1e-6)
    assert recording.aspect_ratio == pytest.approx(4 / 3)


def test_points_are_found_by_name(tmp_path):
    components = {name: PUBLISHED[name][::-1] for name in ("RIGHT_HAND_LANDMARKS", "POSE_LANDMARKS")}
    values = make_values(2, components)
    keypoints = read_pose(write_pose(tmp_path / "a.pose", values, components=components)).keypoints
    assert_pixels(points_of(keypoints, "right_hand"), values[:, 0, 20::-1])
    assert_pixels(points_of(keypoints, "pose"), values[:, 0, :20:-1])
    assert keypoints.presence.tolist() == [[True, False, False, True]] * 2
    assert np.isnan(points_of(keypoints, "face")).all()


def test_confidence_zero_is_missing(tmp_path):
    confidence = np.ones((3, 1, 586), np.float32)
    confidence[0, 0, ROWS["left_hand"]] = 0
    confidence[1, 0, BODY.index("LEFT_KNEE")] = 0
    confidence[2, 0, BODY.index("LEFT_KNEE")] = 0.25
    values = make_values(3)
    values[2, 0, ROWS["face"].start + 5, 1] = np.nan
    keypoints = read_pose(write_pose(tmp_path / "a.pose", values, confidence)).keypoints
    assert keypoints.presence.tolist() == [  # pose, face, left hand, right hand
        [True, True, False, True],
        [False, True, True, True],
        [True, False, True, True],
    ]
    knee = MEDIAPIPE_HOLISTIC.row("pose/left_knee")
    assert np.isnan(keypoints.points[:, knee, 0]).tolist() == [False, True, False]
    assert keypoints.visibility[:, knee].tolist() == [1, 0, 0.25]
    # The rest of a group that was not found whole is kept.
    assert np.isnan(points_of(keypoints, "pose")).any(axis=2).sum() == 1
    assert np.isnan(points_of(keypoints, "left_hand")[0]).all()


def test_two_dimensions_get_depth_zero(tmp_path):
    values = make_values(2, dimensions=2)
    keypoints = read_pose(write_pose(tmp_path / "a.pose", values, point_format="XYC")).keypoints
    assert_pixels(points_of(keypoints, "face"), np.pad(values[:, 0, ROWS["face"]], ((0, 0), (0, 0), (0, 1))))
    assert keypoints.presence.all()


def test_of_several_people_the_first_is_taken(tmp_path):
    values = make_values(2, people=2)
    clip = write_pose(tmp_path / "a.pose", values)
    assert_pixels(points_of(read_pose(clip).keypoints, "pose"), values[:, 0, ROWS["pose"]])
    (note,) = list_clips(tmp_path, "path,gloss\na.pose,hello\n").notes
    assert "holds 2 people: of each file the first is taken" in note


def test_depths_of_a_file_that_was_moved(tmp_path):
    values = make_values(4)
    for group, origin in (("left_hand", [0]), ("right_hand", [0]), ("pose", [23, 24])):
        values[:, :, ROWS[group].start + np.array(origin), 2] = 0
    confidence = np.ones(values.shape[:3], np.float32)
    confidence[0, 0, ROWS["left_hand"]] = 0
    plain = read_pose(write_pose(tmp_path / "a.pose", values, confidence)).keypoints
    moved = read_pose(write_pose(tmp_path / "b.pose", values + np.float32([0, 0, 250]), confidence)).keypoints
    np.testing.assert_allclose(moved.points.astype(float), plain.points.astype(float), atol=1e-3)


def test_a_reduced_file_gets_a_layout_of_its_points(tmp_path):
    face = ["0", "7", "249", "466"]
    components = {
        "POSE_LANDMARKS": ["LEFT_SHOULDER", "RIGHT_SHOULDER"],
        "FACE_LANDMARKS": face,
        "LEFT_HAND_LANDMARKS": HAND,
        "RIGHT_HAND_LANDMARKS": HAND,
    }
    values = make_values(2, components)
    write_pose(tmp_path / "reduced.pose", values, components=components)
    write_pose(tmp_path / "whole.pose", make_values(2))
    fewer = {"POSE_LANDMARKS": ["LEFT_SHOULDER"], "RIGHT_HAND_LANDMARKS": HAND}
    write_pose(tmp_path / "fewer.pose", make_values(2, fewer), components=fewer)
    listing = list_clips(tmp_path, "path,gloss\nreduced.pose,a\nwhole.pose,a\nfewer.pose,a\n")
    layout, reader = listing.layout, listing.reader
    assert layout is not None
    assert reader is not None
    assert layout.name == "mediapipe_holistic_48"
    assert layout.names[:6] == ("pose/left_shoulder", "pose/right_shoulder", *(f"face/{index}" for index in face))
    assert ("face/7", "face/249") in layout.mirror_pairs
    assert "records get the layout mediapipe_holistic_48" in listing.notes[0]
    reduced, whole = (reader(clip).keypoints for clip in listing.clips[:2])
    assert_pixels(reduced.points, values[:, 0])
    assert reduced.visibility.shape == (2, 2)
    assert whole.points.shape == (2, 48, 3)
    assert whole.presence.all()
    with pytest.raises(ClipError, match="has 1 of the 2 points of the group pose in mediapipe_holistic_48"):
        reader(listing.clips[2])
    with pytest.raises(ClipError, match="has 2 of the 33 points of the group pose in mediapipe_holistic"):
        read_pose(listing.clips[0])


def version_0_1(clip: Clip, people: int = 1) -> bytes:
    """The file of a clip in version 0.1, whose body starts with three shorts: rate, frames and people."""
    pose = Pose.read(Path(clip.path).read_bytes())
    header = io.BytesIO()
    pose.header.write(header)
    body = struct.pack("<HHH", round(pose.body.fps), len(pose.body.data), people)
    arrays = pose.body.data.data.astype("<f4").tobytes() + pose.body.confidence.astype("<f4").tobytes()
    return struct.pack("<f", 0.1) + header.getvalue()[4:] + body + arrays


def test_version_0_1(tmp_path):
    values = make_values(4)
    clip = write_pose(tmp_path / "a.pose", values)
    expected, old = read_pose(clip), version_0_1(clip)
    Path(clip.path).write_bytes(old)
    recording = read_pose(clip)
    np.testing.assert_array_equal(recording.keypoints.points, expected.keypoints.points)
    assert recording.frame_rate == 30
    for length in (len(old) // 2, len(old) - 586 * 16, len(old) - 1):
        Path(clip.path).write_bytes(old[:length])
        with pytest.raises(ClipError, match=r"is cut off or damaged: has [0-3] frames and states 4"):
            read_pose(clip)
    Path(clip.path).write_bytes(version_0_1(clip=write_pose(tmp_path / "b.pose", values), people=0))
    with pytest.raises(ClipError, match=r"is no \.pose file, or is damaged"):
        read_pose(clip)


def test_version_0_0(tmp_path):
    """Its frames follow each other, and in them people, whose components hold points with their confidence."""
    values = make_values(2)
    confidence = np.ones(values.shape[:3], np.float32)
    confidence[1, 0, ROWS["right_hand"]] = 0
    clip = write_pose(tmp_path / "a.pose", values, confidence)
    expected = read_pose(clip)
    header = io.BytesIO()
    Pose.read(Path(clip.path).read_bytes()).header.write(header)
    content = struct.pack("<f", 0) + header.getvalue()[4:] + struct.pack("<HH", 30, len(values))
    for frame in np.concatenate([values, confidence[..., None]], axis=3):
        content += struct.pack("<Hh", 1, 0) + frame[0].astype("<f4").tobytes()
    Path(clip.path).write_bytes(content)
    recording = read_pose(clip)
    np.testing.assert_array_equal(recording.keypoints.points, expected.keypoints.points)
    assert recording.keypoints.presence.tolist() == [[True] * 4, [True, True, True, False]]


def test_damaged_files_are_skipped(tmp_path):
    clip = write_pose(tmp_path / "a.pose", make_values(4))
    whole = Path(clip.path).read_bytes()
    noise = np.random.default_rng(0).bytes(2000)
    for content in (b"", b"path,gloss\n", noise, whole[:100], whole[: len(whole) // 2], whole[:-1]):
        Path(clip.path).write_bytes(content)
        with pytest.raises(ClipError, match=r"is no \.pose file, or is damaged"):
            read_pose(clip)
    Path(clip.path).write_bytes(whole + b"\0" * 8)
    with pytest.raises(ClipError, match="8 bytes follow after its 4 frames"):
        read_pose(clip)
    Path(clip.path).unlink()
    with pytest.raises(ClipError, match="no such file"):
        read_pose(clip)
    with pytest.raises(ClipError, match="cannot be read"):
        read_pose(Clip(str(tmp_path), ("hello",), "folder"))


def one_huge_value(values: np.ndarray) -> np.ndarray:
    values[0, 0, 0, 0] = 1e9
    return values


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (lambda v: v * 0 + np.nan, {}, "every point is missing"),
        (lambda v: (v - v.mean()) / v.std(), {}, "its values were normalised and are no pixels"),
        (lambda v: v * 100, {}, "far outside of its picture of 640x480"),
        (one_huge_value, {}, "is damaged: a coordinate of 1.5625e+06 frame widths"),
        (lambda v: v, {"size": (0, 480)}, "states a picture of 0x480 pixels at 30 frames a second"),
        (lambda v: v, {"frame_rate": 0}, "states a picture of 640x480 pixels at 0 frames a second"),
        (lambda v: v, {"point_format": "YXZC"}, "POSE_LANDMARKS has the format YXZC; expected XYC or XYZC"),
        (lambda v: v[:, :0], {}, "holds nobody"),
    ],
)
def test_values_that_are_no_pixels_are_skipped(tmp_path, change, options, reason):
    clip = write_pose(tmp_path / "a.pose", change(make_values(3)), **options)
    with pytest.raises(ClipError) as error:
        read_pose(clip)
    assert reason in error.value.reason


def test_files_in_units_of_the_picture(tmp_path):
    values = make_values(3)
    values[..., :2] /= (WIDTH, HEIGHT)
    keypoints = read_pose(write_pose(tmp_path / "a.pose", values, size=(1, 1))).keypoints
    np.testing.assert_array_equal(points_of(keypoints, "pose"), values[:, 0, ROWS["pose"]].astype(np.float16))


OPENPOSE = {"pose_keypoints_2d": ["Nose", "Neck"], "hand_left_keypoints_2d": ["BASE"]}


def test_other_formats(tmp_path):
    clip = write_pose(tmp_path / "open.pose", make_values(2, OPENPOSE), components=OPENPOSE)
    with pytest.raises(ClipError, match="has the components pose_keypoints_2d, hand_left_keypoints_2d; expected"):
        read_pose(clip)
    with pytest.raises(
        UserError, match=r"open\.pose: has the components pose_keypoints_2d.*source keypoint_arrays"
    ):
        list_clips(tmp_path, "path,gloss\nnowhere.pose,a\nopen.pose,b\n")


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(), range(10)),
        (Span(start_frame=2, end_frame=5), range(2, 5)),
        (Span(start_frame=7), range(7, 10)),
        (Span(start_seconds=0.2, end_seconds=0.6), range(2, 6)),
        (Span(end_seconds=1.0), range(10)),
    ],
)
def test_spans(tmp_path, span, expected):
    clip = write_pose(tmp_path / "a.pose", make_values(10), frame_rate=10)
    whole = read_pose(clip)
    part = read_pose(Clip(clip.path, clip.glosses, clip.media_id, span=span))
    np.testing.assert_array_equal(part.keypoints.points, whole.keypoints.points[expected.start : expected.stop])
    np.testing.assert_allclose(part.seconds, np.arange(len(expected)) / 10)


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        (Span(end_frame=11), "has 10 frames; the clip is said to be 0 to 11"),
        (Span(start_frame=10), "has 10 frames; the clip is said to be 10 to 10"),
        (Span(end_seconds=1.2), "has 10 frames and ends before 1.2 s"),
    ],
)
def test_spans_that_lie_outside_are_skipped(tmp_path, span, reason):
    clip = write_pose(tmp_path / "a.pose", make_values(10), frame_rate=10)
    with pytest.raises(ClipError, match=reason):
        read_pose(Clip(clip.path, clip.glosses, clip.media_id, span=span))


def test_rows_that_make_no_sense_are_listed(tmp_path, monkeypatch):
    write_pose(tmp_path / "a.pose", make_values(2))
    listing = list_clips(tmp_path, "path,gloss,split,bbox\na.pose,hello,,\na.pose,,,\na.pose,x,,0 0 9 9\n")
    assert [clip.media_id for clip in listing.clips] == ["a.pose"]
    assert [item.reason for item in listing.skipped] == [
        "no gloss",
        "has a bbox, but keypoints are no picture to cut",
    ]
    with pytest.raises(UserError, match="path"):
        list_clips(tmp_path, "file,gloss\na.pose,hello\n")
    monkeypatch.setitem(sys.modules, "pose_format", None)
    with pytest.raises(UserError, match=r"pip install 'sign_keras\[pose\]'"):
        list_clips(tmp_path, "path,gloss\na.pose,hello\n")


def rows_of(glosses: Sequence[str], split: str) -> list[str]:
    return [f'{split}{index}.pose,"{gloss}",{split}' for index, gloss in enumerate(glosses)]


def test_conversion(tmp_path):
    glosses = ["yes/no", 'the ""big"" one', "čaj"]
    rows = [row for split in ("train", "validation", "test") for row in rows_of(glosses, split)]
    for row in rows:
        write_pose(tmp_path / row.partition(",")[0], make_values(2))
    (tmp_path / "train2.pose").write_bytes(b"damaged")
    (tmp_path / "manifest.csv").write_text("\n".join(["path,gloss,split", *rows]), encoding="utf-8")
    info = convert_source("pose_files", tmp_path, tmp_path / "records", {}, workers=1)
    assert {split: part.clips for split, part in info.splits.items()} == {"train": 2, "validation": 3, "test": 3}
    assert info.splits["test"].glosses == {"yes/no": 1, 'the "big" one': 1, "čaj": 1}
    assert info.num_skipped == 1
    assert 'train2.pose,"is no .pose file' in (tmp_path / "records/skipped.csv").read_text(encoding="utf-8")
    assert info.layout is MEDIAPIPE_HOLISTIC
