import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tfrecords_tools import pipeline
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source, main
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.label_map import LabelMap

FRAMES_ONLY = {"keypoints": None, "clips_per_shard": 4}


def convert(path: Path, output: Path, source="video_folders", workers=1, **settings: object) -> DatasetInfo:
    return convert_source(source, path, output, FRAMES_ONLY | settings, workers)


def shard_bytes(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.glob("*.tfrecord-*")}


def skipped_rows(output: Path) -> list[dict[str, str]]:
    with (output / "skipped.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_sound(output: Path, clips: int) -> None:
    inspection = inspect_records(output)
    assert inspection.problems == []
    assert sum(split.clips for split in inspection.statistics.values()) == clips


def test_folder_to_records(sign_folder, tmp_path):
    settings = {"source": {"signer_pattern": "/(?P<signer>[^_/]+)_"}}
    info = convert_source("video_folders", sign_folder, tmp_path / "records", FRAMES_ONLY | settings, 1)
    assert_sound(tmp_path / "records", clips=12)
    assert info == DatasetInfo.load(tmp_path / "records")
    assert info.name == "records"
    assert list(LabelMap.load(tmp_path / "records" / "label_map.json")) == ["hello", "thanks", "yes"]
    assert {split: part.clips for split, part in info.splits.items()} == {
        "train": 6,
        "validation": 3,
        "test": 3,
    }
    signers = [set(part.signers) for part in info.splits.values()]
    assert set.union(*signers) == {"s0", "s1", "s2", "s3"}
    assert sum(map(len, signers)) == 4
    assert info.mean is not None
    assert 0 < info.mean[0] < 255
    assert skipped_rows(tmp_path / "records") == []
    assert info.shards.keys() == shard_bytes(tmp_path / "records").keys()


def test_bytes_do_not_depend_on_workers(sign_folder, tmp_path):
    for workers in (1, 2):
        convert(sign_folder, tmp_path / str(workers), workers=workers, name="signs")
    assert shard_bytes(tmp_path / "1") == shard_bytes(tmp_path / "2")


def test_second_run_does_no_work(sign_folder, tmp_path, monkeypatch):
    first = convert(sign_folder, tmp_path / "records")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "records").glob("*.tfrecord-*")}
    asked = []
    monkeypatch.setattr(pipeline, "extract_clips", lambda clips, *_: asked.extend(clips) or iter(()))
    assert convert(sign_folder, tmp_path / "records") == first
    assert asked == []
    assert times == {path: path.stat().st_mtime_ns for path in times}


@pytest.mark.parametrize("damage", ["delete", "truncate"])
def test_a_damaged_shard_alone_is_made_again(sign_folder, tmp_path, monkeypatch, damage):
    convert(sign_folder, tmp_path / "records")
    before = shard_bytes(tmp_path / "records")
    victim = tmp_path / "records" / sorted(before)[-1]
    if damage == "delete":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-5])
    asked = []
    real = pipeline.extract_clips
    monkeypatch.setattr(
        pipeline, "extract_clips", lambda clips, *rest: real((asked.append(c) or c for c in clips), *rest)
    )
    convert(sign_folder, tmp_path / "records")
    assert shard_bytes(tmp_path / "records") == before
    assert 0 < len(asked) < 12


def test_added_and_changed_clips_are_taken_up(sign_folder, tmp_path, make_video):
    convert(sign_folder, tmp_path / "records", clips_per_shard=1)
    make_video(sign_folder / "please" / "s9_0.mp4")
    make_video(sign_folder / "yes" / "s0_0.mp4", num_frames=20)
    info = convert(sign_folder, tmp_path / "records", clips_per_shard=1)
    assert_sound(tmp_path / "records", clips=13)
    assert sum(part.frames for part in info.splits.values()) == 12 * 8 + 20 - 8 + 8
    (sign_folder / "please" / "s9_0.mp4").unlink()
    convert(sign_folder, tmp_path / "records", clips_per_shard=1)
    assert_sound(tmp_path / "records", clips=12)


def test_other_settings_in_the_same_folder_are_refused(sign_folder, tmp_path):
    convert(sign_folder, tmp_path / "records")
    with pytest.raises(UserError, match="holds a conversion with other settings"):
        convert(sign_folder, tmp_path / "records", short_side=32)
    assert_sound(tmp_path / "records", clips=12)


