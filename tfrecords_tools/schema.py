"""The record: keys, types and order of everything that a ``tf.train.SequenceExample`` holds.

Keys are MediaSequence's where it has one, so TF Model Garden's loaders read these records too. Nothing is
left to guess:

======================== ============ =================================================================
context                  type         holds
======================== ============ =================================================================
schema/version           int64        ``SCHEMA_VERSION`` of the writer
clip/media_id            bytes        the clip's unique name in its dataset
clip/data_path           bytes        the video it came from
clip/label/string        bytes [L]    glosses in the order signed; L = 1 for an isolated sign
clip/label/index         int64 [L]    their ids in ``label_map.json``
segment/start/timestamp  int64 [L]    when each gloss starts, in microseconds of the video; empty when not known
segment/end/timestamp    int64 [L]    when each of them ends, likewise
clip/signer              bytes        empty when not known
clip/hand_box            float [4]    x0 y0 x1 y1 of the stored picture, in units of the video's frame
clip/crop_origin         bytes        ``hands``, ``upper_body`` or ``full``: what that box was made from
clip/num_frames          int64        T
image/frame_rate         float        nominal frames per second; 0 for a still image
image/format             bytes        ``JPEG``
image/height, width      int64        of the stored frames, in pixels; 0 without frames
keypoints/encoded        bytes        little-endian float16 ``[T, K, 3]``, the layout in dataset_info.json
keypoints/visibility     bytes        little-endian float16 ``[T, P]``, of layouts with a group ``pose`` of P points
keypoints/presence       bytes        uint8 ``[T, G]``: 1 where a group of the layout was found
keypoints/aspect_ratio   float        width / height of the picture that x and y refer to; 0 when not known
======================== ============ =================================================================

======================== ============ =================================================================
feature list             type         holds, per frame
======================== ============ =================================================================
image/encoded            bytes        JPEG, RGB; empty list in keypoint-only records
image/timestamp          int64        microseconds since the video's first frame
======================== ============ =================================================================

Keypoints' x and y are in frame widths and heights of the uncropped frame; missing points are NaN.
Source of the key names: google-ai-edge/mediapipe, ``mediapipe/util/sequence/media_sequence.py`` (Apache-2.0).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from tfrecords_tools.dataset_info import SCHEMA_VERSION
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.tfrecord import (
    BytesList,
    Feature,
    FeatureList,
    FeatureLists,
    Features,
    FloatList,
    Int64List,
    SequenceExample,
)

COORDINATES = 3


class RecordError(Exception):
    """A record that cannot be read, and why."""


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
        "segment/start/timestamp": _ints([round(start * 1e6) for start, _ in clip.gloss_seconds]),
        "segment/end/timestamp": _ints([round(end * 1e6) for _, end in clip.gloss_seconds]),
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
        "keypoints/aspect_ratio": _floats([extracted.aspect_ratio]),
    }
    feature_lists = {
        "image/encoded": [_bytes([jpeg]) for jpeg in extracted.jpegs],
        "image/timestamp": [_ints([round(second * 1e6)]) for second in extracted.seconds],
    }
    example = SequenceExample(
        context=Features(feature=context),
        feature_lists=FeatureLists(
            feature_list={key: FeatureList(feature=value) for key, value in feature_lists.items()}
        ),
    )
    # Deterministic: map fields would else be written in hash order.
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def decode_record(serialized: bytes, layout: KeypointLayout | None) -> dict[str, Any]:
    """Reads one record into NumPy; what ``sign_keras.data.parsing`` does in TensorFlow, with the same names.

    Args:
        serialized: the record.
        layout: of the dataset's keypoints; None where it has none.

    Returns:
        - ``jpegs`` list of bytes, ``timestamps`` ``[T]`` int64 microseconds
        - ``num_frames``, ``height``, ``width`` int; ``frame_rate``, ``aspect_ratio`` float
        - ``media_id``, ``path``, ``signer``, ``crop_origin`` str; ``hand_box`` ``[4]`` float32
        - ``glosses`` list of str, ``labels`` ``[L]`` int64; ``gloss_starts`` and ``gloss_ends`` ``[L]`` int64
          microseconds, ``[0]`` when not known
        - with a layout: ``keypoints`` ``[T, K, 3]`` float16 with NaN where missing, ``presence`` ``[T, G]`` bool,
          and, where the layout has a group ``pose`` of P points, ``visibility`` ``[T, P]`` float16

    Raises:
        RecordError: it is no record, is of another schema version, or lacks a feature.
    """
    try:
        example = SequenceExample.FromString(serialized)
    except DecodeError:
        raise RecordError("is no SequenceExample") from None
    reader = _Reader(example)
    version = reader.one("schema/version", "int64_list") if reader.has("schema/version") else 0
    if version != SCHEMA_VERSION:
        raise RecordError(f"record of schema version {version}, not {SCHEMA_VERSION}; convert the videos again")
    record = {
        "jpegs": reader.list_of("image/encoded", "bytes_list"),
        "timestamps": np.array(reader.list_of("image/timestamp", "int64_list"), np.int64),
        "num_frames": reader.one("clip/num_frames", "int64_list"),
        "frame_rate": reader.one("image/frame_rate", "float_list"),
        "height": reader.one("image/height", "int64_list"),
        "width": reader.one("image/width", "int64_list"),
        "aspect_ratio": reader.one("keypoints/aspect_ratio", "float_list"),
        "media_id": reader.text("clip/media_id"),
        "path": reader.text("clip/data_path"),
        "signer": reader.text("clip/signer"),
        "hand_box": np.array(reader.values("clip/hand_box", "float_list"), np.float32),
        "crop_origin": reader.text("clip/crop_origin"),
        "glosses": reader.texts("clip/label/string"),
        "labels": np.array(reader.values("clip/label/index", "int64_list"), np.int64),
        "gloss_starts": np.array(reader.values_if_any("segment/start/timestamp", "int64_list"), np.int64),
        "gloss_ends": np.array(reader.values_if_any("segment/end/timestamp", "int64_list"), np.int64),
    }
    if len(record["glosses"]) != len(record["labels"]):
        raise RecordError("clip/label/string and clip/label/index differ in length")
    for key in ("gloss_starts", "gloss_ends"):
        if len(record[key]) not in (0, len(record["labels"])):
            raise RecordError(f"{key} has {len(record[key])} times for {len(record['labels'])} glosses")
    if layout is not None:
        num_frames, groups = record["num_frames"], dict(layout.groups)
        shape = (num_frames, len(layout.names), COORDINATES)
        record["keypoints"] = reader.array("keypoints/encoded", "<f2", shape)
        record["presence"] = reader.array("keypoints/presence", "u1", (num_frames, len(groups))).astype(bool)
        if "pose" in groups:
            shape_of_pose = (num_frames, len(groups["pose"]))
            record["visibility"] = reader.array("keypoints/visibility", "<f2", shape_of_pose)
    return record


class _Reader:
    """Features of a parsed example, each missing one named."""

    def __init__(self, example: Any) -> None:
        self._context, self._lists = example.context.feature, example.feature_lists.feature_list

    def has(self, key: str) -> bool:
        return key in self._context

    def values(self, key: str, kind: str) -> Any:
        if not self.has(key):
            raise RecordError(f"lacks the feature {key}")
        return getattr(self._context[key], kind).value

    def values_if_any(self, key: str, kind: str) -> Any:
        return self.values(key, kind) if self.has(key) else []

    def one(self, key: str, kind: str) -> Any:
        values = self.values(key, kind)
        if len(values) != 1:
            raise RecordError(f"{key} holds {len(values)} values instead of one")
        return values[0]

    def texts(self, key: str) -> list[str]:
        try:
            return [value.decode() for value in self.values(key, "bytes_list")]
        except UnicodeDecodeError:
            raise RecordError(f"{key} is not UTF-8 text") from None

    def text(self, key: str) -> str:
        self.one(key, "bytes_list")
        return self.texts(key)[0]

    def list_of(self, key: str, kind: str) -> list[Any]:
        if key not in self._lists:
            raise RecordError(f"lacks the feature list {key}")
        return [value for feature in self._lists[key].feature for value in getattr(feature, kind).value]

    def array(self, key: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        values = np.frombuffer(self.one(key, "bytes_list"), dtype)
        if values.size != np.prod(shape):
            raise RecordError(f"{key} holds {values.size} values instead of {' x '.join(map(str, shape))}")
        return values.reshape(shape)


def _bytes(values: Sequence[bytes]) -> Feature:
    return Feature(bytes_list=BytesList(value=values))


def _ints(values: Sequence[int]) -> Feature:
    return Feature(int64_list=Int64List(value=values))


def _floats(values: Sequence[float] | np.ndarray) -> Feature:
    return Feature(float_list=FloatList(value=values))
