"""Painted details: what is drawn on the surface rather than modelled, in base colours before shading.

Faces (eyes, brows, mouth, beard, glasses), clothes (neckline, pattern), and the creases and nails that make
a hand read as palm or back. All are drawn with OpenCV into the albedo and kept to the part they belong to
by its label.
"""

from collections.abc import Callable

import cv2
import numpy as np

from tfrecords_tools.synthetic.anatomy import MIRROR_X, RIGHT, Array, Skeleton
from tfrecords_tools.synthetic.rasterizer import Camera, Surface
from tfrecords_tools.synthetic.signers import Colour, Looks
from tfrecords_tools.synthetic.surface import HAND_PARTS, NUM_LABELS, RIGHT_SIDE, Part

_SHIFT = 4  # OpenCV draws with this many fractional bits
_FRACTION = 2**_SHIFT
_FULL = (255.0,)  # a mask's colour
HAND_DETAIL_SCALE = 36.0
"""Pixels per hand unit from which creases and nails are drawn; below, they would be noise."""


def base_colours(labels: Array, looks: Looks) -> Array:
    """`[H, W, 3]` float32 RGB: the plain colour of every part."""
    table = np.zeros((NUM_LABELS, 3), np.float32)
    table[:] = looks.skin
    table[[Part.SLEEVE, Part.TORSO, Part.SLEEVE + RIGHT_SIDE]] = looks.shirt
    table[Part.HAIR] = looks.hair
    if looks.pattern == "jacket":
        table[[Part.SLEEVE, Part.SLEEVE + RIGHT_SIDE]] = looks.shirt
    if looks.neckline == "high":
        table[Part.NECK] = np.array(looks.shirt if looks.pattern != "jacket" else looks.accent) * 0.92
    return table[labels]


def _pixel(point: Array) -> tuple[int, int]:
    x, y = np.round(np.asarray(point)[:2] * _FRACTION).astype(int)
    return int(x), int(y)


def _scalar(colour: Array | Colour) -> tuple[float, ...]:
    """A colour as OpenCV takes it."""
    return tuple(float(channel) for channel in colour)


