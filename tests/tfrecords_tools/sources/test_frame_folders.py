from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tfrecords_tools.clips import ClipSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.extract import ExtractedClip, extract_clip
from tfrecords_tools.settings import validate
from tfrecords_tools.sources import SOURCES, Listing


def list_clips(source: str, path: Path, **settings: Any) -> Listing:
    return validate(SOURCES[source], settings, "--set source").list_clips(path)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_split_gloss_clip(tmp_path):
    touch(
        tmp_path,
        "train/hello/anna_01/frame_0001.png",
        "train/thank you/anna_02/1.JPG",
        "dev/hello/bob_01/frame.jpeg",
        "test/hello/cleo_01/frame.webp",
        "train/.cache/x/frame.png",
        "train/hello/.thumbs/frame.png",
    )
    listing = list_clips("frame_folders", tmp_path, signer_pattern="/(?P<signer>[a-z]+)_[0-9]+$", frame_rate=30)
    assert [(c.media_id, c.glosses[0], c.split, c.signer, c.frame_rate) for c in listing.clips] == [
        ("dev/hello/bob_01", "hello", "validation", "bob", 30.0),
        ("test/hello/cleo_01", "hello", "test", "cleo", 30.0),
        ("train/hello/anna_01", "hello", "train", "anna", 30.0),
        ("train/thank you/anna_02", "thank you", "train", "anna", 30.0),
    ]
    assert listing.clips[0].path == str(tmp_path / "dev/hello/bob_01")
    assert listing.skipped == []


def test_without_splits(tmp_path):
    touch(tmp_path, "hello/01/frame_1.png", "test/01/frame_1.png")
    clips = list_clips("frame_folders", tmp_path).clips
    assert [(clip.media_id, clip.glosses[0], clip.split, clip.frame_rate) for clip in clips] == [
        ("hello/01", "hello", None, 25.0),
        ("test/01", "test", None, 25.0),
    ]


def test_what_is_no_clip_is_listed(tmp_path):
    touch(tmp_path, "hello/01/frame.png", "hello/02/notes.txt", "hello/stray.png", "hello/03/deeper/frame.png")
    listing = list_clips("frame_folders", tmp_path)
    assert [clip.media_id for clip in listing.clips] == ["hello/01"]
    assert [(Path(item.path).relative_to(tmp_path).as_posix(), item.reason) for item in listing.skipped] == [
        ("hello/02", "the folder holds no image"),
        ("hello/03", "the folder holds no image"),
        ("hello/stray.png", "lies beside the clips' folders"),
    ]


def test_frames_are_read_in_natural_order(tmp_path):
    folder = tmp_path / "hello/01"
    folder.mkdir(parents=True)
    for number in (10, 2, 1):
        cv2.imwrite(str(folder / f"frame_{number}.png"), np.full((32, 32, 3), number * 20, np.uint8))
    (clip,) = list_clips("frame_folders", tmp_path, frame_rate=10).clips
    extracted = extract_clip(clip, ClipSpec(keypoints=None))
    assert isinstance(extracted, ExtractedClip)
    assert extracted.seconds.tolist() == pytest.approx([0, 0.1, 0.2])
    levels = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), 0).mean() for jpeg in extracted.jpegs]
    assert levels == pytest.approx([20, 40, 200], abs=2)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no folder of images; expected <gloss>/<clip>/frame_"),
        (["hello/01.png"], "for <gloss>/<file> use --source image_folders"),
    ],
)
def test_folders_of_another_layout(tmp_path, names, message):
    with pytest.raises(UserError, match=message):
        list_clips("frame_folders", touch(tmp_path, *names))


def test_faults(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        list_clips("frame_folders", tmp_path / "nowhere")
    for rate in (0, -25, "inf", "fast"):
        with pytest.raises(UserError, match="frame_rate"):
            list_clips("frame_folders", tmp_path, frame_rate=rate)
    with pytest.raises(UserError, match="signer_pattern: has no group"):
        list_clips("frame_folders", tmp_path, signer_pattern="[a-z]+")


def test_kaggle_asl_alphabet(tmp_path):
    """Its archive holds a folder in a folder of the same name: from one level too high, all is one gloss."""
    glosses = [chr(code) for code in range(ord("A"), ord("Z") + 1)] + ["del", "nothing", "space"]
    inner = tmp_path / "asl_alphabet_train/asl_alphabet_train"
    touch(inner, *(f"{gloss}/{gloss}{number}.jpg" for gloss in glosses for number in range(1, 31)))
    listing = list_clips("image_folders", inner)
    assert len(listing.clips) == 29 * 30
    assert {clip.glosses[0] for clip in listing.clips} == set(glosses)
    assert {clip.glosses[0] for clip in listing.clips if clip.media_id.startswith("space/")} == {"space"}
    assert (listing.skipped, listing.notes) == ([], [])
    (note,) = list_clips("image_folders", inner.parent).notes
    assert note.startswith(f"{inner}: all its files lie in folders of it, and are taken as gloss")
