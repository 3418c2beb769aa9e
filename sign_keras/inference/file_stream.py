"""A video file as a stream: the same engine as for cameras, frame after frame, none left out."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sign_keras.inference.artefact import Artefact
from sign_keras.inference.stream import SignStream, StreamEvent
from sign_keras.inference.stream_settings import StreamSettings
from tfrecords_tools.landmark_process import LandmarkProcess
from tfrecords_tools.video import Frame, open_video

# Frames whose landmarks are looked for while those before are used: decoding and recognising overlap with it.
FRAMES_AHEAD = 4


@dataclass(frozen=True)
class SeenFrame:
    """A frame with what was found in it.

    Attributes:
        image: uint8 RGB ``[H, W, 3]``.
        seconds: since the video's first frame.
        landmarks: ``[543, 3]`` float32, NaN where not found.
    """

    image: np.ndarray
    seconds: float
    landmarks: np.ndarray


def seen_frames(path: Path) -> Iterator[SeenFrame]:
    """All frames of a video with their landmarks.

    Raises:
        VideoError: the file cannot be read, or breaks off.
    """
    with open_video(path) as video, LandmarkProcess() as process:
        waiting: deque[Frame] = deque()
        for frame in video.frames:
            process.send(frame.image)
            waiting.append(frame)
            if len(waiting) > FRAMES_AHEAD:
                yield seen_frame(waiting.popleft(), process)
        while waiting:
            yield seen_frame(waiting.popleft(), process)


def seen_frame(frame: Frame, process: LandmarkProcess) -> SeenFrame:
    """A frame with its landmarks, which the process was asked for before and gives in the same order."""
    return SeenFrame(frame.image, frame.seconds, process.receive())


def events_of_file(path: Path, artefact: Artefact, settings: StreamSettings | None = None) -> Iterator[StreamEvent]:
    """What a stream of this file's frames says.

    Args:
        path: of a video.
        artefact: any model.
        settings: see ``StreamSettings``.

    Raises:
        VideoError: the file cannot be read, or breaks off.
        UserError: see ``SignStream``.
    """
    stream = SignStream(artefact, settings)
    for frame in seen_frames(path):
        yield from stream.push(frame.seconds, frame.landmarks, frame.image)
    yield from stream.finish()
