import shutil
from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.clips import ClipError, ClipSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source
from tfrecords_tools.extract import KeypointRecording, SkippedClip, extract_clip
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import SettingsError, validate
from tfrecords_tools.sources import SOURCES, Listing

POSE, FACE, LEFT, RIGHT = (MEDIAPIPE_HOLISTIC.group_slices[group] for group, _ in MEDIAPIPE_HOLISTIC.groups)


def list_clips(path: Path, **settings: object) -> Listing:
    return validate(SOURCES["mp_data"], settings, "--set source").list_clips(path)


def read_only_clip(path: Path, **settings: object) -> KeypointRecording:
    listing = list_clips(path, **settings)
    (clip,) = listing.clips
    assert listing.reader is not None
    return listing.reader(clip)


def make_frames(num_frames: int = 4, width: int = 258, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 1.5, (num_frames, width))


def write_sequence(folder: Path, frames: np.ndarray, first: int = 0, name: str = "{}.npy") -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, first):
        np.save(folder / name.format(number), frame)
    return folder


def as_the_tutorial_writes(pose: np.ndarray, face: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``extract_keypoints`` of the tutorial, for one frame: each part flat, one after the other."""
    return np.concatenate([pose.flatten(), face.flatten(), left.flatten(), right.flatten()])


def test_frames_become_keypoints(tmp_path):
    rng = np.random.default_rng(1)
    parts = [rng.uniform(0, 1, shape) for shape in ((33, 4), (468, 3), (21, 3), (21, 3))]
    write_sequence(tmp_path / "hello" / "0", np.stack([as_the_tutorial_writes(*parts)] * 2))
    recording = read_only_clip(tmp_path)
    points = recording.keypoints.points
    assert points.shape == (2, 543, 3)
    assert points.dtype == np.float16
    for rows, part in zip((POSE, FACE, LEFT, RIGHT), parts, strict=True):
        np.testing.assert_array_equal(points[1, rows], part[:, :3].astype(np.float16))
    np.testing.assert_array_equal(recording.keypoints.visibility[1], parts[0][:, 3].astype(np.float16))
    assert recording.keypoints.presence.all()
    np.testing.assert_allclose(recording.seconds, [0, 1 / 30])
    assert (recording.frame_rate, recording.aspect_ratio) == (30, 0)


def test_without_a_face(tmp_path):
    frames = make_frames(width=258)
    write_sequence(tmp_path / "hello" / "0", frames)
    keypoints = read_only_clip(tmp_path).keypoints
    assert keypoints.presence.tolist() == [[True, False, True, True]] * 4
    assert np.isnan(keypoints.points[:, FACE]).all()
    np.testing.assert_array_equal(keypoints.points[2, RIGHT], frames[2, -63:].reshape(21, 3).astype(np.float16))
    np.testing.assert_array_equal(keypoints.points[2, LEFT], frames[2, -126:-63].reshape(21, 3).astype(np.float16))


def test_zeros_are_not_found(tmp_path):
    frames = make_frames(4, width=1662)
    frames[0, :132] = 0
    frames[1, 132:1536] = 0
    frames[2, 1536:1599] = 0
    frames[3, 1599:] = 0
    frames[3, 0] = 0  # a point at the picture's edge is one that was found
    write_sequence(tmp_path / "hello" / "0", frames)
    keypoints = read_only_clip(tmp_path).keypoints
    np.testing.assert_array_equal(keypoints.presence, ~np.eye(4, dtype=bool))
    for frame, rows in enumerate((POSE, FACE, LEFT, RIGHT)):
        assert np.isnan(keypoints.points[frame, rows]).all()
    assert np.isfinite(keypoints.points[3, POSE]).all()


@pytest.mark.parametrize("name", ["{}.npy", "frame_{}.npy", "{:03}.npy"])
@pytest.mark.parametrize("first", [0, 1, 9])
def test_frames_are_read_in_natural_order(tmp_path, name, first):
    frames = make_frames(12)
    write_sequence(tmp_path / "hello" / "0", frames, first, name)
    np.testing.assert_array_equal(
        read_only_clip(tmp_path).keypoints.points[:, RIGHT.start],
        frames[:, -63:-60].astype(np.float16),
    )


def test_other_files_beside_frames_are_left_alone(tmp_path):
    folder = write_sequence(tmp_path / "hello" / "0", make_frames(3))
    for name in ("._1.npy", "preview.jpg", "7.npy.tmp"):
        (folder / name).write_bytes(b"no array")
    assert len(read_only_clip(tmp_path).seconds) == 3


def test_clips_are_listed_in_natural_order_and_by_name_alone(tmp_path):
    for name in ("yes/10", "yes/9", "hello/anna_1", "thank you/0", "hello/.hidden", ".git/0"):
        write_sequence(tmp_path / name, make_frames(1))
    for name in ("yes/notes.txt", "hello/.DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    listing = list_clips(tmp_path, signer_pattern="/(?P<signer>[a-z]+)_[0-9]+")
    assert [(clip.media_id, clip.glosses, clip.signer, clip.split) for clip in listing.clips] == [
        ("hello/anna_1", ("hello",), "anna", None),
        ("thank you/0", ("thank you",), "", None),
        ("yes/9", ("yes",), "", None),
        ("yes/10", ("yes",), "", None),
    ]
    assert [(Path(item.path).name, item.reason) for item in listing.skipped] == [
        ("empty", "holds no sequence"),
        ("notes.txt", "is no folder of frames"),
    ]


def test_splits_in_folders(tmp_path):
    for split in ("train", "val", "test"):
        write_sequence(tmp_path / split / "hello" / "0", make_frames(1))
    assert {(clip.media_id, clip.split, clip.glosses) for clip in list_clips(tmp_path).clips} == {
        ("train/hello/0", "train", ("hello",)),
        ("val/hello/0", "validation", ("hello",)),
        ("test/hello/0", "test", ("hello",)),
    }


def test_settings(tmp_path):
    write_sequence(tmp_path / "hello" / "0", make_frames(3))
    recording = read_only_clip(tmp_path, frame_rate=15, aspect_ratio=4 / 3)
    np.testing.assert_allclose(recording.seconds, [0, 1 / 15, 2 / 15])
    assert (recording.frame_rate, recording.aspect_ratio) == (15, 4 / 3)
    with pytest.raises(SettingsError, match="frame_rate"):
        list_clips(tmp_path, frame_rate=0)
    with pytest.raises(SettingsError, match="gaps"):
        list_clips(tmp_path, gaps="close")
    with pytest.raises(SettingsError, match=r"signer_pattern: has no group \(\?P<signer>"):
        list_clips(tmp_path, signer_pattern="x")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int16"])
def test_numbers_of_any_type(tmp_path, dtype):
    frames = make_frames().astype(dtype)
    write_sequence(tmp_path / "hello" / "0", frames)
    np.testing.assert_array_equal(
        read_only_clip(tmp_path).keypoints.points[:, RIGHT],
        np.where(frames[:, -63:].any(1)[:, None, None], frames[:, -63:].reshape(4, 21, 3), np.nan).astype(
            "float16"
        ),
    )


def test_a_gap_is_never_closed_up(tmp_path):
    frames = make_frames(6)
    folder = write_sequence(tmp_path / "hello" / "0", frames, first=8)
    (folder / "10.npy").unlink()
    (folder / "11.npy").unlink()
    with pytest.raises(
        ClipError, match=r"2 missing between its frames, the first after 9\.npy \(the next is 12\.npy\)"
    ):
        read_only_clip(tmp_path)
    recording = read_only_clip(tmp_path, gaps="not_found")
    assert recording.keypoints.presence.any(axis=1).tolist() == [True, True, False, False, True, True]
    assert np.isnan(recording.keypoints.points[2:4]).all()
    np.testing.assert_array_equal(
        recording.keypoints.points[[0, 1, 4, 5], RIGHT.start], frames[[0, 1, 4, 5], -63:-60].astype(np.float16)
    )
    np.testing.assert_allclose(recording.seconds, np.arange(6) / 30)


def test_a_gap_wider_than_the_clip_is_refused(tmp_path):
    folder = write_sequence(tmp_path / "hello" / "0", make_frames(2))
    (folder / "1.npy").rename(folder / "4000000000.npy")
    with pytest.raises(ClipError, match=r"3999999999 missing between its frames.* more than there are"):
        read_only_clip(tmp_path, gaps="not_found")


class Trap:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("was unpickled",))


def spoil_not_a_number(file: Path) -> None:
    frame = np.load(file)
    frame[7] = np.nan
    np.save(file, frame)


BAD_FRAMES = {
    "other width": (lambda file: np.save(file, np.ones(126)), r"1\.npy: holds 126 values; expected 1662 .* or 258"),
    "two axes": (lambda file: np.save(file, np.ones((6, 43))), r"1\.npy: holds 6x43 values"),
    "a single number": (lambda file: np.save(file, np.float64(1)), r"1\.npy: holds 1 values"),
    "width changes": (lambda file: np.save(file, np.ones(1662)), r"1\.npy: holds 1662 values, 0\.npy 258"),
    "not a number": (spoil_not_a_number, r"1\.npy: holds NaN, infinite or huge values"),
    "infinite": (lambda file: np.save(file, np.full(258, np.inf)), r"1\.npy: holds NaN, infinite or huge"),
    "too large": (lambda file: np.save(file, np.full(258, 1e300)), r"1\.npy: holds NaN, infinite or huge"),
    "text": (lambda file: np.save(file, np.array(["a"] * 258)), r"1\.npy: holds no numbers but <U1"),
    "pickle": (
        lambda file: np.save(file, np.array([Trap()] * 258, object), allow_pickle=True),
        r"1\.npy: holds no numbers but pickled objects",
    ),
    "bare pickle": (lambda file: np.array([Trap()], object).dump(file), r"1\.npy: is no \.npy file"),
    "empty file": (lambda file: file.write_bytes(b""), r"1\.npy: is no \.npy file"),
    "cut off": (lambda file: file.write_bytes(file.read_bytes()[:-9]), r"1\.npy: breaks off"),
    "header cut off": (lambda file: file.write_bytes(file.read_bytes()[:40]), r"1\.npy: has a damaged header"),
    "no number": (lambda file: file.rename(file.with_name("one.npy")), r"one\.npy: has no frame number"),
    "number twice": (
        lambda file: shutil.copy(file, file.with_name("01.npy")),
        r"01\.npy and 1\.npy: the same frame",
    ),
}


@pytest.mark.parametrize("fault", BAD_FRAMES)
def test_a_bad_frame_is_a_skipped_clip(tmp_path, fault):
    write_sequence(tmp_path / "hello" / "0", make_frames(3))
    spoil, reason = BAD_FRAMES[fault]
    spoil(tmp_path / "hello" / "0" / "1.npy")
    listing = list_clips(tmp_path)
    skipped = extract_clip(listing.clips[0], ClipSpec(frames=False), listing.reader)
    assert isinstance(skipped, SkippedClip)
    with pytest.raises(ClipError, match=rf"hello/0: {reason}"):
        read_only_clip(tmp_path)


def test_a_sequence_without_frames_is_a_skipped_clip(tmp_path):
    write_sequence(tmp_path / "hello" / "0", make_frames(1))
    write_sequence(tmp_path / "hello" / "1", make_frames(0))
    listing = list_clips(tmp_path)
    assert listing.reader is not None
    with pytest.raises(ClipError, match=r"hello/1: holds no frame; expected 0\.npy"):
        listing.reader(listing.clips[1])
    shutil.rmtree(tmp_path / "hello" / "1")
    with pytest.raises(ClipError, match="hello/1: no such folder"):
        listing.reader(listing.clips[1])


def test_the_wrong_folder(tmp_path):
    with pytest.raises(UserError, match=r"no such folder; expected <word>/<sequence>/<frame>\.npy"):
        list_clips(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no <word>/<sequence>/<frame>\.npy in it"):
        list_clips(tmp_path)
    write_sequence(tmp_path / "MP_Data" / "hello" / "0", make_frames(1))
    with pytest.raises(UserError, match="is it the folder that holds the words' folders"):
        list_clips(tmp_path)
    assert len(list_clips(tmp_path / "MP_Data").clips) == 1


def test_tree_to_records(tmp_path):
    glosses = ('he said "no"', "čaj, kava", "it's")
    for number, gloss in enumerate(glosses):
        for sequence in range(4):
            write_sequence(tmp_path / "tree" / gloss / str(sequence), make_frames(5, seed=number * 4 + sequence))
    np.save(tmp_path / "tree" / glosses[1] / "2" / "3.npy", np.ones(99))
    info = convert_source("mp_data", tmp_path / "tree", tmp_path / "records", {}, workers=1)
    inspection = inspect_records(tmp_path / "records")
    assert inspection.problems == []
    assert sum(part.clips for part in info.splits.values()) == 11
    assert info.num_skipped == 1
    assert set(LabelMap.load(tmp_path / "records" / "label_map.json")) == set(glosses)
    assert info.clip_spec.keypoints == "mediapipe_holistic"
    assert not info.clip_spec.frames


def test_a_changed_setting_reads_clips_again(tmp_path):
    folder = write_sequence(tmp_path / "tree" / "hello" / "0", make_frames(5))
    write_sequence(tmp_path / "tree" / "hello" / "1", make_frames(5))
    (folder / "2.npy").unlink()
    settings = {"split": {"validation": 0, "test": 0}}
    clips = [
        convert_source("mp_data", tmp_path / "tree", tmp_path / "records", settings | source, workers=1)
        .splits["train"]
        .clips
        for source in ({}, {"source": {"gaps": "not_found"}})
    ]
    assert clips == [1, 2]
