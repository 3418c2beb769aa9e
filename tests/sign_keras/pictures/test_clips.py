import numpy as np
import pytest

from sign_keras.pictures.clips import default_names, frame_edges, open_clips
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError

SECOND = 1_000_000


def sampling(num_frames: int, frame_rate: float | None) -> SamplingSpec:
    return SamplingSpec(num_frames=num_frames, frame_rate=frame_rate, height=32, width=32)


def test_frames_at_a_rate_begin_with_a_short_clip_and_in_the_middle_of_a_long_one():
    short = np.arange(10) * SECOND // 10  # 1 second at 10 frames a second
    assert frame_edges(short, sampling(20, 10), 10, 10) == pytest.approx(np.arange(11) / 10)
    assert frame_edges(short, sampling(20, 5), 10, 5) == pytest.approx(np.arange(6) / 5)
    long = np.arange(40) * SECOND // 10  # 4 seconds, of which 2 are seen
    assert frame_edges(long, sampling(20, 10), 10, 20) == pytest.approx(1 + np.arange(21) / 10)


def test_frames_spread_over_a_clip_share_its_time():
    times = np.arange(10) * SECOND // 10
    assert frame_edges(times, sampling(4, None), 10, 4) == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert frame_edges(np.zeros(1, np.int64), sampling(2, None), 10, 2) == pytest.approx([0, 0.05, 0.1])


def test_a_clip_of_the_records_is_what_evaluation_sees(sign_run):
    inputs, _, metadata = next(sign_run.records.evaluation_batches("test", 2).as_numpy_iterator())
    names = [name.decode() for name in metadata["media_id"]]
    for place, clip in enumerate(open_clips(names, sign_run.artefact, sign_run.records, "test")):
        assert clip.name == names[place]
        assert clip.glosses == (metadata["gloss"][place].decode(),)
        for name, values in clip.inputs.items():
            assert np.array_equal(values[0], inputs[name][place])
        assert clip.num_frames == inputs["frame_mask"][place].sum()


def test_clips_of_other_splits_are_found_too(sign_run):
    _, _, metadata = next(sign_run.records.evaluation_batches("train", 1).as_numpy_iterator())
    name = metadata["media_id"][0].decode()
    [clip] = open_clips([name, name], sign_run.artefact, sign_run.records, "test")
    assert clip.name == name


def test_a_clip_that_is_not_there_is_told_with_those_that_are(sign_run):
    with pytest.raises(UserError, match=r"nothing: no such clip in .*test \d+.*there are .*mp4"):
        open_clips(["nothing"], sign_run.artefact, sign_run.records, "test")
    _, _, metadata = next(sign_run.records.evaluation_batches("test", 1).as_numpy_iterator())
    name = metadata["media_id"][0].decode()
    with pytest.raises(UserError, match=f"did you mean {name}"):
        open_clips([name + "4"], sign_run.artefact, sign_run.records, "test")


def test_a_video_that_cannot_be_read_is_told(sign_run, tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"broken\.mp4: .*cannot be opened as a video"):
        open_clips([str(tmp_path / "broken.mp4")], sign_run.artefact, None, "test")


def test_by_default_right_and_wrong_answers_are_shown_each_of_another_gloss(sign_run, tmp_path):
    rows = ["media_id,signer,gloss,predicted,probability,correct"]
    rows += [f"{name},s,{gloss},x,{probability},{right}" for name, gloss, probability, right in (
        ("a", "yes", 0.9, "true"),
        ("b", "yes", 0.99, "true"),
        ("c", "hello", 0.5, "true"),
        ("d", "thanks", 0.4, "true"),
        ("e", "hello", 0.6, "false"),
        ("f", "hello", 0.7, "false"),
    )]  # fmt: skip
    (tmp_path / "predictions.csv").write_text("\n".join(rows) + "\n")
    assert default_names(tmp_path, sign_run.records, "test") == ["b", "c", "f"]


def test_of_a_run_that_was_not_evaluated_the_first_clips_are_shown(sentence_run, tmp_path):
    everything = next(sentence_run.records.evaluation_batches("test", 99).as_numpy_iterator())[2]["media_id"]
    found = default_names(tmp_path, sentence_run.records, "test")
    assert found == [name.decode() for name in everything[:4]]


def test_sentences_count_as_right_where_all_of_them_is(sentence_run, tmp_path):
    (tmp_path / "predictions.csv").write_text(
        "media_id,signer,reference,hypothesis,substitutions,deletions,insertions,log_probability\n"
        "a,s,yes hello,yes hello,0,0,0,-0.5\nb,s,yes hello,yes,0,1,0,-0.1\nc,s,,,0,0,0,-0.2\n"
    )
    assert default_names(tmp_path, sentence_run.records, "test") == ["c", "a", "b"]
