from pathlib import Path
from typing import Any

import pytest

from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import validate
from tfrecords_tools.sources import SOURCES, Listing
from tfrecords_tools.sources.phoenix import clean_glosses

HEADER_2014 = "id|folder|signer|annotation"
HEADER_2014T = "name|video|start|end|speaker|orth|translation"


def list_clips(path: Path, **settings: Any) -> Listing:
    return validate(SOURCES["phoenix"], settings, "--set source").list_clips(path)


def write(root: Path, corpus: str, header: str, folders: str = "{split}/{name}/1", **splits: list[str]) -> Path:
    """A release with one folder a row, called after its first value."""
    annotations = root / "annotations/manual"
    annotations.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev", "test"):
        rows = splits.get(split, [])
        (annotations / corpus.format(split)).write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        for row in rows:
            folder = folders.format(split=split, name=row.split("|")[0])
            (root / "features/fullFrame-210x260px" / folder).mkdir(parents=True, exist_ok=True)
    return root


def write_2014(root: Path, **splits: list[str]) -> Path:
    return write(root, "{}.corpus.csv", HEADER_2014, **splits)


@pytest.fixture
def phoenix2014t(tmp_path: Path) -> Path:
    """2014-T as released: the rows say ``/1/``, the frames are not in such a folder."""
    root = tmp_path / "PHOENIX-2014-T"
    return write(
        root,
        "PHOENIX-2014-T.{}.corpus.csv",
        HEADER_2014T,
        folders="{split}/{name}",
        train=['a-1|a-1/1/*.png|-1|-1|Signer08|__ON__ loc-NORD REGEN|er sagt "regen" im norden'],
        dev=["b-2|b-2/1/*.png|-1|-1|Signer04|WIE AUSSEHEN MORGEN|wie wird es morgen"],
        test=["c-3|c-3/1/*.png|-1|-1|Signer01|S H IX|schleswig-holstein"],
    )


def test_2014(tmp_path):
    root = tmp_path / "phoenix-2014-multisigner"
    write_2014(
        root,
        train=["t-0|t-0/1/*.png|Signer04|__ON__ LIEB loc-NORD loc-REGION cl-KOMMEN REGEN REGEN"],
        dev=["d-0|d-0/1/*.png|Signer05|__ON__ NORD NICHT-VIEL NICHT-VIEL __OFF__"],
        test=["e-0|e-0/1/*.png|Signer07|TEMPERATUR  SUED"],
    )
    for path in (root, tmp_path):  # the release's folder, and the one above it
        train, dev, test = list_clips(path).clips
        assert train.path == str(root / "features/fullFrame-210x260px/train/t-0/1")
        assert (train.media_id, train.signer, train.split, train.frame_rate) == (
            "train/t-0",
            "signer04",
            "train",
            25.0,
        )
        assert train.glosses == ("__ON__", "LIEB", "NORD", "REGION", "KOMMEN", "REGEN")
        assert train.metadata["annotation"] == "__ON__ LIEB loc-NORD loc-REGION cl-KOMMEN REGEN REGEN"
        assert (dev.split, dev.glosses) == (
            "validation",
            ("__ON__", "NORD", "NICHT-VIEL", "NICHT-VIEL", "__OFF__"),
        )
        assert (test.split, test.glosses) == ("test", ("TEMPERATUR", "SUED"))


def test_2014t(phoenix2014t):
    for path in (phoenix2014t, phoenix2014t.parent):
        train, dev, test = list_clips(path).clips
        assert train.path == str(phoenix2014t / "features/fullFrame-210x260px/train/a-1")
        assert (train.glosses, train.signer) == (("NORD", "REGEN"), "signer08")
        assert train.metadata == {
            "orth": "__ON__ loc-NORD REGEN",
            "translation": 'er sagt "regen" im norden',
        }
        assert (dev.media_id, dev.split, dev.glosses) == ("dev/b-2", "validation", ("WIE-AUSSEHEN", "MORGEN"))
        assert test.glosses == ("S+H", "IX")


def test_cleaning_can_be_chosen(phoenix2014t):
    glosses = {
        rules: list_clips(phoenix2014t, cleaning=rules).clips[0].glosses
        for rules in ("none", 2014, "2014", "2014T", "release")
    }
    assert glosses["none"] == ("__ON__", "loc-NORD", "REGEN")
    assert glosses[2014] == glosses["2014"] == ("__ON__", "NORD", "REGEN")
    assert glosses["2014T"] == glosses["release"] == ("NORD", "REGEN")
    with pytest.raises(UserError, match="cleaning"):
        list_clips(phoenix2014t, cleaning="2015")


