"""Clips as strips of frames, or of skeletons, small enough to travel inside a page."""

import base64
from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
import tensorflow as tf

from sign_keras.data.clip import prepare_clip
from sign_keras.data.dataset import Records
from sign_keras.data.parsing import parse_record
from tfrecords_tools.inspection.sheets import strip_picture
from tfrecords_tools.schema import decode_record
from tfrecords_tools.shards import find_shards, read_shard

FRAMES_IN_STRIP = 6
STRIP_HEIGHT = 96
JPEG_QUALITY = 82


@dataclass(frozen=True)
class Strip:
    """Frames side by side.

    Attributes:
        source: ``data:`` address of a JPEG.
        width, height: in pixels.
    """

    source: str
    width: int
    height: int


def clip_strips(records: Records, split: str, media_ids: Collection[str]) -> dict[str, Strip]:
    """Strips of some clips, by media id; reads the shards once.

    Frames are as the model sees them; of records without frames, skeletons.

    Raises:
        DatasetError: a shard is damaged.
    """
    if not records.info.clip_spec.frames:
        found = clip_pictures(records, split, media_ids)
        return {media_id: _encoded(picture) for media_id, picture in found.items()}
    strips: dict[str, Strip] = {}
    for shard in find_shards(records.directory, records.info, split):
        for serialized in read_shard(shard):
            if len(strips) == len(set(media_ids)):
                return strips
            parsed = parse_record(tf.constant(serialized), layout=None)
            media_id = parsed["media_id"].numpy().decode("utf-8", "replace")
            if media_id in media_ids:
                strips[media_id] = _strip(parsed, records)
    return strips


def clip_pictures(records: Records, split: str, media_ids: Collection[str]) -> dict[str, np.ndarray]:
    """Some clips by media id, ``[H, W, 3]`` uint8: frames as they are stored, with the keypoints that are.

    Raises:
        DatasetError: a shard is damaged.
    """
    pictures: dict[str, np.ndarray] = {}
    layout, left = records.info.layout, set(media_ids)
    for shard in find_shards(records.directory, records.info, split):
        for serialized in read_shard(shard):
            if not left:
                return pictures
            record = decode_record(serialized, layout)
            if record["media_id"] not in left:
                continue
            left.remove(record["media_id"])
            picture = strip_picture(record, layout)
            if picture is not None:
                pictures[record["media_id"]] = picture
    return pictures


def _strip(parsed: dict[str, tf.Tensor], records: Records) -> Strip:
    clip = prepare_clip(parsed, records.sampling, ("frames", "frame_mask"))
    frames = clip["frames"].numpy()[clip["frame_mask"].numpy()]  # without padding
    places = np.linspace(0, len(frames) - 1, min(FRAMES_IN_STRIP, len(frames))).round().astype(int)
    height, width = frames.shape[1:3]
    size = (max(1, round(width * STRIP_HEIGHT / height)), STRIP_HEIGHT)
    return _encoded(
        np.concatenate([cv2.resize(frames[place], size, interpolation=cv2.INTER_AREA) for place in places], 1)
    )


def _encoded(strip: np.ndarray) -> Strip:
    _, jpeg = cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    source = "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")
    return Strip(source, strip.shape[1], strip.shape[0])
