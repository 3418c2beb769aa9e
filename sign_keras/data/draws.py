"""What is drawn for one clip's augmentation.

All randomness comes from the seed handed in, so a clip's augmentation depends on (experiment, epoch, place in the
epoch) and on nothing else: not on threads, not on a restart.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from sign_keras.config import AugmentConfig, KeypointAugmentConfig
from sign_keras.data.keypoint_draws import NUM_OF_CLIP, KeypointDraw, draw_keypoints

# Uniform numbers of a clip, in the order in which the steps that use them were added to the project: eight, one
# for each frame's jitter, these, and where keypoints are changed by themselves, those of ``keypoint_draws``. A new
# step's come last, so that a seed goes on giving what it gave.
NUM_FIRST, NUM_ADDED = 8, 6
NUM_OF_PICTURE = NUM_FIRST + 3


class PictureDraw(NamedTuple):
    """What happens to the pictures, and to keypoints with them: scalars, or ``[T]`` where drawn for every frame.

    Attributes:
        window: ``[4]`` top, left, height, width, as shares of the frame; or ``[T, 4]``.
        angle: radians, counter-clockwise.
        mirrored: bool.
        brightness: added, in units of the full range.
        contrast: factor around the clip's mean.
        saturation: factor around grey.
        hue: radians.
        blur: standard deviation in pixels of the result.
    """

    window: tf.Tensor
    angle: tf.Tensor
    mirrored: tf.Tensor
    brightness: tf.Tensor
    contrast: tf.Tensor
    saturation: tf.Tensor
    hue: tf.Tensor
    blur: tf.Tensor


class Draw(NamedTuple):
    """One clip's augmentation; float32 scalars unless stated.

    Attributes:
        offsets: ``[T]`` in [0, 1): where in its part of the clip each frame is taken.
        span: how much of the usual span the frames cover; see ``sample_moments``.
        place: in [0, 1], where a span lies that is shorter or longer than the clip.
        shift: how much later everything is taken; see ``sample_moments``.
        picture: what happens to pictures, and to keypoints with them.
        keypoints: what happens to keypoints alone; None: nothing.
    """

    offsets: tf.Tensor
    span: tf.Tensor
    place: tf.Tensor
    shift: tf.Tensor
    picture: PictureDraw
    keypoints: KeypointDraw | None = None

    @property
    def when(self) -> tuple[tf.Tensor, ...]:
        """What ``sample_moments`` takes."""
        return self.offsets, self.span, self.place, self.shift


def draw(
    config: AugmentConfig, num_frames: int, seed: tf.Tensor, of_keypoints: KeypointAugmentConfig | None = None
) -> Draw:
    """Draws one clip's augmentation.

    Args:
        config: ranges.
        num_frames: ``T``.
        seed: ``[2]`` int64.
        of_keypoints: ranges of what happens to keypoints alone; None: nothing does.
    """
    num_own = 0 if of_keypoints is None else NUM_OF_CLIP + num_frames
    uniform = tf.random.stateless_uniform([NUM_FIRST + num_frames + NUM_ADDED + num_own], seed)
    first, jitter, added, own = tf.split(uniform, [NUM_FIRST, num_frames, NUM_ADDED, num_own])
    if config.consistent:
        picture = tf.concat([first, added[:3]], axis=0)
    else:
        per_frame = tf.random.experimental.stateless_fold_in(seed, 1)
        picture = tf.random.stateless_uniform([num_frames, NUM_OF_PICTURE], per_frame)
    return Draw(
        offsets=0.5 + config.temporal_jitter * (jitter - 0.5),
        span=1 + (2 * added[3] - 1) * config.speed,
        place=added[4] if config.speed else tf.constant(0.5),
        shift=(2 * added[5] - 1) * config.shift,
        picture=_draw_picture(config, picture),
        keypoints=None if of_keypoints is None else draw_keypoints(of_keypoints, num_frames, own),
    )


def _draw_picture(config: AugmentConfig, uniforms: tf.Tensor) -> PictureDraw:
    """``[..., NUM_OF_PICTURE]`` uniform numbers to what they stand for."""
    uniform = tf.unstack(uniforms, axis=-1)
    around_zero = [2 * number - 1 for number in uniform]
    side = 1 - config.zoom * uniform[0]
    height = width = side
    if config.aspect:
        height, width = _stretch(side, tf.exp(around_zero[8] * math.log(1 + config.aspect)))
    return PictureDraw(
        window=tf.stack([(1 - height) * uniform[1], (1 - width) * uniform[2], height, width], axis=-1),
        angle=around_zero[3] * (config.rotation * 3.14159265 / 180),
        mirrored=uniform[4] < config.mirror,
        brightness=around_zero[5] * config.brightness,
        contrast=1 + around_zero[6] * config.contrast,
        saturation=1 + around_zero[7] * config.saturation,
        hue=around_zero[9] * (config.hue * 2 * math.pi),
        blur=uniform[10] * config.blur,
    )


def _stretch(side: tf.Tensor, ratio: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width, as shares, of a window as large as a square of ``side`` whose width / height is ``ratio``.

    Source: the "Inception crop" of Szegedy et al. 2015, arXiv:1409.4842, section 6; torchvision's
    ``RandomResizedCrop``. Those draw again where the window does not fit; here it shrinks until it does, which
    keeps its shape and needs a fixed number of random numbers.
    """
    height, width = side * tf.math.rsqrt(ratio), side * tf.sqrt(ratio)
    too_large = tf.maximum(tf.maximum(height, width), 1.0)
    return height / too_large, width / too_large