def test_complex_annotation(phoenix2014t):
    with pytest.raises(UserError, match=r"train-complex-annotation\.corpus\.csv: no such file"):
        list_clips(phoenix2014t, complex_annotation=True)
    name = "PHOENIX-2014-T.train-complex-annotation.corpus.csv"
    row = "a-1|a-1/1/*.png|-1|-1|Signer08|__ON__ loc-NORDRAUM REGEN-PLUSPLUS|im norden regen"
    (phoenix2014t / "annotations/manual" / name).write_text(f"{HEADER_2014T}\n{row}\n", encoding="utf-8")
    train, dev, _ = list_clips(phoenix2014t, complex_annotation=True, cleaning="none").clips
    assert train.glosses == ("__ON__", "loc-NORDRAUM", "REGEN-PLUSPLUS")
    assert dev.glosses == ("WIE", "AUSSEHEN", "MORGEN")
    assert list_clips(phoenix2014t, complex_annotation=True).clips[0].glosses == ("NORD", "REGEN")


def test_signer_independent_subset(tmp_path):
    write_2014(tmp_path / "phoenix-2014-multisigner", train=["m|m/1/*.png|Signer05|REGEN"])
    root = tmp_path / "phoenix-2014-signerindependent-SI5"
    write(root, "{}.SI5.corpus.csv", HEADER_2014, train=["s|s/1/*.png|Signer04|SONNE"])
    assert [clip.media_id for clip in list_clips(tmp_path).clips] == ["train/m"]
    assert [clip.media_id for clip in list_clips(tmp_path, subset="SI5").clips] == ["train/s"]
    with pytest.raises(UserError, match="only 2014-T has such a file"):
        list_clips(tmp_path, subset="SI5", complex_annotation=True)


def test_frames_of_another_size(tmp_path):
    write_2014(tmp_path, train=["t|t/1/*.png|Signer04|REGEN"])
    (tmp_path / "features/fullFrame-210x260px").rename(tmp_path / "features/fullFrame-256x256px")
    (clip,) = list_clips(tmp_path, frames="features/fullFrame-256x256px").clips
    assert clip.path == str(tmp_path / "features/fullFrame-256x256px/train/t/1")


def test_rows_that_make_no_sense_are_listed(tmp_path):
    rows = [
        "a|a/1/*.png|Signer01|REGEN",
        "b|b/1/*.png|Signer01|__EMOTION__ __PU__",
        "c|c/1/*.png|Signer01",
        "|d/1/*.png|Signer01|REGEN",
        "a|a/1/*.png|Signer01|SONNE",
        "e|e/1/*.png|Signer01|WIND",
        "f|f/1/*.png|Signer01|",
    ]
    write_2014(tmp_path, train=rows)
    (tmp_path / "features/fullFrame-210x260px/train/e/1").rmdir()
    (tmp_path / "features/fullFrame-210x260px/train/e").rmdir()
    listing = list_clips(tmp_path)
    assert [clip.glosses for clip in listing.clips] == [("REGEN",)]
    assert [(Path(item.path).name, item.reason.removesuffix(str(tmp_path))) for item in listing.skipped] == [
        ("train.corpus.csv:3", "no gloss is left of '__EMOTION__ __PU__'"),
        ("train.corpus.csv:4", "has another number of values than the header"),
        ("train.corpus.csv:5", "no id"),
        ("train.corpus.csv:6", "the same clip as in line 2"),
        ("train.corpus.csv:7", f"no folder {tmp_path / 'features/fullFrame-210x260px/train/e/1'}"),
        ("train.corpus.csv:8", "no gloss is left of ''"),
    ]


def test_faults(tmp_path):
    with pytest.raises(UserError, match=r"no annotations/manual/train\.corpus\.csv or PHOENIX-2014-T\.train"):
        list_clips(tmp_path)
    with pytest.raises(UserError, match=r"no annotations/manual/train\.SI5\.corpus\.csv in it"):
        list_clips(tmp_path, subset="SI5")
    write_2014(tmp_path)
    corpus = tmp_path / "annotations/manual/dev.corpus.csv"
    corpus.write_text("id,folder,signer,annotation\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"dev\.corpus\.csv: has no column id, folder, signer, annotation; found id,"
    ):
        list_clips(tmp_path)
    corpus.unlink()
    with pytest.raises(UserError, match=r"dev\.corpus\.csv: no such file"):
        list_clips(tmp_path)


