"""Frames of a stream, and clips made of them: what ``tfrecords_tools.extract`` makes of a file's.

Where a model's frames are cropped around the hands, the hands decide that were seen up to then: a live crop knows
no future. A sign is cropped once it has ended, by the hands of all its frames: as a file of that sign would be.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sign_keras.data.clip import prepare_clip
from sign_keras.data.parsing import parse_record
from sign_keras.inference.artefact import Artefact
from tfrecords_tools.clips import Clip, ClipSpec
from tfrecords_tools.crop import FULL_FRAME, CropBox, cut, hand_crop
from tfrecords_tools.extract import ExtractedClip, FrameEncoder
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.schema import encode_record

Inputs = dict[str, np.ndarray]

# Pictures are remembered for as long as a sign lasts: larger ones are shrunk to this short side, in pixels.
LARGEST_SHORT_SIDE = 480


@dataclass(frozen=True)
class LiveFrame:
    """A frame of a stream.

    Attributes:
        seconds: when it was taken.
        landmarks: ``[K, 3]`` float16, as records hold them.
        image: uint8 RGB ``[H, W, 3]``; None where the model needs none.
    """

    seconds: float
    landmarks: np.ndarray
    image: np.ndarray | None = None


def live_frame(seconds: float, landmarks: np.ndarray, image: np.ndarray | None = None) -> LiveFrame:
    """A frame to be remembered; what the caller does to its arrays later changes nothing."""
    if image is not None:
        scale = min(1.0, LARGEST_SHORT_SIDE / min(image.shape[:2]))
        height, width = (round(side * scale) for side in image.shape[:2])
        image = image.copy() if scale == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return LiveFrame(seconds, landmarks.astype(np.float16), image)


def live_clip(
    frames: Sequence[LiveFrame], spec: ClipSpec, layout: KeypointLayout, seen: Sequence[LiveFrame] | None = None
) -> ExtractedClip:
    """The clip that frames make.

    Args:
        frames: in their order, at least one.
        spec: what to make of them.
        layout: of their landmarks.
        seen: whose hands decide about a crop; by default those of ``frames``.
    """
    keypoints = _keypoints(frames, layout)
    encoder, box = FrameEncoder(spec), FULL_FRAME
    first = frames[0].image
    if first is not None:
        if spec.crop.mode == "hands":
            of = keypoints if seen is None else _keypoints(seen, layout)
            box = hand_crop(of, first.shape[1], first.shape[0], spec.crop.margin)
        for frame in frames:
            if frame.image is not None:
                encoder.add(cut(frame.image, box))
    return _extracted(frames, keypoints, encoder, box)


def model_inputs(artefact: Artefact, layout: KeypointLayout, frame: LiveFrame, seen: Sequence[LiveFrame]) -> Inputs:
    """One frame as a model takes it: of ``artefact.input_names`` all but ``frame_mask``, ``[1, ...]`` each.

    Args:
        artefact: the model.
        layout: of the landmarks.
        frame: to prepare.
        seen: whose hands decide about a crop, this frame among them.
    """
    names = [name for name in artefact.input_names if name != "frame_mask"]
    if names == ["keypoints"]:
        return {"keypoints": frame.landmarks.astype(np.float32)[np.newaxis]}
    clip = live_clip([frame], artefact.clip_spec, layout, seen)
    sampling = artefact.sampling.model_copy(update={"num_frames": 1})
    parsed = parse_record(encode_record(clip, label_ids=[]), layout)
    return {name: value.numpy() for name, value in prepare_clip(parsed, sampling, names).items()}


def _keypoints(frames: Sequence[LiveFrame], layout: KeypointLayout) -> ClipKeypoints:
    points = np.stack([frame.landmarks for frame in frames])
    found = [np.isfinite(points[:, rows]).all(axis=(1, 2)) for rows in layout.group_slices.values()]
    # How sure MediaPipe is of single points of the pose is not known here, and no model asks for it.
    visibility = np.zeros((len(points), len(dict(layout.groups).get("pose", ()))), np.float16)
    return ClipKeypoints(points, visibility, np.stack(found, axis=1))


def _extracted(
    frames: Sequence[LiveFrame], keypoints: ClipKeypoints, encoder: FrameEncoder, box: CropBox
) -> ExtractedClip:
    seconds = np.array([frame.seconds for frame in frames])
    length = float(seconds[-1] - seconds[0])
    return ExtractedClip(
        clip=Clip(path="stream", glosses=(), media_id="stream"),
        jpegs=encoder.jpegs,
        seconds=seconds - seconds[0],
        frame_rate=(len(frames) - 1) / length if length else 0.0,
        width=encoder.width,
        height=encoder.height,
        keypoints=keypoints,
        crop_box=box,
        pixels=encoder.moments() if encoder.jpegs else None,
    )
