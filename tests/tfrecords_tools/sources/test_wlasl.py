import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source, main
from tfrecords_tools.settings import validate
from tfrecords_tools.sources import SOURCES, Listing
from tfrecords_tools.video import WHOLE_VIDEO, Span

YOUTUBE = "https://www.youtube.com/watch?v=0UsjUE-TXns"


def list_clips(path: Path, **settings: Any) -> Listing:
    return validate(SOURCES["wlasl"], settings, "--set source").list_clips(path)


def instance(video_id: str, split: str = "train", **values: Any) -> dict[str, Any]:
    """An instance with every field of ``WLASL_v0.3.json``."""
    return {
        "bbox": [10, 5, 60, 40],
        "fps": 25,
        "frame_end": -1,
        "frame_start": 1,
        "instance_id": 0,
        "signer_id": 7,
        "source": "somewhere",
        "split": split,
        "url": f"https://example.org/{video_id}.mp4",
        "variation_id": 0,
        "video_id": video_id,
    } | values


def write_json(folder: Path, content: Any, name: str = "WLASL_v0.3.json") -> Path:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_videos(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.fixture
def wlasl(tmp_path: Path) -> Path:
    """Two glosses, five videos, three of them there."""
    write_json(
        tmp_path,
        [
            {
                "gloss": "book",
                "instances": [instance("00001"), instance("00002", "val"), instance("00003", "test")],
            },
            {"gloss": "don't want", "instances": [instance("00004", signer_id=9), instance("00005", "test")]},
        ],
    )
    write_videos(tmp_path / "videos", "00001.mp4", "00003.mp4", "00004.mkv", "00009.mp4", "readme.txt")
    return tmp_path


def test_clips_and_what_is_missing(wlasl):
    listing = list_clips(wlasl)
    first, third, fourth = listing.clips
    assert first.path == str(wlasl / "videos/00001.mp4")
    assert (first.glosses, first.media_id, first.signer, first.split) == (("book",), "00001", "7", "train")
    assert (first.bbox, first.span, first.frame_rate) == ((10, 5, 60, 40), WHOLE_VIDEO, None)
    assert first.metadata == {
        "url": "https://example.org/00001.mp4",
        "source": "somewhere",
        "variation_id": "0",
    }
    assert (third.media_id, third.split) == ("00003", "test")
    assert (fourth.path, fourth.glosses) == (str(wlasl / "videos/00004.mkv"), ("don't want",))
    assert [(item.path, item.reason) for item in listing.skipped] == [
        (str(wlasl / "videos/00002.mp4"), "not downloaded"),
        (str(wlasl / "videos/00005.mp4"), "not downloaded"),
    ]
    assert listing.missing == [
        "00002\thttps://example.org/00002.mp4\tbook\tvalidation",
        "00005\thttps://example.org/00005.mp4\tdon't want\ttest",
    ]


def test_coverage(wlasl):
    listing = list_clips(wlasl)
    assert listing.coverage == {
        "metadata": "WLASL_v0.3.json",
        "have": 3,
        "of": 5,
        "splits": {
            "train": {"have": 2, "of": 2},
            "validation": {"have": 0, "of": 1},
            "test": {"have": 1, "of": 2},
        },
        "glosses": {
            "book": {
                "train": {"have": 1, "of": 1},
                "validation": {"have": 0, "of": 1},
                "test": {"have": 1, "of": 1},
            },
            "don't want": {"train": {"have": 1, "of": 1}, "test": {"have": 0, "of": 1}},
        },
    }
    assert listing.notes[:5] == [
        "WLASL_v0.3.json: 3 of 5 (60.0%) videos are here",
        "  train       2 of 2 (100.0%)",
        "  validation  0 of 1 (0.0%)",
        "  test        1 of 2 (50.0%)",
        "  worst       don't want 1 of 2, book 2 of 3",
    ]


def test_nothing_is_said_of_what_is_missing_where_all_is_there(wlasl):
    write_videos(wlasl / "videos", "00002.mp4", "00005.mp4")
    listing = list_clips(wlasl)
    assert (len(listing.clips), listing.skipped, listing.missing) == (5, [], [])
    assert listing.notes[0] == "WLASL_v0.3.json: 5 of 5 (100.0%) videos are here"
    assert len(listing.notes) == 4


def test_settings_choose_glosses_signers_and_boxes(wlasl):
    assert [clip.media_id for clip in list_clips(wlasl, num_glosses=1).clips] == ["00001", "00003"]
    assert [clip.media_id for clip in list_clips(wlasl, signers=[9]).clips] == ["00004"]
    assert list_clips(wlasl, signers=[9]).skipped == []
    assert {clip.bbox for clip in list_clips(wlasl, crop_to_signer=False).clips} == {None}
    with pytest.raises(UserError, match=r"source\.num_glosses=3: .*WLASL_v0\.3\.json has 2 glosses"):
        list_clips(wlasl, num_glosses=3)
    with pytest.raises(UserError, match="lists no clip of these signers"):
        list_clips(wlasl, signers=["nobody"])
    with pytest.raises(UserError, match="num_glosses"):
        list_clips(wlasl, num_glosses=0)


def test_raw_videos_are_cut(tmp_path):
    instances = [
        instance("00001", frame_start=51, frame_end=100, url=YOUTUBE),
        instance("00002", frame_start=101, frame_end=-1, url=YOUTUBE),
        instance("00003", frame_start=1, frame_end=30, fps=15),
        instance("00004", frame_start=2, frame_end=3, url="https://youtu.be/3-GrhsVs830"),
    ]
    write_json(tmp_path, [{"gloss": "book", "instances": instances}])
    # A raw YouTube video is called by its YouTube id, and may hold several clips.
    write_videos(tmp_path / "raw", "0UsjUE-TXns.mp4", "00003.mp4", "00004.mp4")
    clips = list_clips(tmp_path, videos="raw", trimmed=False).clips
    assert [(Path(clip.path).name, clip.media_id, clip.span) for clip in clips] == [
        ("0UsjUE-TXns.mp4", "00001", Span(start_seconds=2.0, end_seconds=4.0)),
        ("0UsjUE-TXns.mp4", "00002", Span(start_seconds=4.0)),
        ("00003.mp4", "00003", Span(end_seconds=2.0)),
        ("00004.mp4", "00004", Span(start_seconds=1 / 25, end_seconds=3 / 25)),
    ]
    # Cut by the authors' script, they are whole clips under their own names.
    trimmed = list_clips(tmp_path, videos="raw").clips
    assert [(clip.media_id, clip.span) for clip in trimmed] == [("00003", WHOLE_VIDEO), ("00004", WHOLE_VIDEO)]


def test_subset_files(tmp_path):
    content = {
        "00001": {"subset": "train", "action": [0, 1, 55]},
        "00002": {"subset": "val", "action": [1, 2150, 2249]},
        "00003": {"subset": "test", "action": [1, 1, 20]},
        "00004": {"subset": "test", "action": [2, 1, 20]},
        "00005": {"subset": "holdout", "action": [0, 1, 20]},
        "00006": {"subset": "test", "action": [0, 1]},
    }
    write_json(tmp_path, content, "nslt_100.json")
    write_videos(tmp_path / "videos", "00001.mp4", "00002.mp4", "00004.mp4")
    with pytest.raises(UserError, match=r"wlasl_class_list\.txt: no such file; nslt_\*\.json needs it"):
        list_clips(tmp_path)
    (tmp_path / "wlasl_class_list.txt").write_text("0\tbook\n1\tthank you\n", encoding="utf-8")
    listing = list_clips(tmp_path)
    assert [(clip.media_id, clip.glosses[0], clip.split, clip.span, clip.bbox) for clip in listing.clips] == [
        ("00001", "book", "train", WHOLE_VIDEO, None),
        ("00002", "thank you", "validation", WHOLE_VIDEO, None),
    ]
    assert [(Path(item.path).name, item.reason.split(":")[0]) for item in listing.skipped] == [
        ("nslt_100.json: 00005", "subset"),
        ("nslt_100.json: 00006", "action.2"),
        ("00003.mp4", "not downloaded"),
        ("nslt_100.json: 00004", "class 2 is not in wlasl_class_list.txt"),
    ]
    assert listing.missing == ["00003\t\tthank you\ttest"]
    assert [clip.media_id for clip in list_clips(tmp_path, num_glosses=1).clips] == ["00001"]
    with pytest.raises(UserError, match=r"source\.num_glosses=4: .*nslt_100\.json has 3 glosses"):
        list_clips(tmp_path, num_glosses=4)
    for setting in ({"trimmed": False}, {"signers": [1]}):
        with pytest.raises(UserError, match=r"nslt_100\.json knows neither signers nor where videos come from"):
            list_clips(tmp_path, **setting)
    (tmp_path / "wlasl_class_list.txt").write_text("0\tbook\n2\tthank you\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"wlasl_class_list\.txt:2: found '2\\tthank you', expected 1, a tab"):
        list_clips(tmp_path)


def test_which_json(wlasl):
    write_json(wlasl, {"00001": {"subset": "train", "action": [0, 1, 55]}}, "nslt_100.json")
    (wlasl / "wlasl_class_list.txt").write_text("0\tbook\n", encoding="utf-8")
    assert len(list_clips(wlasl).clips) == 3
    assert len(list_clips(wlasl, metadata="nslt_100.json").clips) == 1
    assert len(list_clips(wlasl / "nslt_100.json").clips) == 1
    (wlasl / "WLASL_v0.3.json").unlink()
    assert len(list_clips(wlasl).clips) == 1
    write_json(wlasl, {}, "nslt_300.json")
    with pytest.raises(UserError, match=r"holds nslt_100\.json, nslt_300\.json; choose one with --set"):
        list_clips(wlasl)
    with pytest.raises(UserError, match=r"nslt_300\.json: lists no clip"):
        list_clips(wlasl, metadata="nslt_300.json")


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        ({"split": "holdout"}, "split: Input should be 'train', 'val' or 'test'"),
        ({"video_id": ""}, "video_id: "),
        ({"bbox": [60, 5, 10, 40]}, "bbox [60, 5, 10, 40] is empty"),
        ({"bbox": [1, 2, 3]}, "bbox.3: Field required"),
        ({"frame_start": 0}, "frame_start: "),
        ({"frame_start": 9, "frame_end": 8}, "frame_end 8 is before frame_start 9"),
        ({"fps": 0}, "fps: "),
        ({"video_id": "00001"}, "the video is listed twice"),
    ],
)
def test_instances_that_make_no_sense_are_listed(tmp_path, faulty, reason):
    entry = {"gloss": "book", "instances": [instance("00001"), instance("00002") | faulty]}
    write_json(tmp_path, [entry, {"gloss": "lost"}, 5])
    write_videos(tmp_path / "videos", "00001.mp4", "00002.mp4")
    listing = list_clips(tmp_path)
    assert [clip.media_id for clip in listing.clips] == ["00001"]
    first, *others = listing.skipped
    assert reason in first.reason
    assert first.path.startswith(str(tmp_path / "WLASL_v0.3.json"))
    assert [(item.path.split(": ")[1], item.reason) for item in others] == [
        ("entry 1", "instances: Field required"),
        ("entry 2", "is int, expected fields and values"),
    ]


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"holds no WLASL_v\*\.json or nslt_\*\.json"):
        list_clips(tmp_path)
    with pytest.raises(UserError, match=r"other\.json: no such file"):
        list_clips(tmp_path, metadata="other.json")
    (tmp_path / "WLASL_v0.3.json").write_text('[{"gloss"', encoding="utf-8")
    with pytest.raises(UserError, match=r"WLASL_v0\.3\.json: is no JSON"):
        list_clips(tmp_path)
    (tmp_path / "WLASL_v0.3.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"WLASL_v0\.3\.json: is no JSON"):
        list_clips(tmp_path)
    write_json(tmp_path, "book")
    with pytest.raises(UserError, match="holds str, expected a list of glosses"):
        list_clips(tmp_path)


def test_the_whole_of_wlasl_is_listed_by_one_look_at_the_folder(tmp_path, monkeypatch):
    entries = [{"gloss": f"gloss {number}", "instances": []} for number in range(2000)]
    for number in range(21_095):
        entries[number % 2000]["instances"].append(instance(f"{number:05d}"))
    write_json(tmp_path, entries)
    write_videos(tmp_path / "videos", *(f"{number:05d}.mp4" for number in range(0, 21_095, 2)))
    looks = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **kwargs: looks.append(args) or stat(*args, **kwargs))
    listing = list_clips(tmp_path)
    assert len(listing.clips) == 10_548
    assert len(listing.skipped) == 10_547
    assert len(looks) < 20


