"""The engine on landmarks of a hand that goes up or aside, with a recogniser that tells the two apart."""

import gc

import numpy as np
import pytest

from sign_keras.inference.live_frames import LiveFrame
from sign_keras.inference.predictor import Predictor
from sign_keras.inference.stream import SignStream, StreamEvent
from sign_keras.inference.stream_settings import StreamSettings
from tests.sign_keras.inference.landmark_streams import LAYOUT, RATE, SIGNED, Recogniser, landmarks, stream
from tests.sign_keras.inference.landmark_streams import CausalRecogniser as CausalToy
from tests.sign_keras.inference.test_sliding_window import CausalRecogniser
from tests.sign_keras.inference.test_sliding_window import Recogniser as SentenceRecogniser
from tfrecords_tools.clips import Clip, ClipSpec, CropSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.crop import FULL_FRAME, cut, hand_crop
from tfrecords_tools.extract import ExtractedClip, FrameEncoder
from tfrecords_tools.keypoints import ClipKeypoints

SQUARE = StreamSettings(aspect_ratio=1.0)


def events_of(engine, frames, image=None):
    found = [event for seconds, points in frames for event in engine.push(seconds, points, image)]
    return found + engine.finish()


def signs(events):
    return [event.gloss for event in events if event.kind == "sign"]


def extracted(frames, images=(), crop=FULL_FRAME, spec=None):
    """The clip that a file of these frames would make."""
    points = np.stack([points for _, points in frames]).astype(np.float16)
    groups = LAYOUT.group_slices.values()
    presence = np.stack([np.isfinite(points[:, rows]).all(axis=(1, 2)) for rows in groups], axis=1)
    keypoints = ClipKeypoints(points, np.zeros((len(points), 33), np.float16), presence)
    encoder = FrameEncoder(spec or ClipSpec())
    for image in images:
        box = (
            hand_crop(keypoints, image.shape[1], image.shape[0], crop.margin) if crop != FULL_FRAME else FULL_FRAME
        )
        encoder.add(cut(image, box))
    seconds = np.array([moment for moment, _ in frames])
    return ExtractedClip(
        clip=Clip("clip", (), "clip"),
        jpegs=encoder.jpegs,
        seconds=seconds - seconds[0],
        frame_rate=RATE,
        width=encoder.width,
        height=encoder.height,
        keypoints=keypoints,
        crop_box=FULL_FRAME,
        pixels=None,
    )


def test_a_stream_says_what_is_signed_and_when():
    events = events_of(SignStream(Recogniser(), SQUARE), stream())
    assert [event.kind for event in events] == ["sign_started", "sign", "sign_ended"] * 2
    assert signs(events) == ["up", "aside"]
    for started, sign, ended in (events[:3], events[3:]):
        assert started.start_seconds == sign.start_seconds == ended.start_seconds
        assert started.end_seconds is None
        assert sign.end_seconds == ended.end_seconds
        assert 0.5 < sign.confidence <= 1
        assert started.gloss is started.confidence is ended.gloss is None
        # A sign ends when its hands have rested for so long.
        assert ended.seconds - ended.end_seconds == pytest.approx(SQUARE.hold_seconds, abs=1.5 / RATE)
        shortest = SQUARE.min_sign_seconds
        assert shortest <= started.seconds - started.start_seconds <= shortest + SQUARE.smoothing_seconds + 2 / RATE


def test_a_sign_is_answered_as_predict_answers_a_file_of_it():
    artefact = Recogniser()
    engine, frames = SignStream(artefact, SQUARE), list(stream())
    events = events_of(engine, frames)
    sign = events[1]
    assert sign.kind == "sign"
    of_sign = [frame for frame in frames if sign.start_seconds <= frame[0] <= sign.end_seconds]
    predictor = Predictor(artefact)
    answer = predictor.answer(extracted(of_sign))
    assert (answer.glosses[0].gloss, answer.glosses[0].probability) == (sign.gloss, sign.confidence)
    seen = [inputs["keypoints"] for inputs in artefact.seen[:-1]]
    wanted = predictor.inputs(extracted(of_sign))["keypoints"]
    assert any(np.array_equal(wanted, inputs, equal_nan=True) for inputs in seen)


