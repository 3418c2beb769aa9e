import io
import json
import sys

import pytest

from sign_keras.predict import find_videos, main
from tests.sign_keras.export.tiny_export import make_exports


@pytest.fixture(scope="module")
def model(tiny_records):
    return make_exports(tiny_records).tflite


@pytest.fixture
def folder(tmp_path, make_video):
    """Two videos whose order by name is not by number, one a folder deeper, and what is no video."""
    root = tmp_path / "videos"
    for name in ("clip_10.mp4", "clip_2.mp4", "more/clip_1.MP4"):
        make_video(root / name)
    (root / "notes.txt").write_text("x")
    (root / ".hidden.mp4").write_text("x")
    return root


def test_folders_give_their_videos_in_natural_order(folder):
    expected = [str(folder / name) for name in ("clip_2.mp4", "clip_10.mp4", "more/clip_1.MP4")]
    assert find_videos([str(folder)]) == expected
    assert find_videos(["a.mp4", str(folder / "more")]) == ["a.mp4", expected[2]]


def test_table_names_the_glosses(model, folder, run_main):
    status, out, err = run_main(main, "--model", model, folder, "--top-k", 2, "--workers", 1)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0::3] == find_videos([str(folder)])
    for line in lines[1::3] + lines[2::3]:
        gloss, share, *rest = line.split()
        assert gloss in ("hello", "thanks", "yes")
        assert 0 <= float(share.removesuffix("%")) <= 100
        assert len("".join(rest)) == pytest.approx(float(share.removesuffix("%")) / 5, abs=0.51)


def test_json_has_a_line_for_each_video_and_skipped_ones_give_status_1(model, folder, run_main):
    (folder / "broken.mp4").write_text("no video")
    status, out, err = run_main(main, "--model", model, folder, folder / "gone.mp4", "--json", "--workers", 1)
    assert (status, err) == (1, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["path"] for row in rows] == [*find_videos([str(folder)]), str(folder / "gone.mp4")]
    assert "cannot be opened as a video" in rows[0]["error"]
    assert rows[-1] == {"path": str(folder / "gone.mp4"), "error": "no such file"}
    for row in rows[1:-1]:
        assert {item["gloss"] for item in row["predictions"]} == {"hello", "thanks", "yes"}
        assert sum(item["probability"] for item in row["predictions"]) == pytest.approx(1, abs=1e-4)


def test_table_lists_skipped_videos(model, tmp_path, run_main):
    status, out, _ = run_main(main, "--model", model, tmp_path / "gone.mp4", "--workers", 1)
    assert status == 1
    assert out == f"{tmp_path / 'gone.mp4'}\n  skipped: no such file\n"


def test_answers_that_the_model_doubts_are_marked_and_shown(model, folder, run_main, monkeypatch):
    from sign_keras.inference.tflite_artefact import TFLiteArtefact

    paths = find_videos([str(folder)])
    _, out, _ = run_main(main, "--model", model, folder, "--json", "--workers", 1)
    assert [json.loads(line)["accepted"] for line in out.splitlines()] == [True] * 3
    probabilities = [json.loads(line)["predictions"][0]["probability"] for line in out.splitlines()]
    monkeypatch.setattr(TFLiteArtefact, "thresholds", {"sign": max(probabilities) + 0.001})
    _, out, _ = run_main(main, "--model", model, folder, "--json", "--workers", 1)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["accepted"] for row in rows] == [False] * 3
    assert [row["predictions"][0]["probability"] for row in rows] == pytest.approx(probabilities)
    _, out, _ = run_main(main, "--model", model, folder, "--top-k", 1, "--workers", 1)
    assert out.splitlines()[0::2] == [f"{path}  (no sign that it knows)" for path in paths]


def test_paths_from_standard_input(model, folder, run_main, monkeypatch):
    path = str(folder / "clip_2.mp4")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{path}\n\n"))
    status, out, _ = run_main(main, "--model", model, "-", "--json", "--workers", 1)
    assert status == 0
    assert [json.loads(line)["path"] for line in out.splitlines()] == [path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "none", "a.mp4", "--top-k", "0"], "--top-k 0: must be at least 1"),
        (["--model", "none", "a.mp4", "--workers", "0"], "--workers 0: must be at least 1"),
        (["--model", "none/model", "a.mp4"], "none/model: no such file or directory"),
        (["--model", "model.h5", "a.mp4"], "model.h5: no model has the suffix '.h5'"),
        (["--model", "empty.tflite", "-"], "-: no path on standard input"),
        (["--model", "empty.tflite", "empty"], "empty: no video below this folder"),
    ],
)
def test_mistakes_are_one_line_and_status_2(tmp_path, run_main, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.h5").touch()
    (tmp_path / "empty.tflite").touch()
    status, out, err = run_main(main, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_help_needs_no_tensorflow(assert_help_is_quick):
    assert_help_is_quick("sign_keras.predict")
