"""Windows over streams of a recogniser whose frames are one number each: the label that is signed there."""

from types import SimpleNamespace

import numpy as np
import pytest

from sign_keras.ctc.decoding import greedy_decode
from sign_keras.ctc.labels import logit_frames
from sign_keras.decoding import SentenceDecoding
from sign_keras.inference.sliding_window import SlidingWindow, WindowFrames
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap

NUM_FRAMES = 80
GLOSSES = ("a", "b", "c", "d")
WINDOW = WindowFrames(length=80, hop=8, margin=8)


class Recogniser:
    """Takes clips of ``NUM_FRAMES`` frames and says of each what is signed in it.

    Args:
        blind: so near to the ends of what it sees it takes every sign for "d".
        frames_per_logit: how many frames make one of the logits, the first one's.
        selects: whether it keeps the first five frames of each ten instead.
    """

    name, task, streams = "toy", "continuous", False
    input_names = ("keypoints", "frame_mask")
    sampling = SamplingSpec(num_frames=NUM_FRAMES, frame_rate=10, height=16, width=16)
    label_map = LabelMap(GLOSSES)
    sentence_decoding = SentenceDecoding()

    def __init__(self, blind=0, frames_per_logit=1, selects=False):
        self.blind, self.frames_per_logit, self.selects = blind, frames_per_logit, selects
        self.looks = 0

    def outputs(self, inputs):
        self.looks += 1
        labels = inputs["keypoints"][0, :, 0].astype(int)
        (num_frames,) = inputs["frame_mask"].sum(axis=1)
        assert inputs["keypoints"].shape == (1, NUM_FRAMES, 1)
        assert (labels[num_frames:] == labels[num_frames - 1]).all()
        labels[: self.blind] = np.where(labels[: self.blind], 4, 0)
        last = slice(max(num_frames - self.blind, 0), num_frames)
        labels[last] = np.where(labels[last], 4, 0)
        if self.selects:
            kept = np.flatnonzero(np.arange(NUM_FRAMES) % 10 < 5)[: logit_frames(NUM_FRAMES, self.frames_per_logit)]
            return {"logits": logits_of(labels[kept])[None], "keyframe_indices": kept[None]}
        return {"logits": logits_of(labels[:: int(self.frames_per_logit)])[None]}


class CausalRecogniser(Recogniser):
    """The same one frame at a time: it remembers how many there were."""

    streams, input_names = True, ("keypoints",)

    def initial_state(self):
        return np.zeros((1, 1), np.float32)

    def step(self, keypoints, state):
        self.looks += 1
        assert keypoints.shape == (1, 1, 1)
        return logits_of(keypoints[0, :, 0].astype(int))[None], state + 1


def logits_of(labels):
    return 8.0 * np.eye(len(GLOSSES) + 1, dtype=np.float32)[labels]


