from pathlib import Path
from typing import Any

import pytest

from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import validate
from tfrecords_tools.sources import SOURCES, Listing


def list_clips(path: Path, **settings: Any) -> Listing:
    return validate(SOURCES["gloss_csv"], settings, "--set source").list_clips(path)


def write(root: Path, videos: list[str], **tables: str) -> Path:
    for video in videos:
        (root / video).mkdir(parents=True)
        (root / video / "frame_001.jpg").touch()
    for name, text in tables.items():
        (root / f"{name}.csv").write_text(text, encoding="utf-8")
    return root


def skipped(listing: Listing, root: Path) -> list[tuple[str, str]]:
    return [(Path(item.path).relative_to(root).as_posix(), item.reason) for item in listing.skipped]


def test_sentences(tmp_path):
    write(
        tmp_path,
        ["train/anna_001", "train/bob_002", "dev/anna_003"],
        glosses="folder_name,gloss_text\n"
        "folder_name,gloss_text\n"
        "anna_001,REGEN MORGEN\n"
        'bob_002,"WIE-AUSSEHEN  ÜBER 1/2"\n'
        "anna_003,SONNE\n",
    )
    listing = list_clips(tmp_path, signer_pattern="/(?P<signer>[a-z]+)_[0-9]+$", frame_rate=50)
    assert [(c.media_id, c.glosses, c.split, c.signer, c.frame_rate) for c in listing.clips] == [
        ("train/anna_001", ("REGEN", "MORGEN"), "train", "anna", 50.0),
        ("train/bob_002", ("WIE-AUSSEHEN", "ÜBER", "1/2"), "train", "bob", 50.0),
        ("dev/anna_003", ("SONNE",), "validation", "anna", 50.0),
    ]
    assert listing.clips[0].path == str(tmp_path / "train/anna_001")
    assert listing.skipped == []


@pytest.mark.parametrize("second", ["folder_name,gloss_text\n", "Folder_Name , GLOSS_TEXT\n", ""])
def test_a_second_header_is_none_of_the_rows(tmp_path, second):
    write(tmp_path, ["train/a"], glosses=f"folder_name,gloss_text\n{second}a,HELLO\n")
    listing = list_clips(tmp_path)
    assert [clip.glosses for clip in listing.clips] == [("HELLO",)]
    assert listing.skipped == []


def test_a_header_further_down_is_a_row(tmp_path):
    write(tmp_path, ["train/a"], glosses="folder_name,gloss_text\na,HELLO\nfolder_name,gloss_text\n")
    assert skipped(list_clips(tmp_path), tmp_path) == [("glosses.csv:3", "no folder 'folder_name'")]


def test_rows_and_folders_that_do_not_meet_are_listed(tmp_path):
    write(
        tmp_path,
        ["train/a", "train/b", "train/c", "test/d"],
        glosses='folder_name,gloss_text\na,HELLO\nx,BYE\nb,\n,LOST\na,AGAIN\nc,ONE,TWO\n../a,UP\n"d","SIX SEVEN"\n',
    )
    (tmp_path / "train/empty").mkdir()
    listing = list_clips(tmp_path)
    assert [(clip.media_id, clip.glosses) for clip in listing.clips] == [
        ("train/a", ("HELLO",)),
        ("test/d", ("SIX", "SEVEN")),
    ]
    assert skipped(listing, tmp_path) == [
        ("glosses.csv:3", "no folder 'x'"),
        ("glosses.csv:4", "no gloss"),
        ("glosses.csv:5", "names no folder"),
        ("glosses.csv:6", f"the same folder as in {tmp_path / 'glosses.csv'}:2"),
        ("glosses.csv:7", "has another number of values than the header"),
        ("glosses.csv:8", "no folder '../a'"),
        ("train/c", "no row of the CSV names this folder"),
    ]


def test_a_name_in_two_splits(tmp_path):
    tables = {
        "train_glosses": "folder_name,gloss_text\n001,A\n002,B\n",
        "val.glosses": "folder_name,gloss_text\n001,C\n",
    }
    write(tmp_path, ["train/001", "val/001", "train/002"], **tables)
    listing = list_clips(tmp_path)
    assert {clip.media_id: (clip.glosses, clip.split) for clip in listing.clips} == {
        "train/001": (("A",), "train"),
        "train/002": (("B",), "train"),
        "val/001": (("C",), "validation"),
    }
    (tmp_path / "val.glosses.csv").rename(tmp_path / "glosses.csv")
    listing = list_clips(tmp_path)
    assert skipped(listing, tmp_path)[0] == (
        "glosses.csv:2",
        "folder '001' is in several splits; name the CSV after the split it is for",
    )


def test_without_split_folders(tmp_path):
    write(tmp_path, ["001", "002"], glosses="folder_name,gloss_text\n001,A B\n")
    listing = list_clips(tmp_path)
    assert [(clip.media_id, clip.split) for clip in listing.clips] == [("001", None)]
    assert skipped(listing, tmp_path) == [("002", "no row of the CSV names this folder")]


def test_where_the_csv_is(tmp_path):
    write(tmp_path, ["train/a"])
    (tmp_path / "annotations").mkdir()
    table = tmp_path / "annotations/train_gloss_eng.csv"
    table.write_text("\ufefffolder,gloss\na,HELLO\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("id,text\n1,x\n", encoding="utf-8")
    columns = {"folder_column": "folder", "gloss_column": "gloss"}
    with pytest.raises(
        UserError, match=r"train_gloss_eng\.csv: has no column folder_name, gloss_text; found folder"
    ):
        list_clips(tmp_path, csv="annotations/*.csv")
    with pytest.raises(UserError, match=r"other\.csv: has no column folder, gloss; found id, text"):
        list_clips(tmp_path, **columns)
    for name in ("annotations/train_gloss_eng.csv", "annotations/*.csv"):
        assert len(list_clips(tmp_path, csv=name, **columns).clips) == 1
    with pytest.raises(UserError, match=r"holds no glosses\.csv; name it with --set source\.csv=NAME"):
        list_clips(tmp_path, csv="glosses.csv")
    with pytest.raises(UserError, match="is no name or pattern below"):
        list_clips(tmp_path, csv=str(table))


def test_faults(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        list_clips(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no \*\.csv"):
        list_clips(tmp_path)
    (tmp_path / "a.csv").write_bytes(b"folder_name,gloss_text\n\xff,x\n")
    with pytest.raises(UserError, match=r"a\.csv: is no UTF-8 table"):
        list_clips(tmp_path)
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(UserError, match="has no column folder_name, gloss_text; found nothing"):
        list_clips(tmp_path)
