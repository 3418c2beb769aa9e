"""Clips made of two clips of a batch: mixup and CutMix, the same for all frames of a clip.

Sources: mixup: Zhang et al. 2018, arXiv:1710.09412. CutMix: Yun et al. 2019, arXiv:1905.04899, section 3.1; with a
beginning and an end in time: VideoMix, Yun et al. 2020, arXiv:2012.03457. Those take one share for a whole batch;
here every clip draws its own.
"""

from typing import NamedTuple

import tensorflow as tf

from sign_keras.config import MixConfig

Inputs = dict[str, tf.Tensor]


class MixDraw(NamedTuple):
    """What happens to the clips of a batch.

    Attributes:
        partner: ``[B]`` int32: which clip each is mixed with; perhaps itself.
        share: ``[B]`` float32: how much of the clip itself is to stay.
        blended: ``[B]`` bool: mixup instead of CutMix.
        centre: ``[B, 3]`` float32 in [0, 1): of CutMix's box, in time, height and width.
    """

    partner: tf.Tensor
    share: tf.Tensor
    blended: tf.Tensor
    centre: tf.Tensor


def draw_mix(config: MixConfig, size: tf.Tensor, seed: tf.Tensor) -> MixDraw:
    """Draws for a batch of ``size`` clips; ``seed`` is ``[2]`` int64."""
    seeds = [tf.random.experimental.stateless_fold_in(seed, number) for number in range(3)]
    uniform = tf.random.stateless_uniform([6, size], seeds[0])
    blended = uniform[0] < (0.5 if config.cutmix else 1.0) if config.mixup else tf.zeros([size], tf.bool)
    alpha = tf.where(blended, config.mixup, config.cutmix)
    share = tf.where(uniform[1] < config.probability, _beta(alpha, seeds[1:]), 1.0)
    return MixDraw(tf.argsort(uniform[2]), share, blended, tf.transpose(uniform[3:]))


def _beta(alpha: tf.Tensor, seeds: list[tf.Tensor]) -> tf.Tensor:
    """Beta(alpha, alpha) as the share of one gamma variable in two; float64, since small alphas make tiny ones."""
    alpha = tf.cast(alpha, tf.float64)
    first, second = (tf.random.stateless_gamma(tf.shape(alpha), seed, alpha, dtype=tf.float64) for seed in seeds)
    return tf.cast(tf.math.divide_no_nan(first, first + second), tf.float32)


def mix(
    inputs: Inputs, labels: tf.Tensor, num_glosses: int, drawn: MixDraw, *, tube: bool
) -> tuple[Inputs, tf.Tensor]:
    """Mixes the clips of a batch with each other.

    Args:
        inputs: ``frames`` ``[B, T, H, W, 3]`` uint8 and perhaps ``frame_mask`` ``[B, T]`` bool.
        labels: ``[B]`` int32.
        num_glosses: ``V``.
        drawn: see ``MixDraw``.
        tube: whether boxes end in time too.

    Returns:
        The inputs, frames rounded to uint8 and frames real where they are in either clip; and labels ``[B, V]``
        float32, the shares of the two clips.
    """
    frames = inputs["frames"]
    shape = tf.shape(frames)[1:4]

    def mix_clip(clip: tuple[tf.Tensor, tf.Tensor, MixDraw]) -> tuple[tf.Tensor, tf.Tensor]:
        own, number, (partner, share, blended, centre) = clip
        other = lambda: tf.gather(frames, partner)  # noqa: E731
        return tf.cond(
            (share >= 1) | (partner == number),
            lambda: (own, tf.ones([])),
            lambda: tf.cond(
                blended,
                lambda: (_blend(own, other(), share), share),
                lambda: _paste(own, other(), *_box(share, centre, shape, tube)),
            ),
        )

    # Clip by clip: what float32 takes is that of one clip, and clips that stay as they are cost nothing.
    mixed, shares = tf.map_fn(
        mix_clip,
        (frames, tf.range(tf.shape(labels)[0]), drawn),
        fn_output_signature=(tf.TensorSpec(frames.shape[1:], tf.uint8), tf.TensorSpec([], tf.float32)),
    )
    mixed_inputs = inputs | {"frames": mixed}
    if "frame_mask" in inputs:
        mask = inputs["frame_mask"]
        both = mask | tf.gather(mask, drawn.partner)
        mixed_inputs["frame_mask"] = tf.where((shares < 1)[:, tf.newaxis], both, mask)
    own_labels = tf.one_hot(labels, num_glosses)
    shares = shares[:, tf.newaxis]
    return mixed_inputs, shares * own_labels + (1 - shares) * tf.gather(own_labels, drawn.partner)


def _blend(own: tf.Tensor, other: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    own, other = tf.cast(own, tf.float32), tf.cast(other, tf.float32)
    return tf.saturate_cast(tf.round(other + (own - other) * share), tf.uint8)


def _box(share: tf.Tensor, centre: tf.Tensor, shape: tf.Tensor, tube: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """First and one past the last frame, row and column, ``[3]`` int32 each, of the box that is pasted.

    Its sides are equal shares of the clip's; where it reaches beyond an edge, it is cut off.
    """
    length, area = tf.cast(shape, tf.float32), 1 - share
    side = tf.fill([3], area ** (1 / 3)) if tube else tf.stack([1.0, tf.sqrt(area), tf.sqrt(area)])
    middle = centre if tube else tf.concat([[0.5], centre[1:]], axis=0)
    first, end = (tf.cast(tf.round((middle + half * side) * length), tf.int32) for half in (-0.5, 0.5))
    return tf.maximum(first, 0), tf.minimum(end, shape)


def _paste(own: tf.Tensor, other: tf.Tensor, first: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The clip with the box of the other in it, and how much of it is still its own."""
    box = tf.strided_slice(other, first, end)
    pasted = tf.raw_ops.TensorStridedSliceUpdate(
        input=own, begin=first, end=end, strides=tf.ones_like(first), value=box
    )
    return pasted, 1 - tf.cast(tf.size(box), tf.float32) / tf.cast(tf.size(own), tf.float32)
