"""Records to tensors; the keys and their meaning are in ``tfrecords_tools.schema``."""

from collections.abc import Mapping

import tensorflow as tf

from tfrecords_tools.dataset_info import SCHEMA_VERSION
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.schema import COORDINATES


def parse_record(serialized: tf.Tensor, layout: KeypointLayout | None) -> dict[str, tf.Tensor]:
    """Parses one record; runs eagerly and in ``tf.data`` alike. Frames stay encoded.

    Args:
        serialized: scalar string.
        layout: of the dataset's keypoints; None where it has none.

    Returns:
        - ``jpegs`` ``[T]`` string (``[0]`` without frames), ``timestamps`` ``[T]`` int64 microseconds
        - ``num_frames``, ``height``, ``width`` int64; ``frame_rate``, ``aspect_ratio`` float32
        - ``media_id``, ``path``, ``signer``, ``crop_origin`` string; ``hand_box`` ``[4]`` float32
        - ``glosses`` ``[L]`` string, ``labels`` ``[L]`` int64; ``gloss_starts`` and ``gloss_ends`` ``[L]`` int64
          microseconds, ``[0]`` when not known
        - with a layout: ``keypoints`` ``[T, K, 3]`` float32 with NaN where missing, ``visibility``
          ``[T, 33]`` float32, ``presence`` ``[T, G]`` bool

    Raises:
        tf.errors.InvalidArgumentError: the record is of another schema version, or lacks a feature.
    """
    text, number = tf.io.FixedLenFeature([], tf.string), tf.io.FixedLenFeature([], tf.int64)
    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            "schema/version": tf.io.FixedLenFeature([], tf.int64, default_value=0),
            "clip/media_id": text,
            "clip/data_path": text,
            "clip/label/string": tf.io.RaggedFeature(tf.string),
            "clip/label/index": tf.io.RaggedFeature(tf.int64),
            "segment/start/timestamp": tf.io.RaggedFeature(tf.int64),
            "segment/end/timestamp": tf.io.RaggedFeature(tf.int64),
            "clip/signer": text,
            "clip/hand_box": tf.io.FixedLenFeature([4], tf.float32),
            "clip/crop_origin": text,
            "clip/num_frames": number,
            "image/frame_rate": tf.io.FixedLenFeature([], tf.float32),
            "image/height": number,
            "image/width": number,
            "keypoints/encoded": text,
            "keypoints/visibility": text,
            "keypoints/presence": text,
            "keypoints/aspect_ratio": tf.io.FixedLenFeature([], tf.float32),
        },
        sequence_features={
            "image/encoded": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
            "image/timestamp": tf.io.FixedLenSequenceFeature([], tf.int64),
        },
    )
    # A list that is missing reads as empty: only their disagreement shows it.
    labelled = tf.debugging.assert_equal(
        tf.size(context["clip/label/string"]),
        tf.size(context["clip/label/index"]),
        message="clip/label/string and clip/label/index differ in length",
    )
    version = tf.debugging.assert_equal(
        context["schema/version"],
        tf.constant(SCHEMA_VERSION, tf.int64),
        message=f"record of another schema version than {SCHEMA_VERSION}; convert the videos again",
    )
    checks = [check for check in (version, labelled) if check is not None]  # None: checked, eagerly
    with tf.control_dependencies(checks):
        num_frames = tf.identity(context["clip/num_frames"])
    parsed = {
        "jpegs": lists["image/encoded"],
        "timestamps": lists["image/timestamp"],
        "num_frames": num_frames,
        "frame_rate": context["image/frame_rate"],
        "height": context["image/height"],
        "width": context["image/width"],
        "aspect_ratio": context["keypoints/aspect_ratio"],
        "media_id": context["clip/media_id"],
        "path": context["clip/data_path"],
        "signer": context["clip/signer"],
        "hand_box": context["clip/hand_box"],
        "crop_origin": context["clip/crop_origin"],
        "glosses": context["clip/label/string"],
        "labels": context["clip/label/index"],
        "gloss_starts": context["segment/start/timestamp"],
        "gloss_ends": context["segment/end/timestamp"],
    }
    if layout is not None:
        parsed |= _parse_keypoints(context, num_frames, layout)
    return parsed


def _parse_keypoints(
    context: Mapping[str, tf.Tensor], num_frames: tf.Tensor, layout: KeypointLayout
) -> dict[str, tf.Tensor]:
    def read(key: str, dtype: tf.DType, *shape: int) -> tf.Tensor:
        values = tf.io.decode_raw(context[f"keypoints/{key}"], dtype, little_endian=True)
        return tf.ensure_shape(tf.reshape(values, [num_frames, *shape]), [None, *shape])

    groups = dict(layout.groups)
    parsed = {
        "keypoints": tf.cast(read("encoded", tf.float16, len(layout.names), COORDINATES), tf.float32),
        "presence": tf.cast(read("presence", tf.uint8, len(groups)), tf.bool),
    }
    if "pose" in groups:
        parsed["visibility"] = tf.cast(read("visibility", tf.float16, len(groups["pose"])), tf.float32)
    return parsed
