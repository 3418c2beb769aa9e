"""The record: keys, types and order of everything that a ``tf.train.SequenceExample`` holds.

Keys are MediaSequence's where it has one, so TF Model Garden's loaders read these records too. Nothing is
left to guess:

====================== ============ =================================================================
context                type         holds
====================== ============ =================================================================
schema/version         int64        ``SCHEMA_VERSION`` of the writer
clip/media_id          bytes        the clip's unique name in its dataset
clip/data_path         bytes        the video it came from
clip/label/string      bytes [L]    glosses in the order signed; L = 1 for an isolated sign
clip/label/index       int64 [L]    their ids in ``label_map.json``
clip/signer            bytes        empty when not known
clip/hand_box          float [4]    x0 y0 x1 y1 of the stored picture, in units of the video's frame
clip/crop_origin       bytes        ``hands``, ``upper_body`` or ``full``: what that box was made from
clip/num_frames        int64        T
image/frame_rate       float        nominal frames per second; 0 for a still image
image/format           bytes        ``JPEG``
image/height, width    int64        of the stored frames; 0 without frames
keypoints/encoded      bytes        little-endian float16 ``[T, K, 3]``, the layout in dataset_info.json
keypoints/visibility   bytes        little-endian float16 ``[T, 33]``: MediaPipe's pose visibility
keypoints/presence     bytes        uint8 ``[T, G]``: 1 where a group of the layout was found
====================== ============ =================================================================

====================== ============ =================================================================
feature list           type         holds, per frame
====================== ============ =================================================================
image/encoded          bytes        JPEG, RGB; empty list in keypoint-only records
image/timestamp        int64        microseconds since the video's first frame
====================== ============ =================================================================

Keypoints' x and y are in frame widths and heights of the uncropped frame; missing points are NaN.
Source of the key names: google-ai-edge/mediapipe, ``mediapipe/util/sequence/media_sequence.py`` (Apache-2.0).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfrecords_tools.dataset_info import SCHEMA_VERSION
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.keypoint_layout import KeypointLayout

COORDINATES = 3


def encode_record(extracted: ExtractedClip, label_ids: Sequence[int]) -> bytes:
    """Serialises a clip.

    Args:
        extracted: the clip.
        label_ids: id of each of its glosses.
    """
    clip, keypoints = extracted.clip, extracted.keypoints
    has_frames = bool(extracted.jpegs)
    context = {
        "schema/version": _ints([SCHEMA_VERSION]),
        "clip/media_id": _bytes([clip.media_id.encode()]),
        "clip/data_path": _bytes([clip.path.encode()]),
        "clip/label/string": _bytes([gloss.encode() for gloss in clip.glosses]),
        "clip/label/index": _ints(label_ids),
        "clip/signer": _bytes([clip.signer.encode()]),
        "clip/hand_box": _floats(extracted.crop_box.as_array()),
        "clip/crop_origin": _bytes([extracted.crop_box.origin.encode()]),
        "clip/num_frames": _ints([len(extracted.seconds)]),
        "image/frame_rate": _floats([extracted.frame_rate]),
        "image/format": _bytes([b"JPEG"]),
        "image/height": _ints([extracted.height if has_frames else 0]),
        "image/width": _ints([extracted.width if has_frames else 0]),
        "keypoints/encoded": _bytes([keypoints.points.astype("<f2").tobytes() if keypoints else b""]),
        "keypoints/visibility": _bytes([keypoints.visibility.astype("<f2").tobytes() if keypoints else b""]),
        "keypoints/presence": _bytes([keypoints.presence.astype("u1").tobytes() if keypoints else b""]),
    }
    feature_lists = {
        "image/encoded": [_bytes([jpeg]) for jpeg in extracted.jpegs],
        "image/timestamp": [_ints([round(second * 1e6)]) for second in extracted.seconds],
    }
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(
            feature_list={key: tf.train.FeatureList(feature=value) for key, value in feature_lists.items()}
        ),
    )
    # Deterministic: map fields would else be written in hash order.
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def parse_record(serialized: tf.Tensor, layout: KeypointLayout | None) -> dict[str, tf.Tensor]:
    """Parses one record; runs eagerly and in ``tf.data`` alike. Frames stay encoded.

    Args:
        serialized: scalar string.
        layout: of the dataset's keypoints; None where it has none.

    Returns:
        - ``jpegs`` ``[T]`` string (``[0]`` without frames), ``timestamps`` ``[T]`` int64 microseconds
        - ``num_frames``, ``height``, ``width`` int64; ``frame_rate`` float32
        - ``media_id``, ``path``, ``signer``, ``crop_origin`` string; ``hand_box`` ``[4]`` float32
        - ``glosses`` ``[L]`` string, ``labels`` ``[L]`` int64
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
        "media_id": context["clip/media_id"],
        "path": context["clip/data_path"],
        "signer": context["clip/signer"],
        "hand_box": context["clip/hand_box"],
        "crop_origin": context["clip/crop_origin"],
        "glosses": context["clip/label/string"],
        "labels": context["clip/label/index"],
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


def _bytes(values: Sequence[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values: Sequence[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: Sequence[float] | np.ndarray) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