def test_records_of_others_are_left_alone(sign_folder, tmp_path):
    foreign = tmp_path / "records" / "theirs-train.tfrecord-00000-of-00001"
    foreign.parent.mkdir()
    foreign.write_bytes(b"precious")
    with pytest.raises(UserError, match="holds records that convert did not write"):
        convert(sign_folder, tmp_path / "records")
    assert foreign.read_bytes() == b"precious"


def test_unreadable_videos_are_skipped_and_listed(sign_folder, tmp_path, make_video):
    (sign_folder / "yes" / "text.mp4").write_text("no video")
    (sign_folder / "yes" / "empty.mp4").touch()
    (sign_folder / "yes" / "notes, «private».txt").write_text("not a clip")
    long = make_video(sign_folder / "yes" / "cut.mp4", num_frames=60)
    long.write_bytes(long.read_bytes()[: int(long.stat().st_size * 0.6)])
    info = convert(sign_folder, tmp_path / "records")
    assert info.num_skipped == 4
    reasons = {Path(row["path"]).name: row["reason"] for row in skipped_rows(tmp_path / "records")}
    assert reasons.keys() == {"text.mp4", "empty.mp4", "cut.mp4", "notes, «private».txt"}
    assert reasons["empty.mp4"] == "is empty (0 bytes)"
    assert reasons["cut.mp4"].startswith("breaks off")
    assert_sound(tmp_path / "records", clips=12)


def test_manifest_with_hard_glosses(tmp_path, make_video):
    for name in "abc":
        make_video(tmp_path / f"{name}.mp4", num_frames=10)
    (tmp_path / "manifest.csv").write_text(
        'path,gloss,glosses,split,end_frame\na.mp4,"yes/no ""maybe""",,train,\n'
        "b.mp4,,čaj 1/2 čaj,train,4\nc.mp4,手話,,test,\nmissing.mp4,手話,,test,\nb.mp4,x,,nowhere,\n",
        encoding="utf-8",
    )
    info = convert(tmp_path, tmp_path / "records", source="manifest")
    assert info.splits["train"].glosses == {'yes/no "maybe"': 1, "čaj": 1, "1/2": 1}
    assert info.splits["train"].frames == 14
    assert {Path(row["path"]).name for row in skipped_rows(tmp_path / "records")} == {
        "missing.mp4",
        "manifest.csv:6",
    }
    assert_sound(tmp_path / "records", clips=3)


def test_label_map_is_kept_to(sign_folder, tmp_path):
    path = tmp_path / "label_map.json"
    path.write_text('{"0": "yes", "1": "hello", "2": "unused"}')
    info = convert(sign_folder, tmp_path / "records", label_map=str(path))
    assert list(LabelMap.load(tmp_path / "records" / "label_map.json")) == ["yes", "hello", "unused"]
    assert info.num_skipped == 4
    assert all("'thanks' is not in" in row["reason"] for row in skipped_rows(tmp_path / "records"))
    assert_sound(tmp_path / "records", clips=8)


def test_images(tmp_path, make_frames):
    import cv2

    for index, image in enumerate(make_frames(num_frames=6)):
        path = tmp_path / "in" / str(index % 2) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    info = convert(tmp_path / "in", tmp_path / "records", source="image_folders")
    assert sum(part.frames for part in info.splits.values()) == 6
    assert_sound(tmp_path / "records", clips=6)


def test_with_keypoints(tmp_path, make_video):
    for name in ("a", "b"):
        make_video(tmp_path / "in" / name / "0.mp4", num_frames=3, width=128, height=128)
    info = convert(tmp_path / "in", tmp_path / "records", keypoints="mediapipe_holistic", crop={"mode": "hands"})
    assert info.crop_origins == {"full": 2}
    assert info.keypoint_layout is not None
    assert len(info.keypoint_layout.points) == 543
    inspection = inspect_records(tmp_path / "records")
    assert inspection.problems == []
    assert inspection.statistics["train"].present_frames["left_hand"] == 0


# The command, in a process of its own.


