"""Which label a frame belongs to, given its sentence: within a training step."""

from typing import Any

import tensorflow as tf

from sign_keras.ctc.loss import can_carry, ctc_losses


def ctc_posteriors(logits: Any, gloss_ids: Any, num_frames: Any, num_glosses: Any) -> Any:
    """``[B, T, V + 1]`` float32: how probable each label is in each frame, over all paths of the clip's sentence.

    Real frames sum to 1; others are 0, and so are clips that cannot carry their sentence. No gradient goes through.

    Source: Graves 2012, Supervised Sequence Labelling with Recurrent Neural Networks, equation 7.30: the gradient
    of the negative log-likelihood by the logits is ``softmax - posteriors``. By label: a gloss that a sentence has
    twice is one.

    Args:
        logits: ``[B, T, V + 1]``, blank first.
        gloss_ids: ``[B, L]``, as for ``ctc.loss.ctc_losses``; likewise the others.
        num_frames: ``[B]``.
        num_glosses: ``[B]``.
    """
    logits = tf.stop_gradient(tf.cast(logits, tf.float32))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = ctc_losses(logits, gloss_ids, num_frames, num_glosses)
        # It divides by the number of glosses.
        total = tf.reduce_sum(losses * tf.cast(tf.maximum(num_glosses, 1), tf.float32))
    posteriors = tf.nn.softmax(logits) - tape.gradient(total, logits)
    real = (
        tf.sequence_mask(num_frames, tf.shape(logits)[1]) & can_carry(gloss_ids, num_frames, num_glosses)[:, None]
    )
    return tf.stop_gradient(tf.where(real[:, :, None], tf.maximum(posteriors, 0.0), 0.0))
