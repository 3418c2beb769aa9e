"""Which hand is the active one: evidence of each frame, and the decision out of its sums.

Three kinds of evidence, each between -1 and 1 and positive for the right hand:

- *presence*: which hand is found in more frames, as its share of both;
- *motion*: whose wrist moves more about frames where its hand is found, as its share of both. Elsewhere a pose may
  only guess where an arm is that the picture does not show, and trembles. Steps are cut at ``LONGEST_STEP``, so
  that a tracker that puts a hand where the other is for a moment does not outweigh signing;
- *height*: whose wrist is higher, in frame heights: of two hands that keep still, the one held up.

Wrists are the pose's, which are steadier and there when a fast hand is lost, or else the hands' own. Two hands that
are always found leave it to motion and height; a sign of two hands in mirror image is the same either way.
Decisions over a whole clip and over its mirror image are opposite.
"""

from typing import Any

from keras import ops

from sign_keras.models.features.filling import running_maximum
from sign_keras.models.features.reference import length

LONGEST_STEP = 0.1  # frame widths between two frames
STILL = 0.002  # frame widths: steps this small are jitter, and motion then says little
NUM_SUMS = 8
# A running decision changes only for a lead beyond this, so that signs of two hands do not flicker.
DECIDED = 0.2


def evidence(wrists: Any, past: Any, has_hands: bool, has_pose: bool) -> Any:
    """Per frame, left and right: found, step, height, whether there is a height: ``[B, T, 8]``.

    Args:
        wrists: tracks ``[B, T, W, 3]`` of x, y and whether they are known; left and right of the hands, then left
            and right of the pose, W being 2 or 4.
        past: ``[B, 1, W, 3]``, the frame before the first; zeros where there is none.
        has_hands: whether the hands' wrists are there.
        has_pose: likewise the pose's.
    """
    steps = wrists - ops.concatenate([past, wrists[:, :-1]], axis=1)
    known = wrists[..., 2]
    before = known - steps[..., 2]
    moved = known * before
    step = ops.minimum(length(steps[..., :2]), LONGEST_STEP) * moved
    height = wrists[..., 1] * known
    if has_hands and has_pose:
        found_nearby = ops.maximum(known[..., :2], before[..., :2])
        step = step[..., 2:] * found_nearby + step[..., :2] * (1 - moved[..., 2:])
        height = height[..., 2:] + height[..., :2] * (1 - known[..., 2:])
        seen = ops.maximum(known[..., 2:], known[..., :2])
    else:
        seen = known
    found = known[..., :2] if has_hands else ops.zeros_like(seen)
    return ops.concatenate([found, step, height, seen], axis=-1)


def lead(totals: Any) -> Any:
    """How much the right hand leads, ``[B, t, 1]``, from sums of ``evidence`` over frames ``[B, t, 8]``."""
    found, step, height, seen = (totals[..., start : start + 2] for start in range(0, NUM_SUMS, 2))
    frames = ops.maximum(seen, 1.0)
    both_seen = ops.min(ops.minimum(seen, 1.0), axis=-1, keepdims=True)
    higher = height / frames
    return (
        _difference(found) / ops.maximum(_sum(found), 1.0)
        + _difference(step) / (_sum(step) + STILL * ops.maximum(_sum(seen), 1.0))
        - _difference(higher) * both_seen
    )


def mirrored_so_far(leads: Any, before: Any) -> Any:
    """Running decisions: 1 where the left hand is the active one, so that the picture is to be mirrored.

    Args:
        leads: ``[B, T, 1]`` of the sums so far.
        before: ``[B, 1, 1]``, the decision before the first frame.

    Returns:
        ``[B, T, 1]`` float32.
    """
    num_frames = leads.shape[1]
    times = ops.reshape(ops.arange(1, num_frames + 1, dtype="int32"), (1, num_frames, 1))
    # Time and decision in one number: the largest so far is the last decision, and its parity what it was.
    decisions = ops.where(
        ops.abs(leads) > DECIDED, 2 * times + ops.cast(leads < 0, "int32"), ops.cast(before, "int32")
    )
    return ops.cast(ops.mod(running_maximum(decisions), 2), "float32")


def _difference(pairs: Any) -> Any:
    return pairs[..., 1:] - pairs[..., :1]


def _sum(pairs: Any) -> Any:
    return pairs[..., 1:] + pairs[..., :1]
