"""Labels of sentences, changes of speed that keep them whole, and clips that training leaves out."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AugmentConfig, DataConfig
from sign_keras.ctc.labels import frames_needed, logit_frames
from sign_keras.ctc.loss import unpacked
from sign_keras.ctc.planner import SentenceClip
from sign_keras.data.dataset import Records
from sign_keras.data.draws import draw
from sign_keras.data.planning import clips_with_sentences_of, plan_training
from sign_keras.data.sampling import clip_frames, sample_moments
from sign_keras.data.sentences import frame_labels, keep_whole, sentence_label
from tests.sign_keras.conftest import GLOSSES, as_records
from tfrecords_tools.array_records import ArrayClip
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError

SAMPLING = SamplingSpec(num_frames=40, frame_rate=25, height=32, width=32)
INPUTS = ("keypoints", "frame_mask")


@pytest.fixture
def records(tiny_sentence_records):
    return Records.open(tiny_sentence_records, SAMPLING, INPUTS, "continuous")


def parsed_sentence(
    num_frames: int, labels: list[int], gloss_seconds: list[tuple[float, float]] | None = None
) -> dict[str, tf.Tensor]:
    """As much of a record as its label depends on."""
    times = np.round(np.array(gloss_seconds or np.zeros((0, 2))) * 1e6).astype(np.int64)
    return {
        "timestamps": timestamps(num_frames),
        "labels": tf.constant(labels, tf.int64),
        "gloss_starts": tf.constant(times[:, 0]),
        "gloss_ends": tf.constant(times[:, 1]),
    }


def timestamps(num_frames: int, frame_rate: float = 25.0) -> tf.Tensor:
    return tf.constant(np.round(np.arange(num_frames) * 1e6 / frame_rate).astype(np.int64))


def test_labels_hold_real_frames_and_every_gloss_in_its_order(records):
    sentences = {clip.path: clip for clip in records.sentences("test")}
    seen = 0
    for inputs, labels, metadata in records.evaluation_batches("test", 4).as_numpy_iterator():
        gloss_ids, num_frames, num_glosses, frame_glosses = (np.asarray(part) for part in unpacked(labels))
        assert (frame_glosses == -1).all()  # nobody says
        np.testing.assert_array_equal(num_frames, inputs["frame_mask"].sum(axis=1))
        for clip, name in enumerate(metadata["media_id"]):
            described = sentences[name.decode()]
            ids = gloss_ids[clip, : num_glosses[clip]]
            assert ids.tolist() == list(described.glosses)
            assert (gloss_ids[clip, num_glosses[clip] :] == -1).all()
            assert " ".join(GLOSSES[index] for index in ids) == metadata["gloss"][clip].decode()
            assert num_frames[clip] == described.num_frames
            seen += 1
    assert seen == len(sentences) == 10


def test_an_empty_sentence_is_a_label_without_glosses():
    parsed = parsed_sentence(2, [])
    known = unpacked(sentence_label(parsed, sample_moments(parsed["timestamps"], SAMPLING))[tf.newaxis])
    assert (known.gloss_ids.shape, int(known.num_frames[0]), int(known.num_glosses[0])) == ((1, 1), 2, 0)


def test_frames_have_the_gloss_that_is_signed_when_they_are_shown():
    # Frames last 0.04 s: gloss 2 is on screen in frames 1 to 3, gloss 0 in frames 5 and 6.
    parsed = parsed_sentence(8, [2, 0], [(0.04, 0.16), (0.19, 0.25)])
    plain = sample_moments(parsed["timestamps"], SAMPLING)
    assert frame_labels(parsed, plain).numpy().tolist() == [0, 3, 3, 3, 0, 1, 1, 0] + [0] * 32
    # Half as fast, every frame is taken twice.
    slow = sample_moments(parsed["timestamps"], SAMPLING, None, 0.5)
    assert frame_labels(parsed, slow).numpy().tolist() == [0, 0, *[3] * 6, 0, 0, 1, 1, 1, 1, 0, 0] + [0] * 24


def test_frame_labels_reach_batches(tmp_path):
    times = {"a b": "0-0.2 0.2-0.36", "b": "0.1-0.3", "b a b": "0-0.1 0.2-0.28 0.3-0.4"}
    clips = [
        ArrayClip(f"{split}{take}.npy", np.zeros((10, 543, 3), np.float32), {"split": split, **columns})
        for split in ("train", "test")
        for take, columns in enumerate(
            {"glosses": glosses, "gloss_seconds": seconds} for glosses, seconds in times.items()
        )
    ]
    records = Records.open(as_records(clips, tmp_path), SAMPLING, INPUTS, "continuous")
    config = DataConfig(augment=AugmentConfig(speed=0.2))
    for batches in (records.evaluation_batches("test", 3), records.training_batches(config, 3, seed=0).take(2)):
        for _, labels, *_ in batches.as_numpy_iterator():
            known = unpacked(labels)
            for clip, glosses in enumerate(np.asarray(known.gloss_ids)):
                count, frames = int(known.num_frames[clip]), np.asarray(known.frame_glosses[clip])
                wanted = [gloss for gloss in glosses.tolist() if gloss >= 0]
                assert [gloss for gloss, _ in itertools.groupby(frames[:count]) if gloss >= 0] == wanted
                assert (frames[count:] == -1).all()
                assert len(frames) == SAMPLING.num_frames


def test_training_batches_are_the_same_again_and_hold_each_clip_once(records):
    def epoch():
        batches = records.training_batches(DataConfig(augment=AugmentConfig(speed=0.4)), 8, seed=3)
        return list(batches.take(6).as_numpy_iterator())  # 44 clips

    first, again = epoch(), epoch()
    assert sum(len(labels) for _, labels in first) == records.num_clips("train") == 44
    for (inputs, labels), (same_inputs, same_labels) in zip(first, again, strict=True):
        np.testing.assert_array_equal(labels, same_labels)
        np.testing.assert_array_equal(inputs["keypoints"], same_inputs["keypoints"])


@pytest.mark.parametrize("frames_per_logit", [1, 2])
@pytest.mark.parametrize(("num_frames", "labels"), [(40, [0, 1, 1]), (9, [0, 0, 1, 2]), (12, [1]), (23, [])])
def test_no_speed_cuts_a_sentence_or_leaves_it_too_few_frames(frames_per_logit, num_frames, labels):
    parsed = {"timestamps": timestamps(num_frames), "labels": tf.constant(labels, tf.int64)}
    config = AugmentConfig(speed=0.5)
    spans = []
    for seed in range(40):
        drawn = draw(config, SAMPLING.num_frames, tf.constant([seed, 1], tf.int64))
        kept = keep_whole(drawn, parsed, SAMPLING, frames_per_logit)
        moments = sample_moments(parsed["timestamps"], SAMPLING, *kept.when)
        mask, indices = moments.mask.numpy(), moments.indices.numpy()
        real = int(mask.sum())
        assert logit_frames(real, frames_per_logit) >= frames_needed(labels)
        # From the first frames to the last: nothing of the sentence is lost but what two ticks step over.
        step = int(np.ceil(float(kept.span)))
        assert indices[0] <= step
        assert indices[real - 1] >= num_frames - 1 - step
        spans.append(float(kept.span))
    if num_frames == 40:
        assert min(spans) == pytest.approx(1.0)  # no room to be slower
    if num_frames == 12:
        assert min(spans) < 0.7
        assert max(spans) > 1.3


def test_frames_of_a_clip_are_counted_at_the_models_rate():
    assert int(clip_frames(timestamps(30, 30.0), 15.0)) == 15
    assert int(clip_frames(timestamps(30, 10.0), 15.0)) == 45
    assert int(clip_frames(timestamps(1), 15.0)) == 1
    for count, rate in itertools.product((2, 7, 31), (8.0, 25.0, 30.0)):
        moments = sample_moments(timestamps(count), SAMPLING.model_copy(update={"frame_rate": rate}))
        assert int(clip_frames(timestamps(count), rate)) == int(moments.mask.numpy().sum())


def test_clips_too_short_are_left_out_of_training_and_listed(records, tmp_path):
    planned = plan_training(records, unseen_sentences=False)
    out = {f"s{signer}_short.npy" for signer in range(4)}
    assert {clip.path for clip in planned.plan.infeasible} == out
    assert planned.records.num_clips("train") == 40
    assert planned.records.num_clips("test") == 10
    names = {clip.path for clip in planned.records.sentences("train")}
    assert len(names) == 40
    assert not names & out
    batches = planned.records.training_batches(DataConfig(), 8, seed=1).take(5).as_numpy_iterator()
    assert min(labels[:, 0].min() for _, labels in batches) > 2
    assert planned.summary().endswith("4 of 54 clips cannot carry their glosses; left out: 4")


def test_clips_longer_than_the_model_takes_are_left_out(records):
    lengths = [clip.num_frames for clip in records.sentences("train")]
    shorter = SAMPLING.model_copy(update={"num_frames": 18})
    planned = plan_training(Records.open(records.directory, shorter, INPUTS, "continuous"), unseen_sentences=False)
    assert planned.records.num_clips("train") == sum(2 < length <= 18 for length in lengths)
    assert "would be cut at sampling.num_frames=18" in planned.summary()


def test_sentences_of_other_splits_are_left_out_where_wanted(records):
    planned = plan_training(records, unseen_sentences=True)
    elsewhere = {tuple(clip.glosses) for split in ("validation", "test") for clip in records.sentences(split)}
    kept = {tuple(clip.glosses) for clip in planned.records.sentences("train")}
    assert kept
    assert not kept & elsewhere
    assert planned.num_seen == 40 - planned.records.num_clips("train") > 0
    assert f"{planned.num_seen} training clips left out" in planned.summary()


def test_a_sentence_is_another_ones_only_as_a_whole():
    clips = [SentenceClip(name, 9, glosses) for name, glosses in (("a", [1, 2]), ("b", [2, 1]), ("c", [1]))]
    assert [clip.path for clip in clips_with_sentences_of(clips, [SentenceClip("x", 5, [1, 2])])] == ["a"]


def test_no_clip_left_is_one_line(records):
    tiny = SAMPLING.model_copy(update={"num_frames": 2})
    with pytest.raises(UserError, match=r"no clip of split 'train' can be used: .* would be cut"):
        plan_training(Records.open(records.directory, tiny, INPUTS, "continuous"), unseen_sentences=False)