@pytest.mark.parametrize("mode", ["full", "hands"])
def test_frames_are_cropped_and_encoded_as_those_of_a_file(mode):
    crop = CropSpec(mode=mode)
    artefact = Recogniser("frames", crop=crop, short_side=48)
    rng = np.random.default_rng(0)
    frames = [(moment, points, rng.integers(0, 256, (96, 96, 3), np.uint8)) for moment, points in stream()]
    engine = SignStream(artefact, SQUARE)
    assert engine.needs_frames
    events = [event for frame in frames for event in engine.push(*frame)]
    sign = next(event for event in events if event.kind == "sign_ended")
    of_sign = [frame for frame in frames if sign.start_seconds <= frame[0] <= sign.end_seconds]
    images = [image for _, _, image in of_sign]
    clip = extracted(
        [frame[:2] for frame in of_sign], images, crop if mode == "hands" else FULL_FRAME, artefact.clip_spec
    )
    wanted = Predictor(artefact).inputs(clip)["frames"]
    assert any(np.array_equal(wanted, inputs["frames"]) for inputs in artefact.seen)
    with pytest.raises(ValueError, match="landmarks came without one"):
        engine.push(1e3, landmarks())


def test_what_the_model_does_not_know_is_no_sign():
    unsure = Recogniser(threshold=0.9999999)
    assert [event.kind for event in events_of(SignStream(unsure, SQUARE), stream())] == [
        "sign_started",
        "sign_ended",
    ] * 2
    strict = SQUARE.model_copy(update={"min_confidence": 1.0})
    assert not signs(events_of(SignStream(Recogniser(), strict), stream()))


def test_the_same_frames_say_the_same_again_and_at_other_times():
    first = events_of(SignStream(Recogniser(), SQUARE), stream())
    engine = SignStream(Recogniser(), SQUARE)
    assert events_of(engine, stream()) == first
    assert events_of(engine, stream()) == first  # a stream that is finished begins anew
    assert signs(events_of(engine, stream(start=1e5))) == signs(first)


def test_late_frames_are_left_out_and_counted():
    frames = list(stream())
    late = [frames[0], frames[0]] + [
        moment for pair in zip(frames[1:], frames[:-1], strict=True) for moment in pair
    ]
    engine = SignStream(Recogniser(), SQUARE)
    assert events_of(engine, late) == events_of(SignStream(Recogniser(), SQUARE), frames)
    assert engine.num_late == len(frames)


@pytest.mark.parametrize("rate", [10.0, 15.0, 60.0, 240.0])
def test_other_frame_rates_and_lost_frames_say_the_same_signs(rate):
    assert signs(events_of(SignStream(Recogniser(), SQUARE), stream(rate=rate))) == ["up", "aside"]
    rng = np.random.default_rng(0)
    some = [frame for frame in stream(rate=rate) if rate < 15 or rng.random() < 0.7]
    assert signs(events_of(SignStream(Recogniser(), SQUARE), some)) == ["up", "aside"]


def test_scores_follow_the_sign_and_stay():
    engine = SignStream(Recogniser(), SQUARE)
    assert engine.scores == ()
    states = []
    for seconds, points in stream():
        engine.push(seconds, points)
        states.append((engine.active, engine.scores))
    assert {len(scores) for active, scores in states if active} == {2}
    during = [scores[0].gloss for active, scores in states if active]
    assert during[5], during[-1] == ("up", "aside")
    assert states[-1][0] is False
    assert states[-1][1][0].gloss == "aside"


@pytest.mark.parametrize("name", ["keypoints", "frames"])
def test_a_causal_model_goes_along_with_a_sign_frame_by_frame(name):
    artefact = CausalToy(name)
    engine = SignStream(artefact, SQUARE.model_copy(update={"score_smoothing": 0.0}))
    image = np.full((64, 64, 3), 90, np.uint8)
    shares, ends = [], []
    for seconds, points in stream(SIGNED[:3]):
        ends += [event for event in engine.push(seconds, points, image) if event.kind == "sign_ended"]
        if engine.active:
            shares.append(engine.scores[0].probability)
    assert {frame.shape[:2] for frame in artefact.steps} == {(1, 1)}
    if name == "frames":
        assert {frame.shape for frame in artefact.steps} == {(1, 1, 32, 32, 3)}
        assert abs(artefact.steps[0].astype(int) - 90).max() <= 1
    # One step a tick of the model's clock, from where the sign began to where it was over.
    assert len(artefact.steps) == pytest.approx((ends[0].seconds - ends[0].start_seconds) * 10, abs=2)
    assert len(artefact.seen) == 1  # the clip was looked at once, when the sign had ended
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1 / (1 + np.exp(-len(artefact.steps))), abs=1e-2)


