"""One parsed record to one clip of model inputs: in training, in evaluation and in prediction alike."""

from collections.abc import Sequence

import tensorflow as tf

from sign_keras.config import AugmentConfig, KeypointAugmentConfig
from sign_keras.data.draws import Draw, PictureDraw
from sign_keras.data.keypoint_transforms import augment_keypoints, between_frames
from sign_keras.data.sampling import Moments, sample_moments
from sign_keras.data.transforms import augment_frames
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.keypoint_layout import KeypointLayout

Inputs = dict[str, tf.Tensor]


def prepare_clip(
    parsed: Inputs,
    sampling: SamplingSpec,
    input_names: Sequence[str],
    *,
    layout: KeypointLayout | None = None,
    augment: AugmentConfig | None = None,
    of_keypoints: KeypointAugmentConfig | None = None,
    drawn: Draw | None = None,
) -> Inputs:
    """Makes a clip.

    Args:
        parsed: from ``parsing.parse_record``.
        sampling: which frames, and their size.
        input_names: what to make, among ``frames``, ``keypoints`` and ``frame_mask``.
        layout: of the keypoints.
        augment: in training: what ``drawn`` was drawn from.
        of_keypoints: in training: what ``drawn.keypoints`` was drawn from.
        drawn: in training, the clip's augmentation; in an evaluation over several views, one of ``views``.

    Returns:
        ``frames`` ``[T, H, W, 3]`` uint8, ``keypoints`` ``[T, K, 3]`` float32 with NaN where missing,
        ``frame_mask`` ``[T]`` bool; those asked for.
    """
    moments = sample_moments(parsed["timestamps"], sampling, *(drawn.when if drawn else ()))
    picture = drawn.picture if drawn and (augment is None or augment.changes_pictures) else None
    inputs = {}
    if "frames" in input_names:
        inputs["frames"] = _frames(parsed, moments.indices, sampling, augment, picture)
    if "keypoints" in input_names:
        keypoints = _keypoints_at(moments, parsed["keypoints"], sampling, of_keypoints)
        if drawn is not None and layout is not None:
            aspect = parsed["aspect_ratio"]
            keypoints = augment_keypoints(
                keypoints,
                layout,
                tf.where(aspect > 0, aspect, 1.0),  # not known: square
                picture=picture,
                own=drawn.keypoints,
                config=of_keypoints,
                may_mirror=augment is None or augment.mirror > 0,
            )
        inputs["keypoints"] = keypoints
    if "frame_mask" in input_names:
        inputs["frame_mask"] = moments.mask
    return inputs


def _keypoints_at(
    moments: Moments, keypoints: tf.Tensor, sampling: SamplingSpec, config: KeypointAugmentConfig | None
) -> tf.Tensor:
    if config is not None and config.interpolate:
        taken = between_frames(keypoints, moments.indices, moments.shares)
    else:
        taken = tf.gather(keypoints, moments.indices)
    return tf.ensure_shape(taken, [sampling.num_frames, *keypoints.shape[1:]])


def _frames(
    parsed: Inputs,
    indices: tf.Tensor,
    sampling: SamplingSpec,
    augment: AugmentConfig | None,
    drawn: PictureDraw | None,
) -> tf.Tensor:
    """Decodes the sampled frames, of each only the window that is used, at the model's size."""
    size = (sampling.height, sampling.width)
    outer = _centre_window(parsed["height"], parsed["width"], sampling.height / sampling.width)
    jpegs = tf.gather(parsed["jpegs"], indices)

    def augmented(jpegs: tf.Tensor, drawn: PictureDraw, config: AugmentConfig, count: int) -> tf.Tensor:
        return augment_frames(_decode(jpegs, _inner_window(outer, drawn.window), count), drawn, config, *size)

    if drawn is None:
        frames = resize(_decode(jpegs, outer, sampling.num_frames), *size)
    elif augment is None:
        frames = resize(_decode(jpegs, _inner_window(outer, drawn.window), sampling.num_frames), *size)
        frames = tf.where(drawn.mirrored, tf.reverse(frames, [2]), frames)
    elif augment.consistent:
        frames = augmented(jpegs, drawn, augment, sampling.num_frames)
    else:
        frames = tf.map_fn(
            lambda frame: augmented(frame[0][tf.newaxis], frame[1], augment, 1)[0],
            (jpegs, drawn),
            fn_output_signature=tf.uint8,
        )
    return tf.ensure_shape(frames, [sampling.num_frames, *size, 3])


def _decode(jpegs: tf.Tensor, window: tf.Tensor, count: int) -> tf.Tensor:
    """One decoder a frame instead of a ``tf.map_fn``, whose loop costs a sixth of the decoding itself."""
    return tf.stack([tf.image.decode_and_crop_jpeg(jpeg, window, channels=3) for jpeg in tf.unstack(jpegs, count)])


def resize(frames: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Bilinear resize of ``[T, h, w, 3]`` uint8, rounded back to uint8; free where the size is right."""
    shape = tf.shape(frames)

    def resized() -> tf.Tensor:
        return tf.saturate_cast(tf.round(tf.image.resize(frames, [height, width])), tf.uint8)

    return tf.cond((shape[1] == height) & (shape[2] == width), lambda: frames, resized)


def _centre_window(height: tf.Tensor, width: tf.Tensor, aspect: float) -> tf.Tensor:
    """``[4]`` int32 top, left, height, width: the largest centred window of ``aspect`` = height / width."""
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    window_height = tf.round(tf.minimum(height, width * aspect))
    window_width = tf.round(tf.minimum(width, height / aspect))
    corner = [(height - window_height) / 2, (width - window_width) / 2]
    return tf.cast(tf.stack([*corner, window_height, window_width]), tf.int32)


def _inner_window(outer: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """A window given as shares of another, in pixels, at least one pixel large."""
    size = tf.cast(outer[2:], tf.float32)
    inner = tf.maximum(tf.cast(tf.round(size * shares[2:]), tf.int32), 1)
    corner = tf.cast(tf.round(size * shares[:2]), tf.int32)
    return tf.concat([outer[:2] + tf.minimum(corner, outer[2:] - inner), inner], axis=0)
