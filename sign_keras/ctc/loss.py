"""The CTC loss of padded batches, in any of Keras's backends.

A thin cover of ``keras.ops.ctc_loss`` that keeps clear of what goes wrong with it unseen:

- ``keras.losses.CTC`` takes the padded number of frames for the real one.
- A clip with fewer frames than its glosses need has a large finite loss that means nothing, in place of an infinite
  one: about 700 with TensorFlow, 100,000 with JAX, enough to drown the others. Here such a clip has neither loss
  nor gradient, and raises nothing, as a graph cannot. ``planner`` finds such clips beforehand; whatever shortens
  clips in training should count them by ``can_carry``.
- The type of the result follows the logits'. Here it is float32 under every precision policy, as are the sums.
- Label 0 is the blank: the ids of a label map have to be raised by one, padding excepted.
"""

from typing import Any, NamedTuple

from keras import ops

from sign_keras.ctc.labels import BLANK


def ctc_losses(logits: Any, gloss_ids: Any, num_frames: Any, num_glosses: Any) -> Any:
    """``[B]`` float32: the negative log-likelihood of each clip's sentence in nats, divided by its number of
    glosses.

    An empty sentence is divided by 1; 0 for clips that cannot carry their glosses, and for such without frames. The
    division makes long sentences count no more than short ones (as ``reduction="mean"`` of PyTorch's loss does).

    Args:
        logits: ``[B, T, V + 1]`` of any float type, blank first.
        gloss_ids: ``[B, L]`` integers in [0, V); L of at least 1; what lies behind ``num_glosses`` may be anything.
        num_frames: ``[B]`` integers in [0, T]: how many frames of each clip are real.
        num_glosses: ``[B]`` integers in [0, L].
    """
    num_frames, num_glosses = ops.cast(num_frames, "int32"), ops.cast(num_glosses, "int32")
    labels = ops.where(_places(gloss_ids) < num_glosses[:, None], ops.cast(gloss_ids, "int32") + 1, BLANK)
    losses = ops.ctc_loss(
        labels, ops.cast(logits, "float32"), num_glosses, ops.maximum(num_frames, 1), mask_index=BLANK
    )
    losses = losses / ops.cast(ops.maximum(num_glosses, 1), "float32")
    carried = can_carry(gloss_ids, num_frames, num_glosses)
    return ops.where(carried & (num_frames > 0), losses, 0.0)


def can_carry(gloss_ids: Any, num_frames: Any, num_glosses: Any) -> Any:
    """``[B]`` bool: whether a clip has a frame for each gloss, and one for a blank between two that are the
    same.
    """
    real = _places(gloss_ids) < ops.cast(num_glosses, "int32")[:, None]
    repeats = (gloss_ids[:, 1:] == gloss_ids[:, :-1]) & real[:, 1:]
    needed = ops.cast(num_glosses, "int32") + ops.sum(ops.cast(repeats, "int32"), axis=1)
    return needed <= ops.cast(num_frames, "int32")


class SentenceLabels(NamedTuple):
    """What is known of a batch of sentences.

    Attributes:
        gloss_ids: ``[B, L]``, -1 behind the last.
        num_frames: ``[B]`` real frames of the clips.
        num_glosses: ``[B]``.
        frame_glosses: ``[B, T]`` id of the gloss that each frame is said to show, -1 for none; all of a clip are -1
            where nobody says. T may be 0.
    """

    gloss_ids: Any
    num_frames: Any
    num_glosses: Any
    frame_glosses: Any


def unpacked(labels: Any) -> SentenceLabels:
    """The parts of packed labels of sentences.

    Args:
        labels: ``[B, 2 + T + L]`` whole numbers of any type, as Keras makes floats of them: how many frames of a
            clip are real; T, the same for all; CTC labels (gloss id + 1) of T frames; those of the sentence, 0
            behind the last.
    """
    labels = ops.cast(labels, "int32")
    first = 2 + labels[0, 1]
    ctc_labels = labels[:, first:]
    num_glosses = ops.sum(ops.cast(ctc_labels != BLANK, "int32"), axis=1)
    return SentenceLabels(ctc_labels - 1, labels[:, 0], num_glosses, labels[:, 2:first] - 1)


def _places(gloss_ids: Any) -> Any:
    """``[1, L]``: 0, 1, ..."""
    return ops.expand_dims(ops.arange(ops.shape(gloss_ids)[1], dtype="int32"), 0)
