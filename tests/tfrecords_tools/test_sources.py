from pathlib import Path

import pytest

from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import SettingsError, validate
from tfrecords_tools.sources import SOURCES, Listing
from tfrecords_tools.video import Span


def list_clips(source: str, path: Path, **settings: str) -> Listing:
    return validate(SOURCES[source], settings, "--set source").list_clips(path)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def write_manifest(folder: Path, text: str) -> Path:
    (folder / "manifest.csv").write_text(text, encoding="utf-8")
    return folder


def test_video_folders(tmp_path):
    for name in ("hello/b.mp4", "hello/deep/a.MOV", "thank you/a.webm", ".hidden/a.mp4", "hello/.b.mp4"):
        touch(tmp_path / name)
    touch(tmp_path / "hello/notes.txt")
    listing = list_clips("video_folders", tmp_path)
    assert [(clip.media_id, clip.glosses) for clip in listing.clips] == [
        ("hello/b.mp4", ("hello",)),
        ("hello/deep/a.MOV", ("hello",)),
        ("thank you/a.webm", ("thank you",)),
    ]
    assert [(Path(item.path).name, item.reason) for item in listing.skipped] == [
        ("notes.txt", ".txt: unknown type")
    ]


def test_split_folders(tmp_path):
    for name in ("train/hello/a.mp4", "val/hello/b.mp4", "test/hello/c.mp4"):
        touch(tmp_path / name)
    assert {(clip.media_id, clip.split) for clip in list_clips("video_folders", tmp_path).clips} == {
        ("train/hello/a.mp4", "train"),
        ("val/hello/b.mp4", "validation"),
        ("test/hello/c.mp4", "test"),
    }


def test_a_gloss_called_test_is_a_gloss(tmp_path):
    for name in ("test/a.mp4", "hello/b.mp4"):
        touch(tmp_path / name)
    assert {clip.glosses[0] for clip in list_clips("video_folders", tmp_path).clips} == {"test", "hello"}


def test_signers_by_pattern(tmp_path):
    for name in ("hello/anna_03.mp4", "hello/bob_01.mp4", "hello/7.mp4"):
        touch(tmp_path / name)
    listing = list_clips("video_folders", tmp_path, signer_pattern="/(?P<signer>[a-z]+)_[0-9]+")
    assert {clip.media_id: clip.signer for clip in listing.clips} == {
        "hello/anna_03.mp4": "anna",
        "hello/bob_01.mp4": "bob",
        "hello/7.mp4": "",
    }


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("([a-z]+)", r"signer_pattern: has no group \(\?P<signer>"), ("(", "is no regular expression")],
)
def test_bad_signer_pattern(tmp_path, pattern, message):
    with pytest.raises(SettingsError, match=message):
        list_clips("video_folders", tmp_path, signer_pattern=pattern)


def test_folders_without_videos(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        list_clips("video_folders", tmp_path / "nowhere")
    with pytest.raises(UserError, match="its folders hold no files; expected <gloss>/<file>"):
        list_clips("video_folders", tmp_path)
    touch(tmp_path / "hello/a.jpg")
    with pytest.raises(UserError, match=r"no \.mp4/.* file in its folders"):
        list_clips("video_folders", tmp_path)
    assert len(list_clips("image_folders", tmp_path).clips) == 1


def test_manifest(tmp_path):
    write_manifest(
        tmp_path,
        "path,gloss,glosses,signer,split,start_seconds,end_seconds,start_frame,end_frame,bbox,mood\n"
        'a.mp4,"he said ""no"", twice",,anna,train,,,,,,glad\n'
        "b.mp4,,IX 1/2 SEE,,,1.5,2.25,,,10 20.4 110 220,\n"
        "\n"
        "b.mp4,čaj/kava,,,,,,10.0,50,,\n"
        "/abs/c.mp4,x,,,,,,,,,\n",
    )
    a, b, b_again, c = list_clips("manifest", tmp_path).clips
    assert a.glosses == ('he said "no", twice',)
    assert (a.signer, a.split, a.metadata) == ("anna", "train", {"mood": "glad"})
    assert a.path == str(tmp_path / "a.mp4")
    assert b.glosses == ("IX", "1/2", "SEE")
    assert (b.span, b.bbox, b.split) == (Span(1.5, 2.25), (10, 20, 110, 220), None)
    assert b_again.glosses == ("čaj/kava",)
    assert b_again.span == Span(start_frame=10, end_frame=50)
    assert b.media_id != b_again.media_id
    assert c.path == "/abs/c.mp4"


def test_times_of_glosses_are_read(tmp_path):
    write_manifest(tmp_path, "path,glosses,gloss_seconds\na.mp4,A B,0-0.5 0.5-1.25\nb.mp4,A B,\n")
    a, b = list_clips("manifest", tmp_path).clips
    assert (a.gloss_seconds, b.gloss_seconds) == (((0, 0.5), (0.5, 1.25)), ())


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ("0.1-0.5", "has 1 times, the clip 2 glosses"),
        ("0.1-0.5 0.4-0.6", "before the next one starts"),
        ("0.5-0.5 0.6-0.7", "must end after it starts"),
        ("0.1-0.5 0.6-inf", "must end after it starts"),
        ("-0.1-0.5 0.6-0.7", "expected start-end for each gloss"),
        ("0.1-0.5 later", "expected start-end for each gloss"),
    ],
)
def test_times_of_glosses_that_make_no_sense_are_listed(tmp_path, times, reason):
    write_manifest(tmp_path, f"path,glosses,gloss_seconds\na.mp4,A B,{times}\n")
    listing = list_clips("manifest", tmp_path)
    assert not listing.clips
    assert reason in listing.skipped[0].reason