def test_records_come_with_the_list_of_clips_they_hold(wlasl, make_video, tmp_path, run_main):
    for number, name in enumerate(("00001.mp4", "00004.mkv")):
        make_video(wlasl / "videos" / name, ground=30 * (number + 1))
    (wlasl / "videos/00003.mp4").write_bytes(b"no video")
    output = tmp_path / "records"
    arguments = ["--source", "wlasl", "--input", wlasl, "--output", output, "--workers", 1]
    status, printed, _ = run_main(main, *arguments, "--set", "keypoints=null")
    assert status == 1
    assert "3 of 5 (60.0%) videos are here" in printed
    coverage = json.loads((output / "coverage.json").read_text(encoding="utf-8"))
    # 00003 is there and cannot be read: it is in no record, and no part of what is compared.
    assert coverage["clips"] == ["00001 train book", "00004 train don't want"]
    assert coverage["clips_sha256"] == sha256(b"00001 train book\n00004 train don't want").hexdigest()
    assert coverage["have"] == 3
    # What was skipped is remembered over runs.
    (output / "coverage.json").unlink()
    run_main(main, *arguments, "--set", "keypoints=null")
    assert json.loads((output / "coverage.json").read_text(encoding="utf-8")) == coverage


def test_clips_of_one_raw_video_are_told_apart(tmp_path, make_video):
    instances = [
        instance("00001", frame_start=3, frame_end=6, url=YOUTUBE),
        instance("00002", frame_start=201, frame_end=300, url=YOUTUBE),
    ]
    write_json(tmp_path, [{"gloss": "book", "instances": instances}])
    make_video(tmp_path / "videos/0UsjUE-TXns.mp4")
    settings = {"keypoints": None, "source": {"trimmed": False}}
    info = convert_source("wlasl", tmp_path, tmp_path / "records", settings, 1)
    assert info.splits["train"].frames == 4
    coverage = json.loads((tmp_path / "records/coverage.json").read_text(encoding="utf-8"))
    assert coverage["clips"] == ["00001 train book"]


