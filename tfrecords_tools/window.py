"""A window of OpenCV's, and text of all sizes in pictures."""

import functools
import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import ImageFont

from tfrecords_tools.command_line import UserError

ESCAPE = "\x1b"


class Window:
    """Shows pictures and hears keys."""

    def __init__(self, name: str, title: str) -> None:
        """Opens the window.

        Args:
            name: of this kind of window.
            title: above it; any script.

        Raises:
            UserError: there is no display to open it on.
        """
        # Where there is none, OpenCV's Qt ends the whole process: so a process of its own tries first.
        attempt = "import cv2; cv2.namedWindow('attempt'); cv2.waitKey(1)"
        if subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode:
            raise UserError("no window can be opened here (no display?); --no-window does without")
        self._name = name
        cv2.namedWindow(name, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        cv2.setWindowTitle(name, title)

    def show(self, image: np.ndarray) -> str | None:
        """Shows uint8 RGB ``[H, W, 3]``; returns the key pressed, if any, and ``ESCAPE`` once it was closed."""
        cv2.imshow(self._name, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        code = cv2.waitKey(1)
        if cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) < 1:
            return ESCAPE
        return None if code < 0 else chr(code & 0xFF).lower()


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, of so many pixels. It lacks Chinese and Japanese, among others."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"  # they come with Matplotlib
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
