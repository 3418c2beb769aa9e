"""The newest frame of a camera: whoever is late gets what there is now, and how much was missed is counted."""

import threading

from tfrecords_tools.camera import Camera, CameraError
from tfrecords_tools.video import Frame


class NewestFrame:
    """Reads a camera in a thread of its own; to be used as a context.

    Attributes:
        num_dropped: frames that nobody took before the next one came.
    """

    def __init__(self, camera: Camera) -> None:
        """Begins to read when the context is entered.

        Args:
            camera: read by this alone from then on.
        """
        self.num_dropped = 0
        self._camera = camera
        self._frame: Frame | None = None
        self._error: CameraError | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def take(self, timeout: float) -> Frame | None:
        """The newest frame that was not taken yet; None where none comes in time.

        Args:
            timeout: how long to wait, in seconds.

        Raises:
            CameraError: the camera has stopped, and its last frame was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._error is not None, timeout)
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def _read(self) -> None:
        while not self._ended:
            try:
                frame = self._camera.read()
            except CameraError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify()
                return
            with self._changed:
                self.num_dropped += self._frame is not None
                self._frame = frame
                self._changed.notify()

    def __enter__(self) -> "NewestFrame":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join(timeout=2.0)  # it waits for a frame
