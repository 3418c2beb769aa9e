import os
import signal
import sys
from pathlib import Path

import pytest

from tfrecords_tools import workers
from tfrecords_tools.clips import Clip, ClipSpec
from tfrecords_tools.extract import ExtractedClip, SkippedClip, extract_clip
from tfrecords_tools.workers import extract_clips

FRAMES_ONLY = ClipSpec(keypoints=None)


def kills(pattern: str, flag: Path | None = None):
    """An ``extract_clip`` that kills its process at ids with ``pattern``; once, given a flag file."""

    def extract(clip, spec, reader):
        if pattern in clip.media_id and not (flag and flag.exists()):
            if flag:
                flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return extract_clip(clip, spec)

    return extract


@pytest.fixture
def clips(tmp_path, make_video) -> list[Clip]:
    path = make_video(tmp_path / "a.mp4")
    return [Clip(str(path), ("x",), f"clip {number:02d}") for number in range(24)]


def test_results_come_in_order(clips):
    results = list(extract_clips(iter(clips), FRAMES_ONLY, workers=2))
    assert [result.clip for result in results] == clips
    assert all(isinstance(result, ExtractedClip) for result in results)


def test_clips_are_taken_only_a_little_ahead(clips):
    taken = []
    results = extract_clips((taken.append(clip) or clip for clip in clips * 5), FRAMES_ONLY, workers=1)
    next(results)
    assert len(taken) <= workers.CLIPS_AHEAD + 1
    results.close()


def test_a_clip_that_crashes_its_worker_loses_nothing_else(clips, monkeypatch):
    monkeypatch.setattr(workers, "extract_clip", kills("clip 05"))
    results = list(extract_clips(clips, FRAMES_ONLY, workers=2))
    assert [result.clip for result in results] == clips
    (skipped,) = [result for result in results if isinstance(result, SkippedClip)]
    assert skipped.clip.media_id == "clip 05"
    assert skipped.reason == "reading it crashed the decoder twice"


def test_a_worker_that_is_killed_once_loses_nothing(clips, monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "extract_clip", kills("clip 07", tmp_path / "killed"))
    results = list(extract_clips(clips, FRAMES_ONLY, workers=2))
    assert [result.clip for result in results] == clips
    assert all(isinstance(result, ExtractedClip) for result in results)


def test_a_worker_that_dies_idle_loses_nothing(clips):
    results = extract_clips(clips, FRAMES_ONLY, workers=1)
    first = next(results)
    pool = results.gi_frame.f_locals["self"]._pool
    for pid in list(pool._processes):
        os.kill(pid, signal.SIGKILL)
    rest = list(results)
    assert [result.clip for result in [first, *rest]] == clips
    assert all(isinstance(result, ExtractedClip) for result in rest)


def test_workers_never_load_tensorflow(clips, monkeypatch):
    import tensorflow  # noqa: F401  (loaded here, as it is in the process that writes records)

    def extract(clip, spec, reader):
        extract_clip(clip, spec)
        return SkippedClip(clip, " ".join(name for name in ("tensorflow", "jax", "keras") if name in sys.modules))

    monkeypatch.setattr(workers, "extract_clip", extract)
    # With keypoints, so that MediaPipe is loaded too.
    (result,) = extract_clips(clips[:1], ClipSpec(), workers=1)
    assert result.reason == ""
