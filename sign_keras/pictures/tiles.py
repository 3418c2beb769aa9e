"""Frames as they are looked at in the page: with heat over them, side by side in one sheet."""

import base64
import io
import math
from dataclasses import dataclass

import matplotlib
import numpy as np
from PIL import Image

HEAT = "inferno"  # even steps of brightness, for all colour visions and in grey
OPACITY = 0.65  # where heat is largest
BRIGHTEST = 99.5  # percentile that counts as the largest heat: single peaks would darken all else
MOST_TILES = 96
FEWEST_TILES = 8
QUALITY = 72


@dataclass(frozen=True)
class Sheet:
    """Tiles in rows, as one image.

    Attributes:
        source: ``data:`` address of a WebP.
        columns, rows: of tiles.
        frames: frame of each tile, in order.
        width, height: of a tile, in pixels.
    """

    source: str
    columns: int
    rows: int
    frames: tuple[int, ...]
    width: int
    height: int


def shares(values: np.ndarray) -> np.ndarray:
    """Values of at least 0 over a clip to [0, 1]: 1 is ``BRIGHTEST`` of those above 0."""
    above = values[values > 0]
    top = float(np.percentile(above, BRIGHTEST)) if above.size else 0.0
    return np.clip(values / top, 0, 1) if top > 0 else np.zeros_like(values)


def with_heat(frames: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lays heat over frames.

    Args:
        frames: ``[n, H, W, 3]`` uint8.
        heat: ``[n, H, W]`` in [0, 1]; more is more opaque.
    """
    colours = matplotlib.colormaps[HEAT](heat)[..., :3] * 255
    opacity = OPACITY * heat[..., np.newaxis]
    return np.rint(frames * (1 - opacity) + colours * opacity).astype(np.uint8)


def make_sheet(tiles: np.ndarray, most_bytes: int) -> Sheet:
    """Puts tiles together; of many every second, third, ..., so that the image is no larger than it may be.

    Args:
        tiles: ``[n, H, W, 3]`` uint8, of at least one frame.
        most_bytes: that it may have, though ``FEWEST_TILES`` are always there.
    """
    step = max(1, math.ceil(len(tiles) / MOST_TILES))
    while True:
        frames = np.arange(0, len(tiles), step)
        chosen = tiles[frames]
        columns = math.ceil(math.sqrt(len(chosen)))
        rows = math.ceil(len(chosen) / columns)
        blank = np.zeros((columns * rows - len(chosen), *tiles.shape[1:]), np.uint8)
        grid = np.concatenate([chosen, blank]).reshape(rows, columns, *tiles.shape[1:])
        sheet = grid.swapaxes(1, 2).reshape(rows * tiles.shape[1], columns * tiles.shape[2], 3)
        encoded = io.BytesIO()
        Image.fromarray(sheet).save(encoded, "WEBP", quality=QUALITY, method=4)
        if len(encoded.getvalue()) <= most_bytes or len(frames) <= FEWEST_TILES:
            break
        step += 1
    source = "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
    return Sheet(source, columns, rows, tuple(frames.tolist()), tiles.shape[2], tiles.shape[1])
