import numpy as np
import pytest

from tfrecords_tools.synthetic.anatomy import RIGHT, pose_skeleton
from tfrecords_tools.synthetic.performance import Performance, ease, perform
from tfrecords_tools.synthetic.signers import make_signer
from tfrecords_tools.synthetic.signs import LEXICON

SIGNER = make_signer(0, 0)


def runs(values) -> list:
    """Values with repetitions removed."""
    return [value for i, value in enumerate(values) if i == 0 or value != values[i - 1]]


def right_wrists(performance: Performance):
    return np.stack([pose_skeleton(p, SIGNER.proportions).wrists[RIGHT] for p in performance.poses])


def test_ease_starts_and_ends_at_rest():
    assert (ease(0.0), ease(0.5), ease(1.0)) == (0.0, 0.5, 1.0)
    assert ease(0.01) < 1e-4


@pytest.mark.parametrize("gloss", LEXICON)
def test_perform_goes_from_rest_to_rest_in_a_natural_time(gloss):
    performance = perform([LEXICON[gloss]], SIGNER, np.random.default_rng(0), frame_rate=30.0)
    assert runs(performance.phase) == ["rest", "transition", "sign", "transition", "rest"]
    assert 1.0 <= len(performance.poses) / 30.0 <= 2.6
    assert set(performance.gloss_index[performance.phase == "sign"]) == {0}
    assert set(performance.gloss_index[performance.phase != "sign"]) == {-1}


def test_perform_moves_smoothly():
    performance = perform(
        [LEXICON["happy"], LEXICON["day"], LEXICON["learn"]], SIGNER, np.random.default_rng(1), frame_rate=100.0
    )
    speed = np.linalg.norm(np.diff(right_wrists(performance), axis=0), axis=1) * 100.0
    assert speed.max() < 60.0, "hand units per second; a jump between segments would be far more"


def test_sentence_signs_every_gloss_in_order_without_resting_between():
    glosses = ["yes", "no", "yes", "rain"]
    performance = perform([LEXICON[gloss] for gloss in glosses], SIGNER, np.random.default_rng(2), frame_rate=25.0)
    assert runs([i for i in performance.gloss_index if i >= 0]) == [0, 1, 2, 3]
    assert runs(performance.phase)[1:-1].count("rest") == 0
    assert runs(performance.phase).count("sign") == 4


def test_transition_leaves_from_where_the_sign_before_it_ended():
    performance = perform([LEXICON["see"], LEXICON["goodbye"]], SIGNER, np.random.default_rng(3), frame_rate=200.0)
    wrists = right_wrists(performance)
    last = int(np.flatnonzero(performance.gloss_index == 0)[-1])
    first = int(np.flatnonzero(performance.gloss_index == 1)[0])
    assert np.linalg.norm(wrists[last + 1] - wrists[last]) < 0.1
    assert np.linalg.norm(wrists[first] - wrists[first - 1]) < 0.1
    assert np.linalg.norm(wrists[first] - wrists[last]) > 1.0


def test_left_handed_signer_signs_with_the_left_hand():
    left_handed = next(s for s in (make_signer(0, i) for i in range(7)) if s.left_handed)
    poses = perform([LEXICON["hello"]], left_handed, np.random.default_rng(0)).poses
    middle = poses[len(poses) // 2]
    assert middle.left.wrist[1] > middle.right.wrist[1] + 1.0
    assert middle.left.wrist[0] > 0.0


def test_perform_refuses_nothing():
    with pytest.raises(ValueError, match="empty"):
        perform([], SIGNER, np.random.default_rng(0))
