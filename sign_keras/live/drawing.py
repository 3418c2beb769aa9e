"""What live recognition looks like: the picture with its keypoints, bars of the best glosses, the text so far."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from sign_keras.inference.predictor import ScoredGloss
from sign_keras.pictures.skeleton import bones, shown_rows
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout
from tfrecords_tools.window import font

LOWEST, HIGHEST = 480, 720  # heights of the picture, in pixels
PANEL_WIDTH, STRIP_HEIGHT, PADDING = 300, 76, 18
GROUND, STRIP = (24, 27, 33), (16, 18, 22)
INK, QUIET, TRACK = (240, 242, 245), (139, 147, 158), (45, 50, 59)
# Okabe and Ito 2008: people tell these apart whatever their colour vision.
BAR, BEST, SIGNING = (86, 180, 233), (0, 158, 115), (230, 159, 0)
COLOURS = {"left_hand": (86, 180, 233), "right_hand": (230, 159, 0), "pose": (235, 235, 235)}
GROUPS = ("pose", "left_hand", "right_hand")  # a face's 468 points would hide it
ELLIPSIS = "…"


@dataclass(frozen=True)
class Screen:
    """What is shown beside a frame.

    Attributes:
        scores: best glosses, best first.
        active: whether a sign is being made.
        glosses: recognised so far, in their order.
        seconds: of the stream.
        num_dropped: frames that were left out because the next one was there already; None where none can be.
    """

    scores: Sequence[ScoredGloss]
    active: bool
    glosses: Sequence[str]
    seconds: float
    num_dropped: int | None = None


def draw_screen(image: np.ndarray, landmarks: np.ndarray, screen: Screen, mirrored: bool = False) -> np.ndarray:
    """One picture of everything.

    Args:
        image: the frame, uint8 RGB ``[H, W, 3]``.
        landmarks: ``[543, 3]`` of MediaPipe Holistic, x and y in frame widths and heights; NaN where not found.
        screen: what to show beside it.
        mirrored: show the frame as in a mirror, as people know themselves from one.

    Returns:
        uint8 RGB, height and width even; the same size for frames of the same size.
    """
    picture = draw_landmarks(_scaled(image), landmarks)
    picture = picture[:, ::-1] if mirrored else picture
    height, width = picture.shape[:2]
    canvas = np.empty((height + STRIP_HEIGHT, width + PANEL_WIDTH, 3), np.uint8)
    canvas[:], canvas[height:] = GROUND, STRIP
    canvas[:height, :width] = picture
    drawn = Image.fromarray(canvas)
    draw = ImageDraw.Draw(drawn)
    _draw_panel(draw, width, height, screen)
    _draw_text(draw, (PADDING, height + STRIP_HEIGHT // 2), drawn.width - 2 * PADDING, screen.glosses)
    return np.asarray(drawn)


def draw_landmarks(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Arms and hands over a frame, each hand in a colour of its own; uint8 RGB of the same size."""
    picture = np.ascontiguousarray(image).copy()
    height, width = picture.shape[:2]
    unit = max(1, round(height / 360))
    lines, rows = _lines(MEDIAPIPE_HOLISTIC)
    # Sixteenths of pixels: lines that tremble by whole ones are tiring to watch.
    found = {
        row: landmarks[row, :2] * (width, height) * 16 for row in rows if np.isfinite(landmarks[row, :2]).all()
    }
    places = {row: (round(float(x)), round(float(y))) for row, (x, y) in found.items()}
    for group, start, end in lines:
        if start in places and end in places:
            cv2.line(picture, places[start], places[end], COLOURS[group], 2 * unit, cv2.LINE_AA, shift=4)
    for row, group in rows.items():
        if row in places:
            cv2.circle(picture, places[row], 16 * 3 * unit // 2, COLOURS[group], cv2.FILLED, cv2.LINE_AA, shift=4)
    return picture


@functools.cache
def _lines(layout: KeypointLayout) -> tuple[list[tuple[str, int, int]], dict[int, str]]:
    """Lines as (group, row, row), and the group of each row that is drawn."""
    group_of = {
        row: group
        for group in GROUPS
        for row in range(layout.group_slices[group].start, layout.group_slices[group].stop)
    }
    lines = [(group_of[start], start, end) for start, end in bones(layout)]
    ends = {row for _, *pair in lines for row in pair}
    drawn = {int(row): group_of[int(row)] for row in shown_rows(layout) if int(row) in ends}
    return lines, drawn


def _scaled(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    wanted = min(max(height, LOWEST), HIGHEST)
    size = (2 * round(width * wanted / height / 2), 2 * round(wanted / 2))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if wanted < height else cv2.INTER_CUBIC)


def _draw_panel(draw: ImageDraw.ImageDraw, left: int, height: int, screen: Screen) -> None:
    x0, x1, y = left + PADDING, left + PANEL_WIDTH - PADDING, PADDING
    colour, state = (SIGNING, "signing") if screen.active else (QUIET, "at rest")
    draw.text((x0, y + 10), "●", colour, font(18), anchor="lm")  # a glyph has smooth edges
    draw.text((x0 + 22, y + 10), state, INK if screen.active else QUIET, font(16), anchor="lm")
    draw.text((x1, y + 10), f"{screen.seconds:.1f} s", QUIET, font(14), anchor="rm")
    y += 46
    for place, score in enumerate(screen.scores):
        if y + 40 > height - 2 * PADDING:
            break
        share = f"{score.probability:.0%}"
        name = _fitted(draw, score.gloss, 17, place == 0, x1 - x0 - 60)
        draw.text((x0, y + 14), name, INK if place == 0 else QUIET, font(17, place == 0), anchor="ls")
        draw.text((x1, y + 14), share, INK if place == 0 else QUIET, font(15), anchor="rs")
        draw.rounded_rectangle((x0, y + 25, x1, y + 32), 4, fill=TRACK)
        length = round((x1 - x0) * min(max(score.probability, 0.0), 1.0))
        if length >= 8:
            draw.rounded_rectangle((x0, y + 25, x0 + length, y + 32), 4, fill=BEST if place == 0 else BAR)
        y += 52
    if screen.num_dropped:
        text = f"{screen.num_dropped} late frames left out"
        draw.text((x0, height - PADDING), text, QUIET, font(13), anchor="lb")


def _draw_text(draw: ImageDraw.ImageDraw, place: tuple[int, int], width: int, glosses: Sequence[str]) -> None:
    """The latest glosses that fit, the last one bright."""
    if not glosses:
        draw.text(place, "no sign recognised yet", QUIET, font(18), anchor="lm")
        return
    size, gap = 24, 16
    last = _fitted(draw, glosses[-1], size, True, width)
    left = width - draw.textlength(last, font(size, True))
    shown: list[str] = []
    for gloss in reversed(glosses[:-1]):
        left -= draw.textlength(gloss, font(size)) + gap
        if left < 0:
            break
        shown.insert(0, gloss)
    x: float = place[0]
    for gloss in shown:
        draw.text((x, place[1]), gloss, QUIET, font(size), anchor="lm")
        x += draw.textlength(gloss, font(size)) + gap
    draw.text((x, place[1]), last, INK, font(size, True), anchor="lm")


def _fitted(draw: ImageDraw.ImageDraw, text: str, size: int, bold: bool, width: float) -> str:
    """A text that is no wider than that, its end cut off where need be."""
    if draw.textlength(text, font(size, bold)) <= width:
        return text
    while text and draw.textlength(text + ELLIPSIS, font(size, bold)) > width:
        text = text[:-1]
    return text + ELLIPSIS
