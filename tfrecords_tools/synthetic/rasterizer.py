"""From primitives to pixels: a depth map of splatted spheres, and its shading.

The rasteriser knows nothing of people. It *splats* ellipsoids and a loft into a depth map (how far each
pixel's surface is towards the viewer) and a label map (which part it shows), and shades a picture of base
colours (*albedo*) from the depth map alone: light and shade from its slope, ambient occlusion from its
blur, dark creases where one part passes in front of another.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tfrecords_tools.synthetic.anatomy import Array
from tfrecords_tools.synthetic.surface import (
    CLOTH,
    HAND_PARTS,
    NUM_LABELS,
    RIGHT_SIDE,
    SKIN,
    Loft,
    Part,
    Spheres,
)

# Depth and label share one int32 (depth in the high bits), so that "nearest surface wins" is a single
# maximum.
_LABEL_BITS = 8
_DEPTH_STEPS = 1024.0  # per pixel
_DEPTH_OFFSET = 2000.0  # pixels; keeps every depth positive
_STAMP_SIZES = (3, 5, 7, 10, 14, 20, 28, 40, 60, 90, 140, 220)  # half widths of splats, pixels


@dataclass(frozen=True)
class Camera:
    """A pinhole camera before the signer.

    Attributes:
        width: of the frame, pixels.
        height: of the frame, pixels.
        scale: pixels per hand unit at depth 0.
        centre: `[2]` pixel (x, y) of the world's origin.
        rotation: `[3, 3]` turns the world before the camera.
        distance: of the camera from the origin, hand units.
    """

    width: int
    height: int
    scale: float
    centre: Array
    rotation: Array
    distance: float = 24.0

    def project(self, points: Array) -> tuple[Array, Array]:
        """Projects points.

        Args:
            points: `[..., 3]` world frame, hand units.

        Returns:
            `[..., 3]` pixel x, pixel y (down), and depth in pixels towards the viewer; and `[...]` the
            pixels per hand unit there.
        """
        turned = points @ self.rotation.T
        scale = self.scale * self.distance / (self.distance - turned[..., 2])
        x = self.centre[0] + turned[..., 0] * scale
        y = self.centre[1] - turned[..., 1] * scale
        return np.stack([x, y, turned[..., 2] * self.scale], axis=-1), scale

    def normalised(self, points: Array) -> Array:
        """`[..., 2]` projected points in frame widths and heights."""
        pixels, _ = self.project(points)
        return pixels[..., :2] / [self.width, self.height]


@dataclass
class Surface:
    """What the camera sees of the primitives.

    Attributes:
        depth: `[H, W]` float32, pixels towards the viewer; undefined where nothing is.
        labels: `[H, W]` uint8, `Part` (plus `RIGHT_SIDE`); 0 where nothing is.
    """

    depth: Array
    labels: Array


def rasterize(camera: Camera, spheres: Spheres, loft: Loft | None = None) -> Surface:
    """Depth and label of the nearest surface at every pixel."""
    keys = np.zeros(camera.height * camera.width, np.int32)
    if loft is not None:
        _draw_loft(keys.reshape(camera.height, camera.width), camera, loft)
    centres, scale = camera.project(spheres.centres)
    _splat(
        keys,
        camera,
        centres.astype(np.float32),
        (spheres.radii * scale[:, None]).astype(np.float32),
        spheres.labels,
    )
    keys = keys.reshape(camera.height, camera.width)
    depth = (keys >> _LABEL_BITS).astype(np.float32) / np.float32(_DEPTH_STEPS) - np.float32(_DEPTH_OFFSET)
    return Surface(depth, (keys & (2**_LABEL_BITS - 1)).astype(np.uint8))


def _key(depth: Array, label: Array | int) -> Array:
    steps = ((depth + np.float32(_DEPTH_OFFSET)) * np.float32(_DEPTH_STEPS)).astype(np.int32)
    return (np.clip(steps, 0, 2**22 - 1) << _LABEL_BITS) | label


def _splat(keys: Array, camera: Camera, centres: Array, radii: Array, labels: Array) -> None:
    """Draws ellipsoids into `keys` (`[H * W]`), all those of about the same size at once."""
    reach = radii[:, :2].max(axis=1)
    lower = 0.0
    for half in _STAMP_SIZES:
        chosen = (reach > lower) & (reach <= half) & _touches(camera, centres, reach)
        lower = half
        if not chosen.any():
            continue
        (x, y, z), (rx, ry, rz) = centres[chosen].T, radii[chosen].T
        offsets = np.arange(-half, half + 1)
        columns = np.floor(x).astype(np.int32)[:, None] + offsets  # [sphere, stamp column]
        rows = np.floor(y).astype(np.int32)[:, None] + offsets
        across = ((columns - x[:, None]) / rx[:, None]) ** 2
        down = ((rows - y[:, None]) / ry[:, None]) ** 2
        across[(columns < 0) | (columns >= camera.width)] = 2.0  # never inside
        down[(rows < 0) | (rows >= camera.height)] = 2.0
        inside = 1.0 - (across[:, None, :] + down[:, :, None])
        sphere, row, column = np.nonzero(inside > 0.0)
        height = np.sqrt(inside[sphere, row, column]) * rz[sphere] + z[sphere]
        pixel = rows[sphere, row] * camera.width + columns[sphere, column]
        np.maximum.at(keys, pixel, _key(height, labels[chosen][sphere].astype(np.int32)))


def _touches(camera: Camera, centres: Array, reach: Array) -> Array:
    """`[N]` bool, which splats touch the frame."""
    x, y = centres[:, 0], centres[:, 1]
    return (x + reach > 0) & (x - reach < camera.width) & (y + reach > 0) & (y - reach < camera.height)


def _draw_loft(keys: Array, camera: Camera, loft: Loft) -> None:
    """Draws a stack of rings into `keys` (`[H, W]`): each pixel row is a slice of an elliptic cylinder."""
    centres, scale = camera.project(loft.centres)
    y = centres[:, 1]
    top, bottom = max(int(np.ceil(y[0])), 0), min(int(y[-1]) + 1, camera.height)
    if top >= bottom:
        return
    rows = np.arange(top, bottom)

    def along(values: Array) -> Array:
        return np.interp(rows, y, values).astype(np.float32)[:, None]

    half_width, half_depth = along(loft.radii[:, 0] * scale), along(loft.radii[:, 1] * scale)
    columns = np.arange(camera.width, dtype=np.float32)
    inside = 1.0 - np.abs((columns - along(centres[:, 0])) / half_width) ** np.float32(2.5)
    height = np.sqrt(np.maximum(inside, 0.0)) * half_depth + along(centres[:, 2])
    keys[top:bottom] = np.where(inside > 0.0, _key(height, loft.label), keys[top:bottom])


# --------------------------------------------------------------------------------------------------- shading


@dataclass(frozen=True)
class Light:
    """One lamp and the light of the room.

    Attributes:
        direction: `[3]` towards the lamp; x to the right, y *down* (pixel frame), z towards the viewer.
        ambient: share of light that comes from everywhere, 0 to 1.
        tint: `[3]` RGB factors.
    """

    direction: Array
    ambient: float
    tint: Array


_IS_SKIN = np.isin(np.arange(NUM_LABELS), SKIN)
_IS_CLOTH = np.isin(np.arange(NUM_LABELS), CLOTH)
_IS_FINE = np.isin(np.arange(NUM_LABELS), [label + side for label in HAND_PARTS[1:] for side in (0, RIGHT_SIDE)])
_KERNEL = np.ones((3, 3), np.uint8)


def shade(surface: Surface, albedo: Array, light: Light, scale: float) -> Array:
    """Lights a picture of base colours.

    Args:
        surface: what is seen.
        albedo: `[H, W, 3]` float32 RGB, 0..255.
        light: of the scene.
        scale: pixels per hand unit.

    Returns:
        `[H, W, 3]` float32 RGB, not clipped; meaningless where nothing is.
    """
    labels = surface.labels
    empty = labels == Part.BACKGROUND
    depth = np.where(empty, surface.depth[~empty].min() if not empty.all() else 0.0, surface.depth)
    depth = depth.astype(np.float32)
    soft = _blur(depth, 0.05 * scale)
    smooth = np.where(_IS_FINE[labels], _blur(depth, 0.022 * scale), soft)
    smooth = np.where(_IS_CLOTH[labels], _blur(depth, 0.12 * scale), smooth)
    brightness = _lambert(smooth, light)
    # Ambient occlusion on two scales: a surface deeper than its surroundings gets less light.
    brightness *= 1.0 - 0.20 * np.clip((soft - depth) * (1.0 / (0.05 * scale)), 0.0, 1.0)
    brightness *= 1.0 - 0.10 * np.clip((_blur(depth, 0.17 * scale) - depth) * (1.0 / (0.17 * scale)), 0.0, 1.0)
    brightness *= 1.12 - 0.50 * _contours(labels, depth, empty, scale)
    np.maximum(brightness, 0.02, out=brightness)
    # Shadows in skin keep their red, as light that enters skin comes out red. MediaPipe's palm detector
    # needs it.
    root = np.sqrt(brightness)
    skin = _IS_SKIN[labels]
    red = np.where(skin, root, brightness)
    blue = np.where(skin, brightness * np.sqrt(root), brightness)
    lit: Array = cv2.merge([red, brightness, blue])
    return lit * (albedo * light.tint.astype(np.float32))


def _blur(image: Array, sigma: float) -> Array:
    return cv2.GaussianBlur(image, (0, 0), max(0.6, sigma))


def _lambert(depth: Array, light: Light) -> Array:
    """`[H, W]` brightness from the slope of a depth map."""
    slope_x, slope_y = (
        cv2.Sobel(depth, cv2.CV_32F, 1, 0, scale=0.125),
        cv2.Sobel(depth, cv2.CV_32F, 0, 1, scale=0.125),
    )
    facing = 1.0 / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    x, y, z = (light.direction / np.linalg.norm(light.direction)).astype(np.float32)
    lamp = np.maximum((z - slope_x * x - slope_y * y) * facing, 0.0)
    return (light.ambient + (1.0 - light.ambient) * lamp) * (0.72 + 0.28 * facing)


def _contours(labels: Array, depth: Array, empty: Array, scale: float) -> Array:
    """`[H, W]` 0..1, soft dark lines on the farther side of edges between parts."""
    edge = cv2.dilate(labels, _KERNEL) != cv2.erode(labels, _KERNEL)
    edge &= ~empty
    # Cloth is sewn to cloth without a step: only where a sleeve passes well in front of the trunk is it an
    # edge.
    step = np.where(_IS_CLOTH[labels], np.float32(0.08 * scale), np.float32(0.03 * scale))
    edge &= cv2.dilate(depth, _KERNEL) - depth > step
    return np.minimum(_blur(edge.astype(np.float32), 0.018 * scale) * 1.6, 1.0)


def composite(background: Array, lit: Array, surface: Surface) -> Array:
    """`[H, W, 3]` uint8: the lit surface over a uint8 background, with softened outlines."""
    cover = cv2.GaussianBlur((surface.labels > 0).astype(np.float32), (0, 0), 0.6)
    # Outlines are softened inwards alone: outside there is no colour to mix with.
    cover = np.maximum(2.0 * cover - 1.0, 0.0)[..., None]
    return np.clip(background * (1.0 - cover) + lit * cover, 0.0, 255.0).astype(np.uint8)
