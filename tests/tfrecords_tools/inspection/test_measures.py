import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tfrecords_tools.inspection.distributions import histogram, kinds
from tfrecords_tools.inspection.measures import (
    ClipMeasures,
    Meter,
    blur_limit,
    flags,
    hand_columns,
    longest_gap,
    sharpness,
)
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout

NAN = math.nan
PLAIN = ClipMeasures("a", ("x",), "", "train", 10, 0.4, 25.0, "64x48", 1.0, (), 0, 0.0, 100.0, 0.5, "full")


@pytest.mark.parametrize(
    ("present", "gap"),
    [("", 0), ("....", 0), ("x...", 0), ("...x", 0), ("x.x", 1), ("..xx...x.x....", 3), ("xxxx", 0)],
)
def test_longest_gap_lies_between_frames_with_hands(present, gap):
    assert longest_gap(np.array([letter == "x" for letter in present], bool)) == gap


def test_sharpness_falls_with_blur_and_not_with_size():
    rng = np.random.default_rng(0)
    sharp = cv2.resize(rng.integers(0, 255, (60, 80)).astype(np.uint8), (320, 240))
    values = [sharpness(cv2.GaussianBlur(sharp, (0, 0), width)) for width in (0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[-1]
    assert sharpness(np.full((48, 64), 90, np.uint8)) == 0
    large = cv2.resize(sharp, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    same = cv2.resize(large, (341, 256), interpolation=cv2.INTER_AREA)
    assert sharpness(large) == pytest.approx(sharpness(same), rel=0.05)


def test_dark_is_not_blurry():
    sharp = np.random.default_rng(0).integers(0, 255, (60, 80)).astype(np.uint8)
    assert sharpness(sharp // 8) == pytest.approx(sharpness(sharp), rel=0.1)


def test_blurry_is_what_is_far_less_sharp_than_the_rest():
    rng = np.random.default_rng(0)
    usual = [replace(PLAIN, sharpness=float(value)) for value in np.exp(rng.normal(5, 0.3, 50))]
    soft = replace(PLAIN, sharpness=5.0)
    limit = blur_limit([*usual, soft])
    assert flags(soft, limit) == ["blurry"]
    assert not any(flags(clip, limit) for clip in usual)
    alike = [replace(PLAIN, sharpness=100.0 + number / 10) for number in range(10)]
    assert not any(flags(clip, blur_limit(alike)) for clip in alike)
    assert blur_limit([replace(PLAIN, sharpness=NAN)]) == 0


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"hand_share": 0.0}, ["no hands"]),
        ({"hand_share": 0.4}, ["few hands"]),
        ({"hand_share": NAN, "gap_seconds": NAN, "sharpness": NAN, "brightness": NAN}, []),
        ({"gap_seconds": 0.5}, ["drop-out"]),
        ({"brightness": 0.1}, ["dark"]),
        ({}, []),
    ],
)
def test_flags(changes, found):
    assert flags(replace(PLAIN, **changes), 50.0) == found


def test_hands_of_any_layout():
    layout = KeypointLayout.from_names("own", ["Left_Hand/tip", "nose/tip", "hand2/tip"], [])
    assert hand_columns(layout) == [0, 2]
    assert hand_columns(MEDIAPIPE_HOLISTIC) == [2, 3]
    assert hand_columns(None) == []


def test_meter_measures_what_is_in_a_record(make_clip, write_records):
    points = np.zeros((10, 543, 3))
    points[[2, 3, 4], MEDIAPIPE_HOLISTIC.group_slices["left_hand"]] = np.nan
    points[[0, 2, 3, 4, 5], MEDIAPIPE_HOLISTIC.group_slices["right_hand"]] = np.nan
    frames = np.full((10, 48, 64, 3), 51, np.uint8)
    folder = write_records(
        {"train": [make_clip("a", "x y", "anna", frames=frames, points=points)]}, MEDIAPIPE_HOLISTIC
    )
    meter = Meter(MEDIAPIPE_HOLISTIC)
    assert inspect_records(folder, observers=[meter]).problems == []
    assert meter.clips == [
        ClipMeasures(
            media_id="a",
            glosses=("x", "y"),
            signer="anna",
            split="train",
            frames=10,
            seconds=0.4,
            frame_rate=25.0,
            size="64x48",
            hand_share=0.7,
            groups=(1.0, 1.0, 0.7, 0.5),
            gap_frames=3,
            gap_seconds=0.12,
            sharpness=0.0,
            brightness=0.2,
            crop="full",
        )
    ]


def test_histogram_counts_every_clip_in_the_bin_that_its_link_names():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = np.round(rng.normal(rng.uniform(-5, 500), rng.uniform(0.01, 100), 50), 3)
        bars = histogram("x", "key", values.tolist()).bars
        assert sum(bar.count for bar in bars) == 50
        for bar in bars:
            low, high = map(float, bar.link.removeprefix("#key=").split(".."))
            assert bar.count == ((values >= low) & (values < high)).sum()


@pytest.mark.parametrize("values", [[0.0], [5, 5, 5], [NAN, 0.123]])
def test_histogram_of_values_that_are_alike(values):
    (bar,) = histogram("x", "key", values).bars
    assert bar.count == len([value for value in values if not math.isnan(value)])


def test_histogram_of_nothing():
    assert histogram("x", "key", [NAN, NAN]) is None


def test_rare_kinds_are_counted_together():
    bars = kinds("size", [f"{number}x1" for number in range(20) for _ in range(20 - number)])
    assert len(bars) == 8
    assert sum(bar.count for bar in bars) == 210
    assert {bar.link for bar in bars} >= {"#size=0x1", "#size=other"}
