"""Metrics of the first three stages, by hand."""

from typing import Any

import numpy as np
import pytest

from sign_keras.stage_metrics import ClipStages, first_stages_metrics

V = 3


def sure(labels: list[int]) -> np.ndarray:
    """Logits that say these labels, 0 being the blank."""
    return (9.0 * np.eye(V + 1)[labels]).astype(np.float32)


def clip(**changes: Any) -> ClipStages:
    """6 frames, of which 0, 2, 3 and 5 are kept; gloss 0 is signed in frames 2 and 3, gloss 2 in frame 5."""
    similarity = np.zeros((6, V))
    similarity[2], similarity[3], similarity[5] = [0.9, 0.1, 0.0], [0.5, 0.7, 0.0], [0.0, 0.0, 0.1]
    stages = {
        "keyframe_indices": np.array([0, 2, 3, 5]),
        "frame_scores": np.array([0.1, 0.1, 0.3, 0.3, 0.1, 0.2]),
        "gloss_similarity": similarity,
        "frame_classes": np.eye(V)[[1, 0, 0, 1]],
    }
    values: dict[str, Any] = {
        "logits": sure([0, 1, 1, 3]),
        "stages": stages,
        "num_frames": 6,
        "gloss_ids": [0, 2],
        "frame_changes": np.array([1.0, 5.0, 1.0, 1.0, 5.0]),
        "speeds": np.array([0.0, 3.0, 2.0, 0.5, 1.0]),
        "frame_glosses": np.array([-1, -1, 0, 0, -1, 2]),
    }
    return ClipStages(**values | changes)


def test_alignment_is_of_the_frames_that_the_sentences_path_gives_a_gloss():
    found = first_stages_metrics([clip()])["stage1"]
    assert found["mean_similarity"] == pytest.approx(0.5)
    assert found["std_similarity"] == pytest.approx(np.std([0.9, 0.5, 0.1]))
    assert found["alignment_quality"] == pytest.approx(2 / 3)  # frame 3 looks more like gloss 1


def test_selection_is_compared_with_what_really_moves():
    found = first_stages_metrics([clip()])["stage2"]
    assert found["keyframe_ratio"] == pytest.approx(4 / 6)
    # Frames 1 to 5 move no, yes, yes, no, yes; kept are 2, 3 and 5.
    assert found["motion_detection_accuracy"] == 1.0
    assert found["moving_ratio"] == pytest.approx(3 / 5)
    assert found["motion_roc_auc"] == 1.0
    # Of six pairs of a moving and a still frame, pixels have four right and two equal.
    assert found["frame_difference_roc_auc"] == pytest.approx((4 + 2 * 0.5) / 6)
    shares = np.array([0.1, 0.3, 0.3, 0.1, 0.2])
    assert found["selection_entropy"] == pytest.approx(-(shares * np.log(shares)).sum() / np.log(5))


def test_scores_compare_between_clips_as_shares_of_their_mean():
    """A short clip has larger scores everywhere, as they sum to 1."""
    short = clip(
        num_frames=3,
        speeds=np.array([0.0, 2.0]),
        stages=clip().stages | {"frame_scores": np.array([0.4, 0.4, 0.6])},
        frame_changes=np.array([1.0, 2.0]),
    )
    assert first_stages_metrics([clip(), short])["stage2"]["motion_roc_auc"] == pytest.approx(1.0, abs=0.15)


def test_classes_are_compared_with_the_truth_where_it_is_known():
    found = first_stages_metrics([clip()])["stage3"]
    assert found == {
        "frame_accuracy": pytest.approx(2 / 3),
        "frame_labels": "truth",
        "temporal_consistency": pytest.approx(1 / 3),
    }
    # Frame 2 really is gloss 1, whatever the path says.
    known = clip(frame_glosses=np.array([-1, -1, 1, 0, -1, -1]))
    assert first_stages_metrics([known])["stage3"]["frame_accuracy"] == pytest.approx(1 / 2)
    unknown = first_stages_metrics([clip(frame_glosses=None)])["stage3"]
    assert (unknown["frame_accuracy"], unknown["frame_labels"]) == (pytest.approx(2 / 3), "alignment")


def test_what_nobody_knows_is_none():
    found = first_stages_metrics([clip(gloss_ids=None, speeds=None, frame_glosses=None)])
    assert found["stage1"] == {"mean_similarity": None, "std_similarity": None, "alignment_quality": None}
    assert found["stage2"]["motion_detection_accuracy"] is found["stage2"]["motion_roc_auc"] is None
    assert found["stage3"]["frame_accuracy"] is None
    one = {"keyframe_indices": np.array([2]), "frame_classes": np.eye(V)[[0]]}
    too_short = clip(logits=sure([1]), stages=clip().stages | one)
    assert first_stages_metrics([too_short])["stage1"]["mean_similarity"] is None


def test_a_model_without_stages_has_no_metrics_of_them():
    assert first_stages_metrics([]) == {}
    assert first_stages_metrics([clip(stages={})]) == {}
