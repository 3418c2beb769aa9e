import csv
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sign_keras.config.ratio import ratio_share
from sign_keras.ctc.alignment import sentence_log_probabilities
from sign_keras.ctc.planner import SentenceClip, frames_left, plan_clips
from tfrecords_tools.command_line import UserError

SHORT = SentenceClip("short.mp4", 10, ["A", "B", "B", "C", "D"])  # needs 6
LONG = SentenceClip("long.mp4", 40, ["A", "B"])
HOPELESS = SentenceClip("hopeless.mp4", 4, ["A", "A", "A"])  # needs 5
EMPTY = SentenceClip("empty.mp4", 3, [])


@pytest.mark.parametrize("ratio", [0.07, 0.1, 0.35, 0.7, 0.875, 1.0])
@pytest.mark.parametrize("downsampling", [1, 2, 3])
def test_frames_left_is_exact(ratio: float, downsampling: int):
    """Also where ``ratio * frames`` is a whole number that floating point misses, as 0.07 * 100."""
    for num_frames in range(201):
        selected = math.ceil(Fraction(str(ratio)) * num_frames)
        assert frames_left(num_frames, ratio, downsampling) == -(-selected // downsampling)
    share = ratio_share(ratio)
    counts = np.arange(1000, dtype=np.int32)
    in_whole_numbers = (counts * share.numerator + share.denominator - 1) // share.denominator
    assert in_whole_numbers.tolist() == [frames_left(int(count), ratio) for count in counts]


def test_counts_of_a_clip():
    (clip,) = plan_clips([SHORT], ratio=0.5).clips
    assert (clip.num_frames, clip.num_glosses, clip.frames_left, clip.frames_needed) == (10, 5, 5, 6)
    assert (clip.feasible, clip.smallest_ratio, clip.fewest_frames) == (False, 0.51, 11)


def test_feasible_is_where_ctc_has_a_path():
    for num_frames in range(1, 12):
        for sentence in ([], [0], [0, 0], [0, 1, 1, 0], [1, 1, 1]):
            (clip,) = plan_clips([SentenceClip("a", num_frames, sentence)], 0.6, 2).clips
            logits = np.zeros((1, clip.frames_left, 3))
            terms = sentence_log_probabilities(logits, [clip.frames_left], [sentence])
            assert clip.feasible == np.isfinite(terms[0])


@pytest.mark.parametrize("downsampling", [1, 2, 4])
def test_what_would_help_is_the_least_that_helps(downsampling: int):
    rng = np.random.default_rng(downsampling)
    clips = [
        SentenceClip(str(number), int(rng.integers(1, 60)), rng.integers(0, 3, rng.integers(1, 9)).tolist())
        for number in range(200)
    ]
    hopeless = 0
    for source, clip in zip(clips, plan_clips(clips, 0.3, downsampling).clips, strict=True):

        def feasible(num_frames: int, ratio: float, glosses=source.glosses) -> bool:
            return plan_clips([SentenceClip("a", num_frames, glosses)], ratio, downsampling).clips[0].feasible

        assert feasible(clip.fewest_frames, 0.3)
        assert not feasible(clip.fewest_frames - 1, 0.3)
        if clip.smallest_ratio is None:
            hopeless += 1
            assert not feasible(clip.num_frames, 1.0)
        else:
            assert feasible(clip.num_frames, clip.smallest_ratio)
            lower = round(clip.smallest_ratio - 0.01, 2)
            assert lower == 0 or not feasible(clip.num_frames, lower)
    assert 0 < hopeless < 200


@pytest.mark.parametrize(
    ("clips", "ratio", "downsampling", "expected"),
    [
        (
            [SHORT, LONG],
            0.5,
            1,
            "1 of 2 clips cannot carry their glosses at selection.ratio=0.5; 0.51 would carry all",
        ),
        ([SHORT, LONG], 0.7, 1, "2 clips can carry their glosses at selection.ratio=0.7"),
        (
            [SHORT, LONG, HOPELESS],
            0.5,
            1,
            "2 of 3 clips cannot carry their glosses at selection.ratio=0.5; 0.51 would carry 1 of them; "
            "1 clip would be too short at any ratio",
        ),
        (
            [SHORT],
            1.0,
            2,
            "1 of 1 clip cannot carry their glosses at downsampling by 2",
        ),
        (
            [SHORT],
            0.5,
            2,
            "1 of 1 clip cannot carry their glosses at selection.ratio=0.5 and downsampling by 2; "
            "1 clip would be too short at any ratio",
        ),
        ([LONG], 1.0, 1, "1 clip can carry their glosses"),
        ([], 0.5, 1, "no clips to plan"),
    ],
)
def test_summary_says_what_would_help(clips, ratio: float, downsampling: int, expected: str):
    assert plan_clips(clips, ratio, downsampling).summary() == expected


def test_empty_sentence_needs_no_frame():
    (clip,) = plan_clips([EMPTY], 0.5, 4).clips
    assert (clip.frames_needed, clip.fewest_frames, clip.feasible) == (0, 0, True)


def test_infeasible_clips_are_listed(tmp_path: Path):
    path = plan_clips([SHORT, LONG, HOPELESS], 0.5).write_infeasible(tmp_path / "run")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["smallest_ratio"]) for row in rows] == [("short.mp4", "0.51"), ("hopeless.mp4", "")]
    assert (rows[0]["frames"], rows[0]["frames_left"], rows[0]["frames_needed"]) == ("10", "5", "6")
    assert plan_clips([LONG], 0.5).write_infeasible(tmp_path / "run").read_text().count("\n") == 1  # none are left


def test_clips_longer_than_the_model_takes_are_infeasible_and_listed_as_such(tmp_path: Path):
    plan = plan_clips([SHORT, LONG], longest=SHORT.num_frames)
    assert [clip.path for clip in plan.infeasible] == ["long.mp4"]
    assert plan.summary() == (
        f"2 clips can carry their glosses; 1 clip of up to {LONG.num_frames} frames would be cut at "
        f"sampling.num_frames={SHORT.num_frames}"
    )
    with plan.write_infeasible(tmp_path).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["reason"] == f"longer than {SHORT.num_frames} frames"


def test_list_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match=r"infeasible\.csv: cannot be written"):
        plan_clips([SHORT], 0.5).write_infeasible(tmp_path / "run")


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.0001, 1.5, math.nan, math.inf, 1e-9])
def test_senseless_ratio_is_an_error(ratio: float):
    with pytest.raises(ValueError, match="selection ratio"):
        plan_clips([SHORT], ratio)


def test_senseless_counts_are_an_error():
    with pytest.raises(ValueError, match="downsampling by 0"):
        plan_clips([SHORT], downsampling=0)
    with pytest.raises(ValueError, match="-1 frames"):
        plan_clips([SentenceClip("a", -1, [])])
