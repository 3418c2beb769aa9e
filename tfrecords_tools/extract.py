"""What happens to one clip, in a worker process that never loads TensorFlow.

Decode, find keypoints on the full-resolution frames, crop, shrink, encode as JPEG. ``predict`` runs the same
function on a file, so what a model sees there is what it saw in records. Memory is one frame plus the clip's
JPEG bytes, whatever the video's size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from tfrecords_tools.clips import Clip, ClipError, ClipSpec, crop_to_bbox
from tfrecords_tools.crop import FULL_FRAME, CropBox, cut, hand_crop
from tfrecords_tools.keypoints import ClipKeypoints, HolisticExtractor
from tfrecords_tools.moments import Moments
from tfrecords_tools.video import IMAGE_SUFFIXES, Frame, VideoError, VideoLimits, open_video


@dataclass(frozen=True)
class ExtractedClip:
    """A clip as a record will hold it.

    Attributes:
        clip: where it came from.
        jpegs: the stored frames, one JPEG each; empty when the spec keeps no frames.
        seconds: ``[T]`` float64 since the video's first frame.
        frame_rate: nominal frames per second; 0 for an image.
        width, height: of the stored frames, in pixels.
        keypoints: None when the spec asks for none.
        aspect_ratio: width / height of the picture that the keypoints' x and y refer to; 0 when not known.
        crop_box: the region that the stored frames show, in units of the video's frame.
        pixels: moments of the stored frames' R, G, B in [0, 255]; None when the spec keeps no frames.
    """

    clip: Clip
    jpegs: list[bytes]
    seconds: np.ndarray
    frame_rate: float
    width: int
    height: int
    keypoints: ClipKeypoints | None
    crop_box: CropBox
    pixels: Moments | None
    aspect_ratio: float = 0.0


@dataclass(frozen=True)
class KeypointRecording:
    """A clip that a dataset gives as keypoints, without a video.

    Attributes:
        keypoints: in the dataset's layout; ``visibility`` has a column a point of the layout's group ``pose``.
        seconds: ``[T]`` float64 since the first frame.
        frame_rate: nominal frames per second.
        aspect_ratio: width / height of the picture that x and y refer to; 0 when not known.
    """

    keypoints: ClipKeypoints
    seconds: np.ndarray
    frame_rate: float
    aspect_ratio: float = 0.0


# Reads a clip of a dataset of keypoints, or raises ClipError; a function of a module, so that workers find it.
KeypointReader = Callable[[Clip], KeypointRecording]


@dataclass(frozen=True)
class SkippedClip:
    """A clip that could not be read whole, and why."""

    clip: Clip
    reason: str


def extract_clip(
    clip: Clip, spec: ClipSpec, reader: KeypointReader | None = None, limits: VideoLimits | None = None
) -> ExtractedClip | SkippedClip:
    """Reads one clip; one that cannot be read whole is a ``SkippedClip``, never an exception.

    Args:
        clip: to read.
        spec: what to make of it.
        reader: of a dataset of keypoints; None where clips are videos.
        limits: of a video by a stranger.
    """
    try:
        return _extract(clip, spec, limits) if reader is None else _from_recording(clip, reader(clip))
    except (VideoError, ClipError) as error:
        return SkippedClip(clip, error.reason)
    except (MemoryError, cv2.error, OSError) as error:
        return SkippedClip(clip, f"{type(error).__name__}: {error}")


def _from_recording(clip: Clip, recording: KeypointRecording) -> ExtractedClip:
    if not len(recording.seconds):
        raise ClipError(clip.path, "holds no frame")
    return ExtractedClip(
        clip=clip,
        jpegs=[],
        seconds=recording.seconds,
        frame_rate=recording.frame_rate,
        width=0,
        height=0,
        keypoints=recording.keypoints,
        crop_box=FULL_FRAME,
        pixels=None,
        aspect_ratio=recording.aspect_ratio,
    )


def _extract(clip: Clip, spec: ClipSpec, limits: VideoLimits | None) -> ExtractedClip:
    cv2.setNumThreads(1)  # processes are the parallelism
    frames = FrameEncoder(spec)
    seconds: list[float] = []
    full_size = (0, 0)
    is_image = clip.path.lower().endswith(IMAGE_SUFFIXES)
    extractor = _holistic(is_image) if spec.keypoints else None
    # Where the crop depends on keypoints of the whole clip, frames are decoded a second time: that costs
    # a millisecond a frame, against forty for the keypoints, and keeps memory flat.
    crops_later = spec.crop.mode == "hands"
    if extractor:
        extractor.start_clip()
    with open_video(clip.path, clip.span, clip.frame_rate, limits) as video:
        frame_rate = video.frame_rate
        for image, frame in _pictures(clip, video.frames):
            full_size = (image.shape[1], image.shape[0])
            seconds.append(frame.seconds)
            if extractor:
                extractor.add_frame(image)
            if spec.frames and not crops_later:
                frames.add(image)
    if not seconds:
        raise VideoError(clip.path, "the clip's span holds no frame")
    keypoints = extractor.finish_clip() if extractor else None
    box = FULL_FRAME
    if crops_later and keypoints is not None:
        box = hand_crop(keypoints, *full_size, spec.crop.margin)
        if spec.frames:
            with open_video(clip.path, clip.span, clip.frame_rate, limits) as video:
                for image, _ in _pictures(clip, video.frames):
                    frames.add(cut(image, box))
    return ExtractedClip(
        clip=clip,
        jpegs=frames.jpegs,
        seconds=np.array(seconds),
        frame_rate=frame_rate,
        width=frames.width or full_size[0],
        height=frames.height or full_size[1],
        keypoints=keypoints,
        crop_box=box,
        pixels=frames.moments() if frames.jpegs else None,
        aspect_ratio=full_size[0] / full_size[1],
    )


def _pictures(clip: Clip, frames: Iterator[Frame]) -> Iterator[tuple[np.ndarray, Frame]]:
    for frame in frames:
        height, width = frame.image.shape[:2]
        if clip.bbox and (clip.bbox[0] >= width or clip.bbox[1] >= height or min(clip.bbox[2:]) <= 0):
            box = " ".join(map(str, clip.bbox))
            raise VideoError(clip.path, f"the bbox {box} lies outside the {width}x{height} picture")
        yield crop_to_bbox(frame.image, clip.bbox), frame


@lru_cache(maxsize=2)
def _holistic(static: bool) -> HolisticExtractor:
    return HolisticExtractor(static=static)


class FrameEncoder:
    """Shrinks frames, encodes them as JPEG and sums their pixels."""

    def __init__(self, spec: ClipSpec) -> None:
        self._short_side, self._quality = spec.short_side, spec.jpeg_quality
        self.jpegs: list[bytes] = []
        self.width = self.height = 0
        self._count, self._total, self._squares = 0, np.zeros(3), np.zeros(3)

    def add(self, image: np.ndarray) -> None:
        """Adds a frame, uint8 RGB ``[H, W, 3]``. The first one fixes the size of all."""
        if not self.jpegs:
            scale = min(1.0, self._short_side / min(image.shape[:2]))
            self.height, self.width = (max(1, round(side * scale)) for side in image.shape[:2])
        if image.shape[:2] != (self.height, self.width):
            image = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        mean, deviation = (stat[:, 0] for stat in cv2.meanStdDev(image))
        count = image.shape[0] * image.shape[1]
        self._count += count
        self._total += mean * count
        self._squares += (deviation**2 + mean**2) * count
        encoded, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        )
        if not encoded:
            raise ValueError(f"a frame of shape {image.shape} could not be encoded as JPEG")
        self.jpegs.append(jpeg.tobytes())

    def moments(self) -> Moments:
        """Those of the pixels of the frames added."""
        return Moments.of_sums(self._count, self._total, self._squares)
