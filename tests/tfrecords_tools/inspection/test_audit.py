from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from tfrecords_tools.clips import SplitSettings
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspect import main
from tfrecords_tools.inspection.audit import audit_clips
from tfrecords_tools.inspection.measures import Meter
from tfrecords_tools.inspection.signatures import SignatureMaker, distance, frame_signature, picture_blocks
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout
from tfrecords_tools.synthetic import JOINT_NAMES, make_signer, render_clip

ROWS = list(MEDIAPIPE_HOLISTIC.rows(JOINT_NAMES))


@dataclass(frozen=True)
class Recording:
    """A rendered clip: frames uint8 ``[T, H, W, 3]`` and the true points ``[T, 543, 3]``."""

    frames: np.ndarray
    points: np.ndarray


def render(signer: int, gloss: str, take: int) -> Recording:
    clip = render_clip(make_signer(0, signer), [gloss], np.random.default_rng([signer, take]), 96, 12.0, 1.0)
    points = np.full((len(clip.frames), 543, 3), np.nan)
    points[:, ROWS, :2], points[:, ROWS, 2] = clip.joints, 0
    return Recording(clip.frames, points)


def noisy(recording: Recording) -> Recording:
    """As if keypoints had been found anew on another file: they are then a few thousandths of the picture off."""
    noise = np.random.default_rng(0).normal(0, 0.004, recording.points.shape)
    return replace(recording, points=recording.points + noise)


def compressed(recording: Recording) -> Recording:
    def recode(frame: np.ndarray) -> np.ndarray:
        return cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], cv2.IMREAD_COLOR)

    return noisy(replace(recording, frames=np.stack([recode(frame) for frame in recording.frames])))


def shrunk(recording: Recording) -> Recording:
    frames = [cv2.resize(frame, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA) for frame in recording.frames]
    return noisy(replace(recording, frames=np.stack(frames)))


def trimmed(recording: Recording) -> Recording:
    return noisy(Recording(recording.frames[3:-2], recording.points[3:-2]))


def mirrored(recording: Recording) -> Recording:
    points = recording.points[:, list(MEDIAPIPE_HOLISTIC.mirror_permutation)]
    points[..., 0] = 1 - points[..., 0]
    return noisy(Recording(recording.frames[:, :, ::-1], points))


@pytest.fixture(scope="module")
def recordings() -> dict[tuple[int, str, int], Recording]:
    """Three people, two signs, two takes of each."""
    return {
        (signer, gloss, take): render(signer, gloss, take)
        for signer in range(3)
        for gloss in ("hello", "wait")
        for take in range(2)
    }


@pytest.fixture
def clean(recordings, make_clip):
    """Splits by signer; ``clean(kind)`` with keypoints, frames, or both."""

    def splits(kind: str) -> dict[str, list]:
        return {
            split: [
                make_clip(f"{signer}/{gloss}/{take}", gloss, f"s{signer}", **arrays(recording, kind))
                for (signer, gloss, take), recording in recordings.items()
                if signer == number
            ]
            for number, split in enumerate(("train", "validation", "test"))
        }

    return splits


def arrays(recording: Recording, kind: str) -> dict[str, np.ndarray]:
    chosen = {}
    if kind != "frames":
        chosen["points"] = recording.points
    if kind != "keypoints":
        chosen["frames"] = recording.frames
    return chosen


def layout_of(kind: str) -> KeypointLayout | None:
    return None if kind == "frames" else MEDIAPIPE_HOLISTIC


def findings(folder) -> list[str]:
    info = DatasetInfo.load(folder)
    meter, maker = Meter(info.layout), SignatureMaker(info.layout)
    assert inspect_records(folder, observers=[meter, maker]).problems == []
    return [f"{found.severity}: {found.text}" for found in audit_clips(meter.clips, maker, info).findings]


@pytest.mark.parametrize("kind", ["keypoints", "frames", "both"])
def test_clean_splits_pass(clean, write_records, run_main, kind):
    folder = write_records(clean(kind), layout_of(kind))
    assert findings(folder) == []
    status, stdout, stderr = run_main(main, folder, "--audit")
    assert (status, stderr) == (0, "")
    assert stdout.splitlines()[-2:] == [f"{folder}: audit: no leakage found", f"{folder}: every record is sound"]


