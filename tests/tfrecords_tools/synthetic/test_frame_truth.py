"""The truth of frames, read beside the video of a rendered clip."""

from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.synthetic.anatomy import JOINT_NAMES
from tfrecords_tools.synthetic.dataset import synthesize
from tfrecords_tools.synthetic.frame_truth import FrameTruth, read_frame_truth


def test_speed_is_how_far_the_faster_hand_went_in_its_own_units():
    hands = np.zeros((4, 2, 3, 2), np.float32)
    hands[1:, 0, :, 0] = 0.03  # the left hand jumps to the side, once
    hands[3, 1, :, 1] = 0.05  # the right hand down, in the last frame
    truth = FrameTruth(np.array([-1, 0, 0, -1]), hands, np.full((4, 2), 0.1, np.float32))
    np.testing.assert_allclose(truth.speeds(np.arange(4), 10.0), [3, 0, 5], rtol=1e-5)
    np.testing.assert_allclose(truth.speeds(np.array([0, 2, 2, 3]), 10.0), [3, 0, 5], rtol=1e-5)


def test_the_truth_of_a_rendered_sentence_is_found_by_its_video(tmp_path: Path):
    synthesize(
        tmp_path,
        signers=1,
        clips_per_gloss=0,
        sentences=1,
        seed=3,
        glosses=["hello", "wash", "water"],
        size=64,
        workers=1,
    )
    (video,) = (tmp_path / "sentences").iterdir()
    truth = read_frame_truth(video)
    assert truth is not None
    with np.load(tmp_path / "joints/sentences" / f"{video.stem}.npz") as file:
        assert len(truth) == len(file["joints"])
        wrists = [JOINT_NAMES.index(f"{hand}/wrist") for hand in ("left_hand", "right_hand")]
        np.testing.assert_array_equal(truth.hands[:, :, 0], file["joints"][:, wrists])
        speeds = truth.speeds(np.arange(len(truth)), 15.0)
        assert np.median(speeds[file["gloss_index"][1:] >= 0]) > 1 > speeds[0]
    assert set(truth.gloss_index[truth.gloss_index >= 0]) == set(range(truth.gloss_index.max() + 1))


@pytest.mark.parametrize("name", ["other.mp4", "sentences/other.mp4"])
def test_other_videos_have_none(tmp_path: Path, name: str):
    assert read_frame_truth(tmp_path / name) is None
