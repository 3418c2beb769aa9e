"""Making a shard needs no Beam and is tested always; pipelines are ``slow``, and need it: ``make test-beam``."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.tfrecords_tools.test_convert import (
    FRAMES_ONLY,
    assert_sound,
    finished_shards,
    shard_bytes,
    skipped_rows,
    start_convert,
)
from tests.tfrecords_tools.test_workers import kills
from tfrecords_tools import beam_runner, workers
from tfrecords_tools.beam_runner import beam_writer, make_shards, write_plans
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source, main
from tfrecords_tools.extract import extract_clip
from tfrecords_tools.shards import read_shard

SETTINGS = FRAMES_ONLY | {"name": "signs", "clips_per_shard": 2}


@pytest.fixture
def beam():
    return pytest.importorskip("apache_beam")


def convert_locally(path: Path, output: Path) -> Path:
    convert_source("video_folders", path, output, SETTINGS, 1)
    return output


def convert_with_beam(path: Path, output: Path, *flags: str) -> Path:
    writer = beam_writer(None, flags, workers=2)
    convert_source("video_folders", path, output, SETTINGS, write_shards=writer)
    return output


def records_of(output: Path, split: str) -> list[bytes]:
    return sorted(record for path in output.glob(f"*-{split}.tfrecord-*") for record in read_shard(path))


def assert_same(output: Path, reference: Path) -> None:
    for split in ("train", "validation", "test"):
        assert records_of(output, split) == records_of(reference, split) != []
    assert shard_bytes(output) == shard_bytes(reference)
    for name in ("dataset_info.json", "label_map.json", "skipped.csv"):
        assert (output / name).read_bytes() == (reference / name).read_bytes()
    assert not (output / ".conversion" / "beam").exists()


# One shard, without Beam.


def in_reverse(job, missing, journal):
    """A runner of a few lines: makes the shards in another order, and all of them once more, as a cluster may."""
    write_plans(job.output, missing)
    make_shards(job, [shard.name for shard in reversed(missing)])
    for shard in missing:
        make_shards(job, [shard.name])


@pytest.fixture
def in_this_process(monkeypatch):
    """Extraction without the processes that each shard starts, for speed."""

    def extract(clips, spec, workers, reader):
        return (extract_clip(clip, spec, reader) for clip in clips)

    monkeypatch.setattr(beam_runner, "extract_clips", extract)


def test_shards_are_those_of_the_local_run(sign_folder, tmp_path):
    (sign_folder / "yes" / "text.mp4").write_text("no video")
    settings = SETTINGS | {"clips_per_shard": 5}
    convert_source("video_folders", sign_folder, tmp_path / "local", settings, 1)
    reference = tmp_path / "local"
    convert_source("video_folders", sign_folder, tmp_path / "beam", settings, write_shards=in_reverse)
    assert shard_bytes(tmp_path / "beam") == shard_bytes(reference)
    assert skipped_rows(tmp_path / "beam") == skipped_rows(reference)
    assert_sound(tmp_path / "beam", clips=12)


def test_a_shard_that_is_whole_is_not_made_again(sign_folder, tmp_path, monkeypatch, in_this_process):
    asked = []
    real = beam_runner.extract_clips

    def extract(clips, *rest, **named):
        clips = list(clips)
        asked.extend(clips)
        return real(clips, *rest, **named)

    monkeypatch.setattr(beam_runner, "extract_clips", extract)
    convert_source("video_folders", sign_folder, tmp_path / "beam", SETTINGS, write_shards=in_reverse)
    assert len(asked) == 12


def test_two_attempts_at_one_shard_do_not_disturb_each_other(sign_folder, tmp_path, in_this_process):
    reference = convert_locally(sign_folder, tmp_path / "local")
    faults = []

    def attempt(job, name):
        try:
            make_shards(job, [name])
        except Exception as error:
            faults.append(error)

    def at_once(job, missing, journal):
        write_plans(job.output, missing)
        for shard in missing:
            threads = [threading.Thread(target=attempt, args=(job, shard.name)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    convert_source("video_folders", sign_folder, tmp_path / "beam", SETTINGS, write_shards=at_once)
    # Three that write one journal entry at the same moment may find it renamed: Beam then tries again.
    assert all(isinstance(fault, FileNotFoundError) for fault in faults)
    assert shard_bytes(tmp_path / "beam") == shard_bytes(reference)


def test_a_worker_stops_when_its_driver_has_gone(sign_folder, tmp_path, monkeypatch, in_this_process):
    real = beam_runner.extract_clips

    def extract_then_end(clips, *rest, **named):
        for result in real(clips, *rest, **named):
            yield result
            write_plans(tmp_path / "beam", [])  # as the next driver does

    def one(job, missing, journal):
        write_plans(job.output, missing)
        make_shards(job, [missing[0].name])

    monkeypatch.setattr(beam_runner, "extract_clips", extract_then_end)
    with pytest.raises(UserError, match="the run has ended"):
        convert_source("video_folders", sign_folder, tmp_path / "beam", SETTINGS, write_shards=one)
    assert shard_bytes(tmp_path / "beam") == {}


# The command's arguments.


def test_without_beam_one_line_says_what_to_install(sign_folder, tmp_path, run_main, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    command = ["--source", "video_folders", "--input", sign_folder, "--output", tmp_path / "records"]
    status, _, stderr = run_main(main, *command, "--runner", "beam")
    assert status == 2
    assert stderr == "error: --runner beam: Apache Beam is not installed; pip install 'sign_keras[beam]'\n"


@pytest.mark.parametrize("arguments", [["--parallelism=4"], ["--beam-runner", "FlinkRunner"]])
def test_options_of_beam_need_the_beam_runner(sign_folder, tmp_path, run_main, arguments):
    command = ["--source", "video_folders", "--input", sign_folder, "--output", tmp_path / "records"]
    status, _, stderr = run_main(main, *command, *arguments)
    assert status == 2
    assert "without --runner beam: unrecognized arguments" in stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parallelisms=4"], "--parallelisms: neither convert nor Beam has such an option"),
        (["--direct_num_workers=many"], "Beam's options: "),
        (["--beam-runner", "FlunkRunner"], "--beam-runner FlunkRunner: Unexpected pipeline runner"),
        (["--beam-runner", "FlinkRunner", "--workers", "3"], "--workers 3: counts processes on this machine"),
        (["--beam-runner", "FlinkRunner", "--output", "records"], "--output records: is relative"),
        (["--beam-runner", "FlinkRunner", "--input", "{relative}"], "is relative; other machines need"),
    ],
)
def test_mistakes_are_told_in_one_line(beam, sign_folder, tmp_path, run_main, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    command = ["--source", "video_folders", "--input", sign_folder, "--output", tmp_path / "records"]
    given = [text.format(relative=sign_folder.relative_to(tmp_path)) for text in arguments]
    status, _, stderr = run_main(main, *command, "--runner", "beam", "--set", "keypoints=null", *given)
    assert status == 2
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert message in stderr


# Pipelines.


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_beam_makes_the_same_records(beam, sign_folder, tmp_path, mode):
    reference = convert_locally(sign_folder, tmp_path / "local")
    assert_same(convert_with_beam(sign_folder, tmp_path / "beam", f"--direct_running_mode={mode}"), reference)


@pytest.mark.slow
def test_a_worker_that_dies_at_a_clip_loses_nothing(beam, sign_folder, tmp_path, monkeypatch):
    reference = convert_locally(sign_folder, tmp_path / "local")
    monkeypatch.setattr(workers, "extract_clip", kills("thanks/s2", tmp_path / "killed"))
    assert_same(convert_with_beam(sign_folder, tmp_path / "beam"), reference)
    assert (tmp_path / "killed").exists()


@pytest.mark.slow
def test_a_clip_that_always_kills_its_worker_is_skipped(beam, sign_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "extract_clip", kills("thanks/s2"))
    output = convert_with_beam(sign_folder, tmp_path / "beam")
    (row,) = skipped_rows(output)
    assert row["reason"] == "reading it crashed the decoder twice"
    assert_sound(output, clips=11)


@pytest.mark.slow
def test_a_shard_that_fails_ends_the_run_and_the_next_completes_it(beam, sign_folder, tmp_path, monkeypatch):
    reference = convert_locally(sign_folder, tmp_path / "local")
    real = beam_runner.write_shard
    victim = sorted(shard_bytes(reference))[2]

    def fill_the_disk(job, shard, results, bar=None):
        if shard.name == victim:
            raise OSError(28, "No space left on device", "records")
        return real(job, shard, results, bar)

    with monkeypatch.context() as patch:
        patch.setattr(beam_runner, "write_shard", fill_the_disk)
        with pytest.raises(UserError, match=r"of [0-9] shards made: .*No space left") as stop:
            convert_with_beam(sign_folder, tmp_path / "beam")
    assert "\n" not in str(stop.value)
    assert not (tmp_path / "beam" / victim).exists()
    assert not (tmp_path / "beam" / "dataset_info.json").exists()
    assert_same(convert_with_beam(sign_folder, tmp_path / "beam"), reference)


@pytest.mark.slow
def test_killed_and_started_again_every_clip_is_there_once(beam, tmp_path, make_video):
    first = make_video(tmp_path / "in" / "x" / "00.mp4", num_frames=40, width=640, height=480)
    for number in range(1, 24):
        (first.parent / f"{number:02d}.mp4").hardlink_to(first)
    output = tmp_path / "records"
    overrides = ("keypoints=null", "clips_per_shard=2", "short_side=480")
    process = start_convert(tmp_path / "in", output, *overrides, arguments=["--runner", "beam"])
    while finished_shards(output) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (output / "dataset_info.json").exists()
    made = {path: path.stat().st_mtime_ns for path in output.glob("[!.]*.tfrecord-*")}
    assert 3 <= finished_shards(output) < 12
    process = start_convert(tmp_path / "in", output, *overrides, arguments=["--runner", "beam"])
    _, stderr = process.communicate(timeout=300)
    assert (process.returncode, stderr) == (0, "")
    assert sum(path.stat().st_mtime_ns == changed for path, changed in made.items()) >= 3
    assert_sound(output, clips=24)
    assert not (output / ".conversion" / "beam").exists()