@pytest.mark.parametrize("kind", ["frames", "both"])
@pytest.mark.parametrize("change", [compressed, shrunk, trimmed, mirrored])
def test_copies_across_splits_are_found(recordings, clean, make_clip, write_records, run_main, kind, change):
    splits = clean(kind)
    copy = change(recordings[0, "hello", 1])
    splits["test"].append(make_clip("copy", "hello", "s2", **arrays(copy, kind)))
    folder = write_records(splits, layout_of(kind))
    (found,) = findings(folder)
    assert found.startswith("leak: train '0/hello/1' and test 'copy' show the same recording (")
    assert ("mirrored" in found) == (change is mirrored)
    status, stdout, _ = run_main(main, folder, "--audit")
    assert status == 1
    assert found in stdout.splitlines()


def test_copied_keypoints_are_found(recordings, clean, make_clip, write_records):
    splits = clean("keypoints")
    original = recordings[0, "hello", 1]
    moved = 0.8 * original.points + 0.05  # another crop of the same picture
    splits["test"].append(make_clip("moved", "hello", "s2", points=moved))
    splits["validation"].append(make_clip("cut", "wait", "s1", points=original.points[2:-1]))
    found = findings(write_records(splits, MEDIAPIPE_HOLISTIC))
    assert len(found) == 3
    assert sum("train '0/hello/1' and test 'moved'" in line for line in found) == 1
    assert (
        sum("train '0/hello/1' and validation 'cut'" in line and "different glosses" in line for line in found) == 1
    )
    assert sum("validation 'cut' and test 'moved'" in line for line in found) == 1


@pytest.mark.parametrize("kind", ["keypoints", "frames", "both"])
@pytest.mark.parametrize("other", [(0, "hello", 1), (0, "wait", 0)])  # another take; the same wall and timing
def test_takes_and_signs_of_one_person_are_no_copies(recordings, make_clip, write_records, kind, other):
    splits = {
        split: [make_clip(split, "hello", "", **arrays(recordings[key], kind))]
        for split, key in (("train", (0, "hello", 0)), ("test", other))
    }
    found = findings(write_records(splits, layout_of(kind)))
    assert [line.split(":")[0] for line in found] == ["warning", "warning"]  # no signers; validation is empty