def test_other_sources_have_no_coverage(sign_folder, tmp_path):
    convert_source("video_folders", sign_folder, tmp_path / "records", {"keypoints": None}, 1)
    assert not (tmp_path / "records/coverage.json").exists()


def test_list_missing(wlasl, run_main):
    status, printed, errors = run_main(main, "--source", "wlasl", "--input", wlasl, "--list-missing")
    assert (status, errors) == (0, "")
    assert printed.splitlines() == [
        "00002\thttps://example.org/00002.mp4\tbook\tvalidation",
        "00005\thttps://example.org/00005.mp4\tdon't want\ttest",
    ]
    _, printed, _ = run_main(main, "--source", "wlasl", "--input", wlasl, "--list-missing", "--num-glosses", 1)
    assert [line.split("\t")[0] for line in printed.splitlines()] == ["00002"]


def test_flags_that_a_source_does_not_have(sign_folder, run_main):
    arguments = ("--source", "video_folders", "--input", sign_folder)
    status, _, errors = run_main(main, *arguments, "--list-missing")
    assert (status, errors) == (
        2,
        "error: --list-missing: source video_folders has no published list to compare with\n",
    )
    status, _, errors = run_main(main, *arguments, "--output", sign_folder, "--num-glosses", 5)
    assert (status, errors) == (2, "error: --num-glosses: source video_folders has no such setting\n")
    status, _, errors = run_main(main, *arguments)
    assert status == 2
    assert errors.endswith("the following arguments are required: --output\n")
