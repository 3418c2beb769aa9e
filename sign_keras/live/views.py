"""Frames of files and cameras through the engine, each with what is to be shown and what has happened."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sign_keras.inference.file_stream import SeenFrame, seen_frame, seen_frames
from sign_keras.inference.stream import SignStream, StreamEvent
from sign_keras.live.drawing import Screen
from sign_keras.live.newest import NewestFrame
from tfrecords_tools.camera import Camera, CameraError
from tfrecords_tools.landmark_process import LandmarkProcess
from tfrecords_tools.video import Frame

# Frames of a camera whose landmarks are looked for: one is looked at while another travels. More would be late.
FRAMES_UNDER_WAY = 2
SHOWN_GLOSSES = 100  # of the text so far, at most


@dataclass(frozen=True)
class View:
    """A frame, what is shown beside it, and what has happened by it."""

    frame: SeenFrame
    screen: Screen
    events: list[StreamEvent]


class _Text:
    """The glosses so far."""

    def __init__(self) -> None:
        self.glosses: deque[str] = deque(maxlen=SHOWN_GLOSSES)

    def view(self, frame: SeenFrame, stream: SignStream, events: list[StreamEvent], dropped: int | None) -> View:
        self.glosses += [event.gloss for event in events if event.gloss is not None]
        screen = Screen(stream.scores, stream.active, tuple(self.glosses), frame.seconds, dropped)
        return View(frame, screen, events)


def file_views(path: Path, stream: SignStream) -> Iterator[View]:
    """All frames of a video, none left out; the last one has what the stream's end brings, too.

    Raises:
        VideoError: the file cannot be read, or breaks off.
    """
    text = _Text()
    for frame, is_last in _with_end(seen_frames(path)):
        events = stream.push(frame.seconds, frame.landmarks, frame.image)
        if is_last:
            events += stream.finish()
        yield text.view(frame, stream, events, None)


def _with_end(frames: Iterable[SeenFrame]) -> Iterator[tuple[SeenFrame, bool]]:
    """Each frame, and whether it is the last one."""
    waiting: SeenFrame | None = None
    for frame in frames:
        if waiting is not None:
            yield waiting, False
        waiting = frame
    if waiting is not None:
        yield waiting, True


class CameraViews:
    """Frames of a camera as they come, in seconds from the first; those that come too fast are left out.

    Attributes:
        num_frames: seen so far.
        num_dropped: left out so far.
    """

    def __init__(self, camera: Camera, stream: SignStream, process: LandmarkProcess) -> None:
        self.num_frames = self.num_dropped = 0
        self._camera, self._stream, self._process = camera, stream, process

    def __iter__(self) -> Iterator[View]:
        """Views until nobody asks for more.

        Raises:
            CameraError: the camera has stopped.
        """
        text = _Text()
        with NewestFrame(self._camera) as newest:
            for frame in self._seen_frames(newest):
                events = self._stream.push(frame.seconds, frame.landmarks, frame.image)
                self.num_frames, self.num_dropped = self.num_frames + 1, newest.num_dropped
                yield text.view(frame, self._stream, events, newest.num_dropped)

    def _seen_frames(self, newest: NewestFrame) -> Iterator[SeenFrame]:
        under_way: deque[Frame] = deque()
        start: float | None = None
        while True:
            try:
                frame = newest.take(timeout=0.0 if under_way else 0.2)
            except CameraError:
                while under_way:
                    yield seen_frame(under_way.popleft(), self._process)
                raise
            if frame is not None:
                start = frame.seconds if start is None else start
                self._process.send(frame.image)
                under_way.append(Frame(frame.image, frame.seconds - start))
            # The next one is sent before the one before is waited for: the process never waits for us.
            if len(under_way) == FRAMES_UNDER_WAY or (under_way and frame is None):
                yield seen_frame(under_way.popleft(), self._process)