def test_a_person_before_one_wall_is_no_copy_of_herself():
    """Only the hand moves, differently: nearly all of the picture is the same."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(0, 255, (12, 16)).astype(np.uint8), (128, 96))

    def film(path: np.ndarray, noise: int) -> np.ndarray:
        frames = []
        for x, y in path.astype(int).tolist():
            frame = wall.copy()
            cv2.circle(frame, (x, y), 10, 230, -1)
            blur = np.random.default_rng(noise).normal(0, 3, frame.shape)
            frames.append(picture_blocks(np.clip(frame + blur, 0, 255).astype(np.uint8)))
        return np.stack(frames)

    times = np.linspace(0, 1, 30)[:, None]
    stamps = (np.arange(30) / 25 * 1e6).astype(np.int64)
    up = np.array([40, 80]) + times * np.array([20, -60])
    across = np.array([40, 80]) + times * np.array([60, -10])
    original, copy, other = (
        frame_signature(film(path, seed), stamps) for path, seed in ((up, 0), (up, 1), (across, 2))
    )
    assert distance(original, copy) < 0.3
    assert distance(original, other) > 0.9


def test_signers_in_two_splits(recordings, clean, make_clip, write_records, run_main):
    splits = clean("both")
    splits["test"].append(make_clip("again", "wait", "s0", **arrays(render(0, "wait", 7), "both")))
    folder = write_records(splits, MEDIAPIPE_HOLISTIC, split_settings=SplitSettings(by="clip"))
    assert findings(folder) == [
        "leak: signer 's0' is in train (4 clips, e.g. '0/hello/0') and test (1 clip, 'again'); "
        "the splits were drawn by clip"
    ]
    assert run_main(main, folder, "--audit")[0] == 1


def test_identical_bytes_across_and_within_splits(recordings, clean, make_clip, write_records, run_main):
    splits = clean("both")
    same = arrays(recordings[0, "wait", 0], "both")
    splits["test"].append(make_clip("stolen", "wait", "s2", **same))
    splits["train"].append(make_clip("twice", "wait", "s0", **same))
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    assert findings(folder)[0] == "leak: train '0/wait/0' and test 'stolen' are byte-identical"
    assert findings(folder)[-1] == "warning: train '0/wait/0' and train 'twice' are byte-identical"
    assert run_main(main, folder, "--audit")[0] == 1


def test_twins_within_a_split_are_a_warning(recordings, clean, make_clip, write_records, run_main):
    splits = clean("both")
    splits["train"].append(make_clip("twice", "hello", "s0", **arrays(recordings[0, "wait", 0], "both")))
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    status, stdout, _ = run_main(main, folder, "--audit")
    assert status == 0
    line = (
        "warning: train '0/wait/0' and train 'twice' are byte-identical, as different glosses: 'wait' and 'hello'"
    )
    assert line in stdout.splitlines()


def test_a_photograph_compressed_again_is_a_copy(make_clip, write_records):
    photographs = {signer: render(signer, "hello", 0).frames[8:9] for signer in range(4)}
    splits = {
        split: [make_clip(f"{signer}", signer=f"{signer}", frames=photographs[signer])]
        for signer, split in enumerate(("train", "validation", "test"))
    }
    splits["test"].append(make_clip("copy", signer="x", frames=photographs[0], quality=30))
    splits["test"].append(make_clip("other", signer="y", frames=photographs[3]))
    (found,) = findings(write_records(splits))
    assert found.startswith("leak: train '0' and test 'copy' show the same recording")


def test_clips_without_anything_found_are_not_called_identical(make_clip, write_records):
    nothing = np.full((8, 543, 3), np.nan)
    splits = {split: [make_clip(split, points=nothing, signer=split)] for split in ("train", "validation", "test")}
    assert findings(write_records(splits, MEDIAPIPE_HOLISTIC)) == []


def test_glosses_that_a_split_lacks(clean, write_records, run_main):
    splits = clean("keypoints")
    splits["train"] = splits["train"][:2]  # hello
    splits["validation"] = splits["validation"][2:]  # wait
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    assert findings(folder) == [
        "error: gloss 'wait' is in test (2 clips, e.g. '2/wait/0') and not in train: it cannot be learnt",
        "warning: gloss 'wait' is in validation (2 clips, e.g. '1/wait/0') and not in train: it cannot be learnt",
        "warning: gloss 'hello' is in train (2 clips, e.g. '0/hello/0') and not in validation",
    ]
    status, stdout, _ = run_main(main, folder, "--audit")
    assert status == 1
    assert f"{folder}: audit: 1 finding of leakage or untrained glosses" in stdout


def test_gloss_missing_in_test_is_a_warning_and_words_of_sentences_count(clean, make_clip, write_records, run_main):
    splits = clean("keypoints")
    splits["test"] = splits["test"][:2]  # hello
    splits["train"].append(make_clip("sentence", "hello rain", "s0", points=render(0, "rain", 5).points))
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    found = findings(folder)
    assert "warning: gloss 'wait' is in train (2 clips, e.g. '0/wait/0') and not in test" in found
    assert "warning: gloss 'rain' is in train (1 clip, 'sentence') and not in test" in found
    assert all(line.startswith("warning: ") for line in found)
    assert run_main(main, folder, "--audit")[0] == 0


def test_copies_in_a_layout_of_ones_own(make_clip, write_records):
    layout = KeypointLayout.from_names("two", ["left_hand/middle", "right_hand/middle", "nose/tip"], [])
    rng = np.random.default_rng(0)
    paths = {name: 100 + np.cumsum(rng.normal(0, 4, (40, 3, 3)), axis=0) for name in ("a", "b", "c")}
    splits = {
        split: [make_clip(name, signer=name, points=paths[name], layout=layout)]
        for split, name in (("train", "a"), ("validation", "b"), ("test", "c"))
    }
    splits["test"].append(make_clip("copy", signer="d", points=paths["a"][3:], layout=layout))
    (found,) = findings(write_records(splits, layout))
    assert found.startswith("leak: train 'a' and test 'copy' show the same recording")