def test_memory_is_bounded_however_long_somebody_signs():
    engine = SignStream(Recogniser(), SQUARE.model_copy(update={"max_sign_seconds": 1.5, "refresh_seconds": 1.0}))
    most = 0
    for number, (seconds, points) in enumerate(stream((("up", 12.0), ("", 12.0)))):
        engine.push(seconds, points)
        if number % 60 == 30:
            most = max(most, sum(isinstance(item, LiveFrame) for item in gc.get_objects()))
    assert 0 < most <= (1.5 + 0.5) * RATE


def test_what_is_no_frame_is_refused():
    engine = SignStream(Recogniser(), SQUARE)
    with pytest.raises(ValueError, match=r"shape \(33, 3\); expected \[543, 3\]"):
        engine.push(0.0, np.zeros((33, 3), np.float32))
    with pytest.raises(ValueError, match="nan seconds"):
        engine.push(float("nan"), landmarks())
    with pytest.raises(UserError, match="no camera has them"):
        SignStream(Recogniser(keypoints="body_17"), SQUARE)


class Sentences(SentenceRecogniser):
    """Of real landmarks: how far the hand is from where it rests says the label."""

    keypoint_layout = LAYOUT.name
    label_map = SentenceRecogniser.label_map

    def outputs(self, inputs):
        return super().outputs({**inputs, "keypoints": labels(inputs["keypoints"])})


class CausalSentences(CausalRecogniser):
    """The same frame by frame."""

    keypoint_layout = LAYOUT.name

    def step(self, keypoints, state):
        return super().step(labels(keypoints), state)


def labels(keypoints):
    """``[..., 1]``: 1 of a hand that is high, 2 of one that is aside, else 0."""
    hand = keypoints[..., LAYOUT.group_slices["right_hand"].start, :2]
    return np.where(hand[..., 1:] < 0.6, 1.0, np.where(hand[..., :1] > 0.5, 2.0, 0.0))


def sentence(glosses, rate=20.0, start=0.0):
    """The hand goes to each gloss's place in 0.3 s, trembles there for 0.5 s and goes back; then it rests."""
    places = [(0.0, 0.0)] * 12
    for gloss in glosses:
        far = np.array({"a": (0.0, -0.2), "b": (0.2, 0.0)}[gloss])
        places += [tuple(far * share) for share in np.linspace(0.1, 1, 6)]
        places += [(far[0], far[1] + 0.01 * (-1) ** frame) for frame in range(10)]
        places += [tuple(far * share) for share in np.linspace(1, 0.1, 6)]
    places += [(0.0, 0.0)] * 30
    return [(start + frame / rate, landmarks(*place)) for frame, place in enumerate(places)]


@pytest.mark.parametrize("artefact", [Sentences(), CausalSentences()], ids=["clips", "causal"])
def test_sentences_are_read_between_rests(artefact):
    engine = SignStream(artefact, SQUARE)
    first, second = sentence("abbaab"), sentence("ba", start=30.0)
    events = events_of(engine, first) + events_of(engine, second)
    assert signs(events) == list("abbaab") + list("ba")
    assert [event.kind for event in events if event.kind != "sign"] == ["sign_started", "sign_ended"] * 2
    for event in events:
        if event.kind == "sign":
            assert event.end_seconds <= event.seconds + 0.1
    long_one = [event for event in events[:8] if event.kind == "sign"]
    assert long_one[0].seconds < first[-1][0] - 3  # said while signing went on
    place = first.index(next(frame for frame in first if frame[1][LAYOUT.group_slices["right_hand"]][0, 1] < 0.6))
    assert long_one[0].start_seconds == pytest.approx(first[place][0], abs=0.15)


def test_events_are_plain_values():
    event = StreamEvent("sign", 1.0, 0.5, 0.9, "up", 0.7)
    assert event == StreamEvent("sign", 1.0, 0.5, 0.9, "up", 0.7)
    assert len({event, event}) == 1
    assert SIGNED[1][0] == "up"
