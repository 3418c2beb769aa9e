"""The command, on a run of each kind; and the page that it writes."""

import dataclasses
import json
import re
import shutil
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sign_keras.pictures.clips import default_names, open_clips
from sign_keras.pictures.explanation import explain
from sign_keras.pictures.folder import folder_name, write_pictures
from sign_keras.visualize import main


def files(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def players(page: str) -> list[dict]:
    return [
        json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    ]


def test_a_run_of_sentences_with_keyframes_leaves_every_picture(four_stage_run, first_clip, tmp_path, run_main):
    name, output = first_clip(four_stage_run), tmp_path / "out"
    status, out, _ = run_main(main, "--run", four_stage_run.run.directory, "--clip", name, "--output", output)
    assert status == 0
    assert f"pictures: {output / 'pictures.html'}" in out
    folder = folder_name(1, name)
    found = files(output)
    learning = ("loss", "stage_losses", "wer", "loss_weights", "rates")
    expected = {"pictures.html", "architecture.png", *(f"learning_{part}.png" for part in learning)}
    expected |= {f"{folder}/{part}.png" for part in ("alignment", "frame_scores", "frames")}
    assert expected <= found
    for path in found - {"pictures.html"}:
        assert Image.open(output / path).convert("L").getextrema()[0] < 200  # something is drawn
    page = (output / "pictures.html").read_text(encoding="utf-8")
    check_self_contained(page)
    clip, epochs = players(page)
    assert set(clip["columns"][0]) == {"kept", "dropped"}
    assert epochs["names"][1] == "epoch 2, whose weights were kept"


def check_self_contained(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|//[a-z]+\.|@import|<link|<iframe", page)
    assert all(re.match(r"data:|#", address) for address in re.findall(r"url\(['\"]?([^)'\"]*)", page))
    addresses = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert all(re.match(r"data:image/|#", address) for address in addresses)
    assert len(page) < 5e6
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


OTHERS = ("<s>&", "$x_$", "手話")


@pytest.fixture(scope="module")
def written(sentence_run, tmp_path_factory) -> SimpleNamespace:
    """A clip of keypoints, whose name and glosses are other people's text."""
    names = default_names(sentence_run.run.directory, sentence_run.records, "test")
    [clip] = open_clips(names[:1], sentence_run.artefact, sentence_run.records, "test")
    clip = dataclasses.replace(clip, name="<i>$a$</i>/clip.npy", glosses=OTHERS)
    folder = tmp_path_factory.mktemp("written")
    [found] = write_pictures(folder, sentence_run.artefact, sentence_run.run, [clip])
    return SimpleNamespace(folder=folder, found=found, page=(folder / "pictures.html").read_text(encoding="utf-8"))


def test_keypoints_and_attention_are_shown(written):
    found, page = written.found, written.page
    names = {picture.name for picture in found.pictures}
    assert names == {"alignment", "evidence", "frames", "attention"}
    assert found.left_out == ("Frame scores: this model selects no frames, it takes all of them.",)
    check_self_contained(page)
    # The readout is what the pictures show, frame by frame, under its own name.
    [clip, _] = players(page)
    columns = dict(zip(found.readout, clip["columns"], strict=True))
    assert [len(column) for column in columns.values()] == [found.clip.num_frames] * len(columns)
    blank = [f"{found.reading.probabilities[frame // 2, 0]:.3f}" for frame in range(found.clip.num_frames)]
    assert columns["p(blank)"] == blank
    assert re.findall(r"<dt>(.*?)</dt>", page)[: len(columns)] == list(columns)


def test_every_picture_has_words_and_every_slider_a_name(written):
    page = written.page
    labels = re.findall(r'<div class="(?:plot|sheet)[^>]*role="img" aria-label="([^"]+)"', page)
    assert len(labels) == page.count('<div class="plot') + page.count('<div class="sheet') > 5
    assert page.count('<input type="range"') == len(re.findall(r'<input type="range"[^>]*aria-label=', page)) == 2


def test_names_are_other_peoples_text(written):
    assert "<s>&" not in written.page
    assert "<i>$a$" not in written.page
    assert " ".join(OTHERS) in unescape(written.page)
    assert (written.folder / "01_i_a_i_clip.npy" / "alignment.png").is_file()


def test_the_same_run_gives_the_same_files(sign_run, first_clip, tmp_path):
    clips = open_clips([first_clip(sign_run)], sign_run.artefact, sign_run.records, "test")
    for part in ("a", "b"):
        write_pictures(tmp_path / part, sign_run.artefact, sign_run.run, clips)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "a")) > 4
    for path in files(tmp_path / "a"):
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes(), path


def test_a_clip_in_which_nothing_is_read_says_so(sentence_run, first_clip, monkeypatch):
    [clip] = open_clips([first_clip(sentence_run)], sentence_run.artefact, sentence_run.records, "test")
    logits = np.zeros((1, 16, 4), np.float32)
    logits[..., 0] = 9
    monkeypatch.setattr(sentence_run.artefact, "outputs", lambda inputs: {"logits": logits})
    found = explain(sentence_run.artefact, sentence_run.run, clip)
    assert found.reading.read == ()
    assert "What speaks for the answer: it reads nothing in this clip" in found.left_out[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "nowhere"], "nowhere: no such file or directory"),
        (["--run", "RUN", "--clip", "nothing.mp4"], "--clip nothing.mp4: no such clip in"),
        (["--run", "RUN", "--records", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line(sentence_run, run_main, arguments, message):
    places = {"RUN": str(sentence_run.run.directory)}
    status, _, err = run_main(main, *(places.get(argument, argument) for argument in arguments))
    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert message in err


def test_an_export_is_no_run(tmp_path, run_main):
    (tmp_path / "model.tflite").write_bytes(b"x")
    status, _, err = run_main(main, "--run", tmp_path / "model.tflite")
    assert status == 2
    assert "is an export, whose layers cannot be looked into" in err


def test_a_run_without_weights_is_told(sentence_run, tmp_path, run_main):
    shutil.copytree(sentence_run.run.directory, tmp_path / "run", ignore=shutil.ignore_patterns("*.h5"))
    status, _, err = run_main(main, "--run", tmp_path / "run")
    assert status == 2
    assert "has an epoch of this run ended yet?" in err
