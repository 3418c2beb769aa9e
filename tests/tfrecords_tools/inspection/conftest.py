"""Folders of records made from arrays: what a test needs in them, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tfrecords_tools.clips import Clip, ClipSpec, SplitSettings
from tfrecords_tools.crop import FULL_FRAME, CropBox
from tfrecords_tools.dataset_info import (
    FILE_NAME,
    LABEL_MAP_NAME,
    SCHEMA_VERSION,
    DatasetInfo,
    LayoutInfo,
    shard_name,
)
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.schema import encode_record
from tfrecords_tools.shards import ShardWriter
from tfrecords_tools.tally import Tally

RATE = 25.0


def _make_clip(
    media_id: str,
    gloss: str = "hello",
    signer: str = "anna",
    *,
    frames: np.ndarray | None = None,
    points: np.ndarray | None = None,
    layout: KeypointLayout = MEDIAPIPE_HOLISTIC,
    box: CropBox = FULL_FRAME,
    quality: int = 95,
) -> ExtractedClip:
    """A clip of frames uint8 RGB ``[T, H, W, 3]``, of points ``[T, K, 3]`` in a layout, or of both."""
    num_frames = len(frames if frames is not None else points)
    keypoints = None
    if points is not None:
        finite = np.isfinite(points).all(axis=-1)
        presence = np.stack([finite[:, rows].all(axis=1) for rows in layout.group_slices.values()], axis=1)
        num_pose = len(dict(layout.groups).get("pose", ()))
        visibility = np.ones((num_frames, num_pose), np.float16)
        keypoints = ClipKeypoints(points.astype(np.float16), visibility, presence)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    images = [] if frames is None else [cv2.imencode(".jpg", f[..., ::-1], options)[1].tobytes() for f in frames]
    return ExtractedClip(
        clip=Clip(f"{media_id}.mp4", tuple(gloss.split()), media_id, signer),
        jpegs=images,
        seconds=np.arange(num_frames) / RATE,
        frame_rate=RATE,
        width=frames.shape[2] if frames is not None else 0,
        height=frames.shape[1] if frames is not None else 0,
        keypoints=keypoints,
        crop_box=box,
        pixels=None,
        aspect_ratio=4 / 3,
    )


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., ExtractedClip]:
    """``make_clip(media_id, gloss, signer, frames=[T, H, W, 3], points=[T, K, 3], layout, box, quality)``."""
    return _make_clip


WriteRecords = Callable[..., Path]


@pytest.fixture
def write_records(tmp_path: Path) -> WriteRecords:
    """``write_records({split: [clip, ...]}, layout=None, **dataset_info)``: the folder that convert would write."""

    def write(
        splits: dict[str, list[ExtractedClip]], layout: KeypointLayout | None = None, **values: object
    ) -> Path:
        folder = tmp_path / "records"
        folder.mkdir()
        every = [extracted for part in splits.values() for extracted in part]
        label_map = LabelMap.from_unsorted(gloss for extracted in every for gloss in extracted.clip.glosses)
        shards, infos = {}, {}
        for split, part in splits.items():
            tally = Tally(layout)
            name = shard_name("records", split, 0, 1)
            with ShardWriter(folder / name) as writer:
                for extracted in part:
                    writer.write(encode_record(extracted, [label_map.id(g) for g in extracted.clip.glosses]))
                    tally.add(extracted)
            shards[name] = len(part)
            infos[split] = tally.report("", folder / name).split
        has_frames = any(extracted.jpegs for extracted in every)
        stated = layout and LayoutInfo(name=layout.name, points=layout.names, mirror_pairs=layout.mirror_pairs)
        info = DatasetInfo(
            schema_version=SCHEMA_VERSION,
            name="records",
            source="test",
            clip_spec=ClipSpec(frames=has_frames, keypoints=layout.name if layout else None),
            splits=infos,
            split_settings=values.pop("split_settings", SplitSettings()),
            shards=shards,
            num_skipped=0,
            crop_origins={},
            mean=None,
            standard_deviation=None,
            keypoint_layout=stated,
            tool_versions={},
            **values,
        )
        (folder / FILE_NAME).write_text(info.model_dump_json(), encoding="utf-8")
        (folder / LABEL_MAP_NAME).write_text(label_map.to_json(), encoding="utf-8")
        return folder

    return write
