"""What becomes of recognised frames: events are printed, pictures go to a window, a file, or both."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from sign_keras.inference.stream import StreamEvent
from sign_keras.inference.ticks import Ticks
from sign_keras.live.drawing import draw_screen
from sign_keras.live.views import View
from tfrecords_tools.command_line import writing
from tfrecords_tools.video import write_video
from tfrecords_tools.window import ESCAPE, Window

QUIT_KEYS = ("q", ESCAPE)


@dataclasses.dataclass(frozen=True)
class Show:
    """How a stream is shown.

    Attributes:
        window: None to open none.
        output: an mp4 to write; None for none.
        output_rate: its frames a second.
        is_live: frames come from a camera: they are shown as in a mirror and as they come. A video's frames are
            shown at its own pace where there is a window, and written one by one.
        seconds: when to end; None: with the last frame.
        as_json: print all events as JSON, else signs as text.
    """

    window: Window | None
    output: Path | None
    output_rate: float
    is_live: bool
    seconds: float | None = None
    as_json: bool = False

    def run(self, views: Iterator[View], finish: Callable[[], list[StreamEvent]]) -> None:
        """Shows everything.

        Args:
            views: to show.
            finish: ends the stream where it is not ended yet, and returns the last events.

        Raises:
            UserError: the output cannot be written; or what ``views`` raises.
        """
        try:
            if self.output is None:
                for _ in self._pictures(views):
                    pass
            else:
                with writing(self.output):
                    write_video(self.output, self._at_rate(self._pictures(views)), self.output_rate)
        finally:
            self._tell(finish())

    def _pictures(self, views: Iterator[View]) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds, picture) of each view until somebody quits."""
        began = time.monotonic()
        try:
            for view in views:
                self._tell(view.events)
                frame = view.frame
                if self.window is not None or self.output is not None:
                    picture = draw_screen(frame.image, frame.landmarks, view.screen, mirrored=self.is_live)
                    if self.window is not None:
                        if not self.is_live:
                            time.sleep(max(0.0, began + frame.seconds - time.monotonic()))
                        if self.window.show(picture) in QUIT_KEYS:
                            return
                    yield frame.seconds, picture
                if self.seconds is not None and frame.seconds >= self.seconds:
                    return
        except KeyboardInterrupt:  # as good a way to end as a key of the window; what was shown is written
            if not self.is_live:
                raise

    def _at_rate(self, pictures: Iterable[tuple[float, np.ndarray]]) -> Iterator[np.ndarray]:
        if not self.is_live:
            yield from (picture for _, picture in pictures)
            return
        ticks: Ticks[np.ndarray] = Ticks(self.output_rate)
        for seconds, picture in pictures:
            yield from ticks.push(seconds, picture)
        yield from ticks.finish()

    def _tell(self, events: Iterable[StreamEvent]) -> None:
        for event in events:
            if self.as_json:
                print(json.dumps(dataclasses.asdict(event), ensure_ascii=False), flush=True)
            elif event.kind == "sign":
                end, share = event.end_seconds or 0.0, event.confidence or 0.0
                print(f"{event.start_seconds:7.2f} to {end:7.2f} s  {event.gloss}  {share:.0%}", flush=True)