def signed(seed=0, num_glosses=50):
    """Frames of a long sentence of "a", "b" and "c", each for 6 to 9 frames with 2 to 30 of rest before it."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(num_glosses):
        parts += [np.zeros(rng.integers(2, 31)), np.full(rng.integers(6, 10), rng.integers(1, 4))]
    return np.concatenate([*parts, np.zeros(5)])[:, None].astype(np.float32)


def whole_clip(frames):
    """What a recogniser with room for all of it would say: (gloss, first frame, last frame)."""
    (decoded,) = greedy_decode(logits_of(frames[:, 0].astype(int))[None], [len(frames)])
    return [(gloss.gloss_id, gloss.first_frame, gloss.last_frame) for gloss in decoded.glosses]


def stream(recogniser, frames, window=WINDOW, piece=8):
    """What is said in the end, and after each piece."""
    reader, said, history = SlidingWindow(recogniser, window), [], []
    for start in range(0, len(frames), piece):
        said += reader.push({"keypoints": frames[start : start + piece]})
        history.append([place(gloss) for gloss in said])
        assert reader.num_frames == min(start + piece, len(frames))
    said += reader.finish()
    return [place(gloss) for gloss in said], history


def place(gloss):
    return gloss.gloss_id, gloss.first_frame, gloss.last_frame


@pytest.mark.parametrize("recogniser", [Recogniser(), Recogniser(blind=4), CausalRecogniser()])
def test_a_long_recording_is_read_as_if_there_were_room_for_it(recogniser):
    frames = signed()
    assert len(frames) > 10 * NUM_FRAMES
    found, history = stream(recogniser, frames)
    assert found == whole_clip(frames)
    assert len(found) == 50
    for earlier in history:  # nothing is taken back
        assert found[: len(earlier)] == earlier


def test_glosses_are_said_soon():
    """A gloss is said once two windows trust it: a margin and two hops after its end, at the latest."""
    frames = np.concatenate([signed(), np.zeros((32, 1), np.float32)])
    _, history = stream(Recogniser(), frames)
    for number, (_, _, last) in enumerate(whole_clip(frames)):
        said_after = 8 * next(count for count, said in enumerate(history, start=1) if len(said) > number)
        assert last < said_after <= last + 1 + 8 + 2 * 8


@pytest.mark.parametrize("piece", [1, 7, 100, 10_000])
def test_it_does_not_matter_how_frames_are_dealt_out(piece):
    frames = signed(1)
    assert stream(Recogniser(blind=4), frames, piece=piece)[0] == stream(Recogniser(blind=4), frames)[0]


@pytest.mark.parametrize("length", [1, 5, 8, 60, 80, 83, 88, 90])
def test_where_the_stream_ends_the_rest_is_said(length):
    frames = np.where(np.arange(length)[:, None] % 9 < 6, 1 + np.arange(length)[:, None] // 9 % 3, 0)
    frames = frames.astype(np.float32)
    assert stream(Recogniser(), frames)[0] == whole_clip(frames)


def test_a_stream_without_frames_says_nothing():
    assert SlidingWindow(Recogniser(), WINDOW).finish() == []


def test_times_are_the_streams_where_logits_are_fewer():
    """Windows move by whole frames of the logits, so that every window puts the same frames together."""
    frames = np.repeat(signed(2), 2, axis=0)[1:]
    grid = frames[::2]
    expected = [(gloss, 2 * first, min(2 * last + 1, len(frames) - 1)) for gloss, first, last in whole_clip(grid)]
    assert stream(Recogniser(frames_per_logit=2), frames)[0] == expected
    with pytest.raises(ValueError, match="multiples"):
        SlidingWindow(Recogniser(frames_per_logit=2), WindowFrames(80, 7, 8))


def test_times_are_those_of_the_frames_that_a_model_keeps():
    frames, starts = np.zeros((400, 1), np.float32), [20, 70, 120, 210, 320]
    for number, start in enumerate(starts):
        frames[start : start + 8] = 1 + number % 3
    found, _ = stream(Recogniser(frames_per_logit=2, selects=True), frames, WindowFrames(80, 10, 10))
    # Of each ten frames it keeps five.
    assert found == [(number % 3, start, start + 4) for number, start in enumerate(starts)]


def test_a_causal_model_sees_every_frame_once():
    recogniser, frames = CausalRecogniser(), signed(3)
    stream(recogniser, frames)
    assert recogniser.looks == len(frames)


def test_what_waits_is_what_the_last_window_reads_beyond():
    frames = np.zeros((24, 1), np.float32)
    frames[4:10] = 2
    reader = SlidingWindow(Recogniser(), WINDOW)
    assert reader.push({"keypoints": frames}) == []
    assert [place(gloss) for gloss in reader.waiting] == [(1, 4, 9)]
    assert [place(gloss) for gloss in reader.push({"keypoints": frames[:8]})] == [(1, 4, 9)]
    assert reader.waiting == []


def test_windows_in_seconds():
    assert WindowFrames.of(Recogniser(), 8) == WindowFrames(80, 10, 10)
    assert WindowFrames.of(Recogniser(frames_per_logit=4), 8, 1.1) == WindowFrames(80, 8, 8)
    assert WindowFrames.of(CausalRecogniser(), 60) == WindowFrames(600, 75, 75)  # it needs no clip


@pytest.mark.parametrize(
    ("seconds", "hop", "fault"),
    [
        (8.2, None, "a window of 8.2 s: toy takes 8 s at most"),
        (2, 0.6, "must be at least 4 times as long"),
        (0.5, None, "and move on by 0.1 s or more"),
    ],
)
def test_windows_that_cannot_be_are_told(seconds, hop, fault):
    with pytest.raises(UserError, match=fault):
        WindowFrames.of(Recogniser(), seconds, hop)


def test_models_of_single_signs_have_no_windows():
    single = SimpleNamespace(name="single", task="isolated", sampling=Recogniser.sampling, frames_per_logit=1)
    with pytest.raises(UserError, match="single: names one sign a clip"):
        WindowFrames.of(single, 2)


def test_windows_in_which_frames_are_trusted_once_are_refused():
    with pytest.raises(ValueError, match="at least twice hop and margin"):
        WindowFrames(30, 8, 8)
