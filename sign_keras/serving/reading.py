"""What the server's reader processes do: strangers' videos and pictures, with MediaPipe and without TensorFlow.

Everything that decodes what a client sent runs here: a decoder that crashes or hangs takes a process of its own
with it, and nothing else.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from tfrecords_tools.clips import Clip, ClipSpec
from tfrecords_tools.extract import ExtractedClip, SkippedClip, extract_clip
from tfrecords_tools.keypoints import HolisticExtractor
from tfrecords_tools.video import VideoError, VideoLimits, decode_image


@dataclass(frozen=True)
class SeenPicture:
    """A stream's picture, and what was found in it.

    Attributes:
        landmarks: ``[543, 3]`` float32 in the order of ``MEDIAPIPE_HOLISTIC``; x, y in frame widths and heights,
            NaN where not found.
        width: of the picture, in pixels.
        height: likewise.
        image: uint8 RGB ``[H, W, 3]``; None where nobody asked for it.
    """

    landmarks: np.ndarray
    width: int
    height: int
    image: np.ndarray | None


def warm_up() -> None:
    """Loads MediaPipe, so that the first picture need not wait for it."""
    picture = np.zeros((64, 64, 3), np.uint8)
    _extractor().start_clip()
    _extractor().find_landmarks(picture)


def read_upload(path: str, spec: ClipSpec, limits: VideoLimits) -> ExtractedClip | str:
    """Reads an uploaded video; a text says why it cannot be read."""
    result = extract_clip(Clip(path=path, glosses=(), media_id="upload"), spec, None, limits)
    return result.reason.replace(path, "the file") if isinstance(result, SkippedClip) else result


def start_stream() -> None:
    """Forgets the stream before, tracking state included."""
    _extractor().start_clip()


def read_picture(jpeg: bytes, limits: VideoLimits, keep_image: bool) -> SeenPicture | str:
    """Finds the landmarks of a stream's next picture; a text says why it cannot be read."""
    cv2.setNumThreads(1)  # processes are the parallelism
    try:
        image = decode_image(jpeg, limits)
    except VideoError as error:
        return error.reason
    except (cv2.error, MemoryError) as error:
        return f"cannot be read as an image ({type(error).__name__})"
    height, width = image.shape[:2]
    return SeenPicture(_extractor().find_landmarks(image), width, height, image if keep_image else None)


@lru_cache(maxsize=1)
def _extractor() -> HolisticExtractor:
    return HolisticExtractor()
