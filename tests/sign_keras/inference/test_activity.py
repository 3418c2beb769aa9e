import itertools

import numpy as np
import pytest

from sign_keras.inference.activity import ActivityDetector, HandSpeed
from sign_keras.inference.stream_settings import StreamSettings
from tests.sign_keras.inference.landmark_streams import LAYOUT, RATE, RIGHT_HAND, SHOULDER_WIDTH, landmarks, stream

SETTINGS = StreamSettings(aspect_ratio=1.0)


def movements(frames, max_seconds=None, settings=SETTINGS, aspect=1.0):
    detector = ActivityDetector(LAYOUT, settings, max_seconds)
    found = [movement for seconds, points in frames for movement in detector.push(seconds, points, aspect)]
    return found + detector.finish()


@pytest.mark.parametrize("aspect", [1.0, 1.5])
def test_speed_is_in_shoulder_widths_a_second(aspect):
    speed, shoulders = HandSpeed(LAYOUT, 0.15), 3.0
    for frame in range(10):
        way = shoulders * SHOULDER_WIDTH * frame / RATE
        found = speed.push(frame / RATE, landmarks(x=way), aspect)
    assert found == pytest.approx(shoulders)  # along x; shoulders and way are wider alike


def test_speed_of_a_hand_that_goes_down_depends_on_the_aspect_ratio():
    speed = HandSpeed(LAYOUT, 0.15)
    for frame in range(10):
        found = speed.push(frame / RATE, landmarks(y=SHOULDER_WIDTH * frame / RATE), 2.0)
    assert found == pytest.approx(0.5)  # of shoulders twice as wide as the picture's height has it


def test_neither_distance_nor_the_camera_counts():
    one, other = HandSpeed(LAYOUT, 0.15), HandSpeed(LAYOUT, 0.15)
    for frame, (seconds, points) in enumerate(stream((("up", 1.0),))):
        moved = points / 2 + 0.01 * frame
        assert other.push(seconds, moved, 1.0) == pytest.approx(one.push(seconds, points, 1.0), rel=1e-4)


def test_signs_begin_and_end_with_motion():
    found = movements(stream())
    assert [movement.kind for movement in found] == ["started", "ended"] * 2
    truth = [(0.8, 1.8), (2.6, 3.8)]
    for (start, end), movement in zip(truth, found[1::2], strict=True):
        assert start - SETTINGS.smoothing_seconds <= movement.start_seconds <= start + 0.05
        assert end - 0.1 <= movement.end_seconds <= end + SETTINGS.smoothing_seconds + 0.05


def test_a_twitch_and_trembling_are_no_signs():
    assert not movements(stream((("", 0.5), ("up", 0.08), ("", 1.0))))
    rng = np.random.default_rng(0)
    trembling = [(seconds, points + rng.normal(0, 1e-3, points.shape)) for seconds, points in stream((("", 4.0),))]
    assert not movements(trembling)


def test_a_hand_that_is_lost_rests():
    frames = [*stream((("", 0.5), ("up", 1.0)))]
    gone = [(frames[-1][0] + (frame + 1) / RATE, landmarks(hand=False)) for frame in range(20)]
    detector = ActivityDetector(LAYOUT, SETTINGS, None)
    found = [movement for seconds, points in frames + gone for movement in detector.push(seconds, points, 1.0)]
    assert [movement.kind for movement in found] == ["started", "ended"]
    assert found[1].end_seconds == pytest.approx(1.5, abs=0.2)


def test_a_hand_that_is_lost_on_its_way_is_followed_by_its_arm():
    wrist = LAYOUT.row("pose/right_wrist")
    frames = []
    for seconds, points in stream((("", 0.5), ("up", 1.0), ("", 0.6))):
        points[wrist] = points[RIGHT_HAND.start]
        if 0.7 < seconds < 1.3:
            points[RIGHT_HAND] = np.nan
        frames.append((seconds, points))
    assert [movement.kind for movement in movements(frames)] == ["started", "ended"]


def test_a_gap_ends_what_was_going_on_with_the_frame_before():
    before, after = list(stream((("", 0.5), ("up", 1.0)))), list(stream((("up", 1.0), ("", 0.5)), start=60.0))
    found = movements(before + after)
    assert [movement.kind for movement in found] == ["started", "ended"] * 2
    assert found[1].is_broken_off
    assert found[1].end_seconds == before[-1][0]
    assert found[2].start_seconds >= 60


def test_what_is_too_long_is_cut_and_goes_on():
    found = movements(stream((("", 0.5), ("up", 5.0), ("", 1.0))), max_seconds=2.0)
    ends = found[1::2]
    assert [movement.kind for movement in found] == ["started", "ended"] * 3
    assert ends[0].end_seconds - ends[0].start_seconds == pytest.approx(2.0, abs=0.05)
    assert all(later.start_seconds >= one.end_seconds for one, later in itertools.pairwise(ends))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop_speed": 2.0}, "stop_speed: is above start_speed"),
        ({"min_sign_seconds": 4.0}, "min_sign_seconds: is not below"),
        ({"gap_seconds": 0.1}, "gap_seconds: is below"),
        ({"hold": 1.0}, "Extra inputs"),
    ],
)
def test_settings_that_contradict_each_other_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        StreamSettings(**changes)