def start_convert(
    path: Path, output: Path, *overrides: str, arguments: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    settings = [part for override in overrides for part in ("--set", override)]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tfrecords_tools.convert", "--source", "video_folders", "--workers", "1"),
            *("--input", str(path), "--output", str(output), *settings, *arguments),
        ],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A test run in the background of a script ignores Ctrl-C, and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finished_shards(output: Path) -> int:
    return len(list((output / ".conversion").glob("*.tfrecord-*.json")))


def test_killed_at_any_moment_every_clip_is_there_once(tmp_path, make_video):
    first = make_video(tmp_path / "in" / "x" / "00.mp4", num_frames=40, width=640, height=480)
    for number in range(1, 40):
        (first.parent / f"{number:02d}.mp4").hardlink_to(first)
    output = tmp_path / "records"
    for shards_before in (0, 3, 9):
        process = start_convert(tmp_path / "in", output, "keypoints=null", "clips_per_shard=2", "short_side=480")
        while finished_shards(output) < shards_before or not (output / ".conversion").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not (output / "dataset_info.json").exists()
    reused = finished_shards(output)
    assert 9 <= reused < 20
    settings = {"keypoints": None, "clips_per_shard": 2, "short_side": 480}
    times = {path: path.stat().st_mtime_ns for path in output.glob("[!.]*.tfrecord-*")}
    convert_source("video_folders", tmp_path / "in", output, settings, workers=1)
    unchanged = [path for path, changed in times.items() if path.stat().st_mtime_ns == changed]
    assert len(unchanged) == reused
    assert_sound(output, clips=40)
    assert not list(output.glob(".*.partial"))


def test_command_skips_and_says_so(sign_folder, tmp_path):
    (sign_folder / "yes" / "text.mp4").write_text("no video")
    process = start_convert(sign_folder, tmp_path / "records", "keypoints=null")
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "skipped" in stdout
    assert "skipped.csv" in stdout
    assert stderr == ""
    assert skipped_rows(tmp_path / "records")[0]["path"].endswith("text.mp4")


def test_interrupted_command_says_one_word(sign_folder, tmp_path):
    process = start_convert(sign_folder, tmp_path / "records", "clips_per_shard=1")
    while not (tmp_path / "records" / ".conversion").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    # loky's resource tracker may add a word about the semaphores of workers that were stopped.
    assert stderr.startswith("interrupted\n")
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "nowhere"], "nowhere: no such folder; expected <gloss>/<file> in it"),
        (["--input", "{empty}"], "its folders hold no files"),
        (["--set", "shortside=3"], "--set: shortside: unknown key; did you mean clip.short_side?"),
        (["--set", "crop.mode=hand"], "--set: clip.crop.mode: input should be 'full' or 'hands'"),
        (["--set", "source.pattern=x"], "--set source: pattern: unknown key; did you mean signer_pattern?"),
        (["--set", "short_side"], "--set short_side: expected key=value"),
        (["--set", "label_map=nowhere.json"], "nowhere.json: no such label map"),
        (["--set", "split.by=signer"], "split.by=signer: no clip says who signs"),
        (["--workers", "0"], "--workers 0: must be at least 1"),
        (["--output", "{file}"], "{file}"),
        (["--source", "manifest"], "manifest.csv: no such manifest"),
    ],
)
def test_mistakes_are_told_in_one_line(sign_folder, tmp_path, run_main, arguments, message):
    places = {"empty": tmp_path / "empty", "file": tmp_path / "file"}
    places["empty"].mkdir()
    places["file"].write_text("a file")
    defaults = ["--source", "video_folders", "--input", sign_folder, "--output", tmp_path / "records"]
    status, stdout, stderr = run_main(main, *defaults, *(text.format(**places) for text in arguments))
    assert status == 2
    assert stdout == ""
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert message.format(**places) in stderr


@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_help_does_not_load_tensorflow(command):
    code = (
        "import json, runpy, sys\n"
        "try: runpy.run_module(sys.argv[1], run_name='__main__', alter_sys=True)\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "print(json.dumps([name for name in ('tensorflow', 'mediapipe') if name in sys.modules]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, f"tfrecords_tools.{command}", "--help"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )
    *text, modules = ran.stdout.splitlines()
    assert json.loads(modules) == []
    assert any(line.startswith(("example:", "examples:")) for line in text)
