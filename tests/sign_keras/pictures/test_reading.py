import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.ctc.alignment import forced_alignments
from sign_keras.data.parsing import parse_record
from sign_keras.inference.predictor import Predictor
from sign_keras.pictures.clips import _shown, open_clips
from sign_keras.pictures.reading import SentenceReading, SignReading, read_clip
from tests.sign_keras.conftest import sentence_points
from tfrecords_tools.clips import Clip
from tfrecords_tools.crop import FULL_FRAME
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.schema import encode_record


def extracted(num_glosses: int) -> ExtractedClip:
    """A video of a sentence; of many glosses, longer than the model takes."""
    rng = np.random.default_rng(num_glosses)
    person = rng.uniform(0.3, 0.7, (len(MEDIAPIPE_HOLISTIC.names), 3))
    points = sentence_points(person, (["hello", "yes", "thanks"] * 3)[:num_glosses], rng)
    presence = np.ones((len(points), len(MEDIAPIPE_HOLISTIC.groups)), bool)
    return ExtractedClip(
        clip=Clip("a.mp4", (), "a.mp4"),
        jpegs=[],
        seconds=np.arange(len(points)) / 25,
        frame_rate=25.0,
        width=64,
        height=48,
        keypoints=ClipKeypoints(points.astype(np.float16), np.ones((len(points), 33), np.float16), presence),
        crop_box=FULL_FRAME,
        pixels=None,
    )


@pytest.mark.parametrize("num_glosses", [2, 8])
def test_glosses_have_the_times_that_prediction_gives(sentence_run, num_glosses):
    video = extracted(num_glosses)
    predicted = Predictor(sentence_run.artefact).answer(video)
    assert predicted.cut == (num_glosses == 8)
    parsed = parse_record(tf.constant(encode_record(video, label_ids=[])), MEDIAPIPE_HOLISTIC)
    artefact = sentence_run.artefact
    clip = _shown("a.mp4", None, parsed, artefact.sampling, artefact.input_names, MEDIAPIPE_HOLISTIC)
    reading = read_clip(artefact, clip)
    assert reading.read
    assert [item.gloss for item in reading.read] == [item.gloss for item in predicted.glosses]
    for ours, theirs in zip(reading.read, predicted.glosses, strict=True):
        assert dataclasses.astuple(ours)[1:] == pytest.approx(dataclasses.astuple(theirs)[1:])
    assert (reading.signed, reading.right) == (None, None)
    assert "nobody says" in reading.why_not_signed


def test_what_is_signed_lies_where_the_likeliest_path_puts_it(sentence_run, first_clip):
    artefact = sentence_run.artefact
    [clip] = open_clips([first_clip(sentence_run)], artefact, sentence_run.records, "test")
    reading = read_clip(artefact, clip)
    assert isinstance(reading, SentenceReading)
    logits = artefact.logits(clip.inputs)
    length = -(-clip.num_frames // 2)
    assert reading.probabilities.shape == (length, 4)
    ids = [artefact.label_map.id(gloss) for gloss in clip.glosses]
    [expected] = forced_alignments(logits, [length], [ids])
    assert [item.gloss for item in reading.signed] == list(clip.glosses)
    for item, (first, last) in zip(reading.signed, expected.spans, strict=True):
        end = min(2 * (last + 1), clip.num_frames) / 25
        assert (item.start_seconds, item.end_seconds) == pytest.approx((2 * first / 25, end))
    assert reading.keyframes is None
    # What is explained is what is read: each of its glosses' logits, once a frame.
    assert float(reading.score(logits)) > 0


@pytest.mark.parametrize(
    ("glosses", "why"),
    [(("hello", "never"), "gloss never"), (("yes",) * 20, "cannot carry the sentence, which needs 39")],
)
def test_what_cannot_be_laid_along_a_clip_says_why(sentence_run, first_clip, glosses, why):
    [clip] = open_clips([first_clip(sentence_run)], sentence_run.artefact, sentence_run.records, "test")
    reading = read_clip(sentence_run.artefact, dataclasses.replace(clip, glosses=glosses))
    assert reading.signed is None
    assert reading.right is False
    assert why in reading.why_not_signed


def test_keyframes_are_those_of_the_model(four_stage_run, first_clip):
    artefact = four_stage_run.artefact
    [clip] = open_clips([first_clip(four_stage_run)], artefact, four_stage_run.records, "test")
    reading, outputs = read_clip(artefact, clip), artefact.outputs(clip.inputs)
    count = -(-clip.num_frames * 7 // 10)
    assert reading.keyframes.kept.sum() == count == len(reading.probabilities)
    indices = outputs["keyframe_indices"][0, :count]
    assert np.flatnonzero(reading.keyframes.kept).tolist() == indices.tolist()
    assert reading.keyframes.scores == pytest.approx(outputs["frame_scores"][0, : clip.num_frames])
    assert reading.edges[:, 0] == pytest.approx(clip.edges[indices])
    assert reading.edges[:, 1] == pytest.approx(clip.edges[indices + 1])
    if reading.read:
        assert reading.frame_attention.shape == (len(reading.read), clip.num_frames)
        assert reading.frame_attention.sum(axis=1) == pytest.approx(1)


def test_one_sign_is_the_likeliest_gloss(sign_run, first_clip):
    [clip] = open_clips([first_clip(sign_run)], sign_run.artefact, sign_run.records, "test")
    reading = read_clip(sign_run.artefact, clip)
    assert isinstance(reading, SignReading)
    probabilities = sign_run.artefact.probabilities(clip.inputs)[0]
    assert reading.probabilities == pytest.approx(probabilities, abs=1e-6)
    best = int(probabilities.argmax())
    assert reading.answer == sign_run.artefact.label_map.glosses[best]
    assert reading.right == (clip.glosses == (reading.answer,))
    assert float(reading.score(probabilities[None])) == probabilities[best]