def _window(mask: Array, margin: int = 2) -> tuple[slice, slice] | None:
    """Rows and columns around a mask's true pixels; None when there are none."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if width == 0:
        return None
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


# ------------------------------------------------------------------------------------------------------ face


class _FaceBrush:
    """Draws ellipses at points of the head, turned as the head is turned."""

    def __init__(self, canvas: Array, corner: Array, camera: Camera, skeleton: Skeleton) -> None:
        self._canvas, self._corner = canvas, corner
        self._camera, self._skeleton = camera, skeleton
        axes = camera.rotation @ skeleton.head_rotation
        self._narrowing = abs(float(axes[0, 0]))
        self._roll = -float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
        self._scale = camera.scale * skeleton.proportions.head

    def point(self, at: tuple[float, float, float]) -> tuple[int, int]:
        pixels, _ = self._camera.project(self._skeleton.on_head(at))
        return _pixel(pixels[:2] - self._corner)

    def ellipse(
        self,
        at: tuple[float, float, float],
        radii: tuple[float, float],
        colour: Array,
        tilt: float = 0.0,
        line: float = 0.0,
        arc: tuple[float, float] = (0.0, 360.0),
    ) -> None:
        """A filled ellipse; with `line`, an outline of that width in hand units."""
        axes = (
            max(_FRACTION // 2, int(radii[0] * self._scale * self._narrowing * _FRACTION)),
            max(_FRACTION // 3, int(radii[1] * self._scale * _FRACTION)),
        )
        width = max(1, round(line * self._scale)) if line else -1
        angle, (start, end) = self._roll + tilt, arc
        centre, paint = self.point(at), _scalar(colour)
        cv2.ellipse(self._canvas, centre, axes, angle, start, end, paint, width, cv2.LINE_AA, _SHIFT)


def paint_face(albedo: Array, surface: Surface, camera: Camera, skeleton: Skeleton, looks: Looks) -> None:
    """Paints the face in place, where the head is not hidden."""
    head = surface.labels == Part.HEAD
    window = _window(head)
    if window is None:
        return
    canvas = albedo[window].copy()
    brush = _FaceBrush(canvas, np.array([window[1].start, window[0].start]), camera, skeleton)
    skin = np.array(looks.skin)
    if looks.beard:
        _paint_beard(brush, skin, looks)
    for side in (1.0, -1.0):
        _paint_eye(brush, side, skin, looks)
        brush.ellipse((side * 0.085, -0.50, 0.95), (0.045, 0.03), skin * 0.5)
        brush.ellipse((side * 0.42, -0.38, 0.60), (0.22, 0.16), np.minimum(skin * [1.03, 0.94, 0.93], 255))
    lip = skin * (1 - 0.5 * looks.lips) + np.clip(skin * [0.92, 0.60, 0.60], 0, 255) * 0.5 * looks.lips
    brush.ellipse((0.0, -0.76, 0.75), (0.26, 0.085), np.clip(lip * [0.98, 0.86, 0.85], 0, 255))
    brush.ellipse((0.0, -0.70, 0.78), (0.26, 0.07), skin * [0.60, 0.42, 0.40], line=0.03, arc=(25.0, 155.0))
    brush.ellipse((0.0, -0.90, 0.72), (0.14, 0.03), _chin_tone(looks) * 0.9)
    if looks.glasses:
        frame = np.array([40.0, 36.0, 38.0])
        for side in (1.0, -1.0):
            brush.ellipse((side * 0.36, 0.0, 0.82), (0.27, 0.20), frame, line=0.035)
        brush.ellipse((0.0, 0.02, 0.86), (0.09, 0.05), frame, line=0.035, arc=(180.0, 360.0))
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.55)
    inside = head[window]
    albedo[window][inside] = canvas[inside]


def _chin_tone(looks: Looks) -> Array:
    """`[3]` colour of the chin, darkened by a beard."""
    skin, hair = np.array(looks.skin), np.array(looks.hair)
    return skin * (1 - 0.75 * looks.beard) + hair * 0.75 * looks.beard


def _paint_beard(brush: _FaceBrush, skin: Array, looks: Looks) -> None:
    tone = _chin_tone(looks)
    brush.ellipse((0.0, -0.86, 0.65), (0.58, 0.44), tone)
    for side in (1.0, -1.0):
        brush.ellipse((side * 0.60, -0.50, 0.30), (0.12, 0.48), tone, tilt=-side * 6)
    brush.ellipse((0.0, -0.52, 0.80), (0.40, 0.11), skin)  # the upper lip's edge towards the nose
    brush.ellipse((0.0, -0.645, 0.82), (0.26, 0.055), tone)  # moustache


def _paint_eye(brush: _FaceBrush, side: float, skin: Array, looks: Looks) -> None:
    white = np.array([226.0, 222.0, 216.0]) * (0.62 + 0.38 * skin.mean() / 200.0)
    lash, hair = skin * 0.30, np.array(looks.hair)
    x = side * 0.34
    brush.ellipse((x, 0.02, 0.75), (0.22, 0.125), skin * 0.82)
    brush.ellipse((x, 0.0, 0.75), (0.165, 0.072), np.minimum(white, 235))
    brush.ellipse((x, 0.005, 0.75), (0.075, 0.075), np.array([70.0, 50.0, 36.0]))
    brush.ellipse((x, 0.005, 0.75), (0.038, 0.040), np.array([8.0, 8.0, 8.0]))
    brush.ellipse((x, 0.075, 0.75), (0.18, 0.030), lash)
    brush.ellipse((side * 0.325, 0.02, 0.78), (0.016, 0.016), np.array([255.0, 255.0, 255.0]))
    brow = hair * 0.8 + skin * 0.1
    brush.ellipse((side * 0.36, 0.25, 0.75), (0.22, 0.045 * looks.brow), brow, tilt=side * 6)


# --------------------------------------------------------------------------------------------------- clothes


def paint_clothes(albedo: Array, surface: Surface, camera: Camera, skeleton: Skeleton, looks: Looks) -> None:
    """Paints pattern and neckline of the torso in place."""
    torso = surface.labels == Part.TORSO
    window = _window(torso)
    if window is None:
        return
    canvas = albedo[window].copy()
    corner = np.array([window[1].start, window[0].start])

    def pixel(x: float, y: float) -> tuple[int, int]:
        pixels, _ = camera.project(skeleton.sway + np.array([x, y, 0.7]))
        return _pixel(pixels[:2] - corner)

    accent, skin = _scalar(looks.accent), _scalar(looks.skin)
    _PATTERNS.get(looks.pattern, lambda *_: None)(canvas, pixel, accent)
    if looks.neckline == "vee":
        points = np.array([pixel(-0.52, 0.3), pixel(0.52, 0.3), pixel(0.0, -0.85)])
        cv2.fillConvexPoly(canvas, points, skin, cv2.LINE_AA, _SHIFT)
    elif looks.neckline == "round":
        radius = abs(pixel(0.62, 0.0)[0] - pixel(0.0, 0.0)[0])
        cv2.ellipse(canvas, pixel(0.0, 0.12), (radius, radius * 2 // 3), 0, 0, 360, skin, -1, cv2.LINE_AA, _SHIFT)
    inside = torso[window]
    albedo[window][inside] = canvas[inside]


Pixel = Callable[[float, float], tuple[int, int]]
Accent = tuple[float, ...]


def _stripes(canvas: Array, pixel: Pixel, accent: Accent) -> None:
    for top in np.arange(-1.2, -8.0, -0.9):
        corners = np.array([pixel(x, y) for x, y in ((-4, top), (4, top), (4, top - 0.38), (-4, top - 0.38))])
        cv2.fillConvexPoly(canvas, corners, accent, cv2.LINE_AA, _SHIFT)


def _jacket(canvas: Array, pixel: Pixel, accent: Accent) -> None:
    corners = np.array([pixel(x, y) for x, y in ((-0.55, 0.3), (0.55, 0.3), (0.75, -9.0), (-0.75, -9.0))])
    cv2.fillConvexPoly(canvas, corners, accent, cv2.LINE_AA, _SHIFT)


def _print(canvas: Array, pixel: Pixel, accent: Accent) -> None:
    corners = np.array([pixel(x, y) for x, y in ((-0.9, -1.9), (0.9, -1.9), (0.9, -3.1), (-0.9, -3.1))])
    cv2.fillConvexPoly(canvas, corners, accent, cv2.LINE_AA, _SHIFT)


_PATTERNS: dict[str, Callable[[Array, Pixel, Accent], None]] = {
    "stripes": _stripes,
    "jacket": _jacket,
    "print": _print,
}


# ----------------------------------------------------------------------------------------------------- hands


def paint_hand(albedo: Array, surface: Surface, camera: Camera, joints: Array, side: int) -> None:
    """Paints creases, knuckles and nails of one hand in place.

    Args:
        albedo: `[H, W, 3]` float32 RGB.
        surface: what is seen.
        camera: of the scene; below `HAND_DETAIL_SCALE` nothing is drawn.
        joints: `[21, 3]` of the hand, world frame.
        side: `anatomy.LEFT` or `RIGHT`.
    """
    hand = np.isin(surface.labels, [label + RIGHT_SIDE * (side == RIGHT) for label in HAND_PARTS])
    window = _window(hand)
    if camera.scale < HAND_DETAIL_SCALE or window is None:
        return
    pixels = camera.project(joints)[0] - [window[1].start, window[0].start, 0.0]
    # As a right hand in a frame with y up, so that one rule tells palm from back.
    upright = (joints @ camera.rotation.T) * (1.0 if side == RIGHT else MIRROR_X)
    palm_seen = np.cross(upright[5] - upright[17], upright[9] - upright[0])[2] > 0.0
    lines, nails = np.zeros(hand[window].shape, np.uint8), np.zeros(hand[window].shape, np.uint8)
    _draw_finger_creases(lines, pixels, camera.scale)
    if palm_seen:
        for near, far in ((0.16, 0.24), (0.36, 0.38)):
            start, end = pixels[5] * (1 - near) + pixels[0] * near, pixels[17] * (1 - far) + pixels[0] * far
            _line(lines, start, end, camera.scale)
    else:
        for knuckle in (5, 9, 13, 17):
            radius = int(0.05 * camera.scale * _FRACTION)
            cv2.circle(lines, _pixel(pixels[knuckle]), radius, (150.0,), -1, cv2.LINE_AA, _SHIFT)
    _draw_nails(nails, pixels, upright, camera.scale)
    inside = hand[window].astype(np.float32)
    darkening = (0.35 if palm_seen else 0.22) * _soften(lines, inside, camera.scale)
    shine = 0.55 * _soften(nails, inside, camera.scale)
    patch = albedo[window] * (1 - darkening)
    nail = np.minimum(patch * np.array([1.12, 1.16, 1.22], np.float32) + 14.0, 255.0)
    albedo[window] = patch * (1 - shine) + nail * shine


def _soften(mask: Array, inside: Array, scale: float) -> Array:
    return (cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.6, 0.015 * scale)) / 255.0 * inside)[..., None]


def _line(mask: Array, start: Array, end: Array, scale: float) -> None:
    width = max(1, round(0.022 * scale))
    cv2.line(mask, _pixel(start), _pixel(end), _FULL, width, cv2.LINE_AA, _SHIFT)


def _draw_finger_creases(lines: Array, pixels: Array, scale: float) -> None:
    for base in (5, 9, 13, 17):
        for joint in (base + 1, base + 2):
            along = (pixels[joint + 1] - pixels[joint - 1])[:2]
            aside = np.array([-along[1], along[0]]) / (np.hypot(*along) + 1e-6) * 0.075 * scale
            _line(lines, pixels[joint, :2] - aside, pixels[joint, :2] + aside, scale)


def _draw_nails(nails: Array, pixels: Array, upright: Array, scale: float) -> None:
    across = upright[5] - upright[17]
    for tip in (8, 12, 16, 20):
        back = np.cross(upright[tip] - upright[tip - 1], across)
        facing = back[2] / (np.linalg.norm(back) + 1e-9)
        if facing < 0.25:
            continue
        centre = pixels[tip] + (pixels[tip - 1] - pixels[tip]) * 0.12
        along = (pixels[tip] - pixels[tip - 1])[:2]
        axes = (
            max(_FRACTION // 2, int(np.hypot(*along) * 0.36 * _FRACTION)),
            max(_FRACTION // 2, int(0.062 * scale * facing * _FRACTION)),
        )
        angle = float(np.degrees(np.arctan2(along[1], along[0])))
        cv2.ellipse(nails, _pixel(centre), axes, angle, 0, 360, _FULL, -1, cv2.LINE_AA, _SHIFT)