def test_synthetic_has_letters_where_it_has_no_clips(tmp_path):
    (tmp_path / "letters.csv").write_text("path,gloss\nletters/a/s.png,a\n")
    (clip,) = SOURCES["synthetic"]().list_clips(tmp_path).clips
    assert (clip.media_id, clip.glosses) == ("letters/a/s.png", ("a",))
    (tmp_path / "manifest.csv").write_text("path,gloss\nclips/hello/s.mp4,hello\n")
    (clip,) = SOURCES["synthetic"]().list_clips(tmp_path).clips
    assert clip.glosses == ("hello",)


def test_media_ids_do_not_depend_on_the_order_of_rows(tmp_path):
    rows = ["a.mp4,x,0,10", "a.mp4,x,10,20", "a.mp4,x,,"]
    ids = []
    for order in (rows, rows[::-1]):
        write_manifest(tmp_path, "\n".join(["path,gloss,start_frame,end_frame", *order]))
        ids.append({clip.media_id: clip.span for clip in list_clips("manifest", tmp_path).clips})
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",x,,,,,,,", "no path"),
        ("a.mp4,,,,,,,,", "no gloss"),
        ("a.mp4,x,holdout,,,,,,", "split 'holdout'; expected train, validation, test"),
        ("a.mp4,x,,2,1,,,,", "start_seconds 2.0 is not before end_seconds 1.0"),
        ("a.mp4,x,,two,,,,,", "start_seconds 'two' is no number"),
        ("a.mp4,x,,-1,,,,,", "start_seconds '-1' must be a number from 0 on"),
        ("a.mp4,x,,nan,,,,,", "start_seconds 'nan' must be a number from 0 on"),
        ("a.mp4,x,,,,5,5,,", "start_frame 5 is not before end_frame 5"),
        ("a.mp4,x,,,,1.5,,,", "start_frame '1.5' must be a whole number from 0 on"),
        ("a.mp4,x,,,,inf,,,", "start_frame 'inf' is no number"),
        ("a.mp4,x,,,,,,1 2 3,", "bbox '1 2 3'; expected four numbers"),
        ("a.mp4,x,,,,,,5 5 1 9,", "bbox '5 5 1 9' is empty"),
        ("good.mp4,x,,,,,,,", "the same clip as in line 2"),
    ],
)
def test_rows_that_make_no_sense_are_listed(tmp_path, row, reason):
    header = "path,gloss,split,start_seconds,end_seconds,start_frame,end_frame,bbox,more"
    write_manifest(tmp_path, f"{header}\ngood.mp4,x,,,,,,,\n{row}\n")
    listing = list_clips("manifest", tmp_path)
    assert len(listing.clips) == 1
    (skipped,) = listing.skipped
    assert skipped.path == f"{tmp_path / 'manifest.csv'}:3"
    assert reason in skipped.reason


def test_manifest_faults(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.csv: no such manifest"):
        list_clips("manifest", tmp_path)
    write_manifest(tmp_path, "file,label\n")
    with pytest.raises(UserError, match="needs the columns path and gloss"):
        list_clips("manifest", tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"path,gloss\n\xff\xfe,x\n")
    with pytest.raises(UserError, match="is no UTF-8 CSV"):
        list_clips("manifest", tmp_path / "manifest.csv")


def test_every_source_documents_itself():
    for source in SOURCES.values():
        assert (source.__doc__ or "").strip()