# Expected values are what the releases' scripts print for these sentences, after a line's other columns;
# __EPENTHESIS__ they drop by a grep on hypotheses, in which each gloss has a line.
BOTH = {
    "REGEN MORGEN": "REGEN MORGEN",
    "loc-NORD loc-REGION": "NORD REGION",
    "cl-KOMMEN": "KOMMEN",
    "NORDRAUM SUEDWESTRAUM": "NORD SUEDWEST",
    "RAUM": "RAUM",
    "loc-NORDRAUM": "NORD",
    "REGEN-PLUSPLUS": "REGEN",
    "JETZT WETTER WIE AUSSEHEN MORGEN": "JETZT WETTER WIE-AUSSEHEN MORGEN",
    "WIE WETTER AUSSEHEN": "WIE WETTER AUSSEHEN",
    "A S": "A+S",
    "A S REGEN": "A+S REGEN",
    "IX S H IX": "IX S+H IX",
    "A B C D E F": "A+B+C+D+E+F",
    "S+H A REGEN": "S+H+A REGEN",
    "SCH A REGEN": "SCH+A REGEN",
    "A SCH REGEN": "A SCH REGEN",
    "SCH A": "SCH A",
    "A NN E REGEN": "A+NN+E REGEN",
    "A NN REGEN": "A+NN REGEN",
    "A NN": "A NN",
    "REGEN REGEN REGEN": "REGEN",
    "loc-NORD NORD": "NORD",
    "REGEN-PLUSPLUS REGEN": "REGEN",
    "NICHT-VIEL NICHT-VIEL": "NICHT-VIEL NICHT-VIEL",
    "REGEN SONNE REGEN": "REGEN SONNE REGEN",
    "REGEN __LEFTHAND__ SONNE": "REGEN SONNE",
    "__EPENTHESIS__ REGEN": "REGEN",
    "REGEN  REGEN": "REGEN REGEN",
    "__EMOTION__": "",
    "": "",
}
ONLY_2014 = {
    "__ON__ REGEN __OFF__": "__ON__ REGEN __OFF__",
    "__ON__ __ON__": "__ON__ __ON__",
    "qu-WAS poss-SEIN lh-IX": "WAS SEIN IX",
    "S0NNE HABEN2": "SONNE HABEN",
    "WIND ZEIGEN MORGEN ZEIGEN": "WIND ZEIGEN-BILDSCHIRM MORGEN ZEIGEN-BILDSCHIRM",
    "ZEIGEN-BILDSCHIRM": "ZEIGEN-BILDSCHIRM",
    # A deleted gloss leaves a gap, over which nothing is joined.
    "REGEN __LEFTHAND__ REGEN": "REGEN REGEN",
    "A __PU__ S": "A S",
    "REGEN __PU__ SONNE": "REGEN SONNE",
}
ONLY_2014T = {
    "__ON__ REGEN __OFF__": "REGEN",
    "__ON__": "",
    "qu-WAS poss-SEIN lh-IX": "qu-WAS poss-SEIN lh-IX",
    "S0NNE HABEN2 ZEIGEN": "S0NNE HABEN2 ZEIGEN",
    # Three markers close the gap they leave; others do not.
    "REGEN __LEFTHAND__ REGEN": "REGEN",
    "A __EMOTION__ S": "A+S",
    "REGEN __PU__ REGEN": "REGEN REGEN",
    "A __PU__ S": "A S",
}


@pytest.mark.parametrize(
    ("rules", "sentence", "expected"),
    [
        *((rules, sentence, expected) for rules in ("2014", "2014T") for sentence, expected in BOTH.items()),
        *(("2014", sentence, expected) for sentence, expected in ONLY_2014.items()),
        *(("2014T", sentence, expected) for sentence, expected in ONLY_2014T.items()),
    ],
)
def test_cleaning(rules, sentence, expected):
    assert " ".join(clean_glosses(sentence.split(" "), rules)) == expected


@pytest.mark.parametrize("sentence", [*BOTH, *ONLY_2014, *ONLY_2014T])
def test_no_cleaning(sentence):
    assert clean_glosses(sentence.split(" "), "none") == tuple(sentence.split())


@pytest.mark.parametrize("rules", ["2014", "2014T"])
@pytest.mark.parametrize("sentence", [*BOTH, *ONLY_2014, *ONLY_2014T])
def test_what_is_clean_stays_as_it_is(rules, sentence):
    """References are clean: they go through the same rules as the training annotation."""
    without_gaps = [gloss for gloss in sentence.split() if gloss not in ("__PU__", "__EMOTION__", "__LEFTHAND__")]
    once = clean_glosses(without_gaps, rules)
    assert clean_glosses(once, rules) == once
