"""Keypoints as stick figures, each point as large as it matters."""

import cv2
import numpy as np

from tfrecords_tools.keypoint_layout import ARM_BONES, HAND_BONES, KeypointLayout

SIDE = 208  # of a picture, in pixels
MARGIN = 0.08  # of it, around all points of a clip
SUPERSAMPLING = 3  # drawn so much larger, then shrunk: smooth edges
GROUND, BONE, DOT = (255, 255, 255), (178, 178, 184), (120, 120, 128)
SALIENT = (213, 94, 0)  # vermilion, of the palette for all colour visions
MOST_NAMED = 12  # of so few points, names are written beside them
SMALLEST, LARGEST = 0.006, 0.035  # radius, as a share of the side
HIDDEN = ("hip", "knee", "ankle", "heel", "foot")  # below the picture of most recordings, and guessed


def bones(layout: KeypointLayout) -> list[tuple[int, int]]:
    """Rows of the points that a line joins: arms, fingers, knuckles, as far as the layout has them."""
    found = []
    for group, points in layout.groups:
        found += [
            (layout.row(f"{group}/{a}"), layout.row(f"{group}/{b}"))
            for a, b in (*ARM_BONES, *HAND_BONES)
            if a in points and b in points
        ]
    return found


def shown_rows(layout: KeypointLayout) -> np.ndarray:
    """Rows of the points that are drawn: all but those below the waist."""
    names = enumerate(layout.names)
    return np.array([row for row, name in names if not any(part in name for part in HIDDEN)], np.int64)


def draw_skeletons(
    keypoints: np.ndarray, saliency: np.ndarray, layout: KeypointLayout, aspect: float
) -> np.ndarray:
    """One picture for each frame, all at the scale of the whole clip.

    Args:
        keypoints: ``[n, K, 2 or more]``, x and y in frame widths and heights; NaN where not found.
        saliency: ``[n, K]`` in [0, 1]: how much each point matters.
        layout: of the K points.
        aspect: width / height of the picture that x and y refer to.

    Returns:
        ``[n, H, W, 3]`` uint8 RGB, the longer side of ``SIDE`` pixels.
    """
    rows, places = shown_rows(layout), keypoints[..., :2].astype(np.float64) * (aspect, 1.0)
    seen = places[:, rows].reshape(-1, 2)
    seen = seen[np.isfinite(seen).all(axis=1)]
    low, high = (seen.min(axis=0), seen.max(axis=0)) if len(seen) else (np.zeros(2), np.ones(2))
    size = np.maximum(high - low, 1e-6)
    size = np.maximum(size, size.max() / 2)  # no picture is more than twice as long as wide
    low = (low + high - size) / 2
    pixels = SIDE * SUPERSAMPLING
    scale = pixels * (1 - 2 * MARGIN) / size.max()
    width, height = (round(side * scale + 2 * MARGIN * pixels) for side in size)
    points = (places - low) * scale + MARGIN * pixels
    lines = bones(layout)
    names = {int(row): layout.names[row] for row in rows} if len(rows) <= MOST_NAMED else {}
    return np.stack(
        [
            _draw(frame, weights, rows, lines, (height, width), names)
            for frame, weights in zip(points, saliency, strict=True)
        ]
    )


def _draw(
    points: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    lines: list[tuple[int, int]],
    size: tuple[int, int],
    names: dict[int, str],
) -> np.ndarray:
    picture = np.full((*size, 3), GROUND, np.uint8)
    found = {
        int(row): tuple(np.rint(points[row]).astype(int).tolist()) for row in rows if np.isfinite(points[row]).all()
    }
    for start, end in lines:
        if start in found and end in found:
            cv2.line(picture, found[start], found[end], BONE, SUPERSAMPLING + 1, cv2.LINE_AA)
    unit = SIDE * SUPERSAMPLING
    for row in sorted(found, key=lambda row: weights[row]):  # what matters most is on top
        share = float(weights[row])
        colour = tuple(round(a + share**0.5 * (b - a)) for a, b in zip(DOT, SALIENT, strict=True))
        radius = round(unit * (SMALLEST + share * (LARGEST - SMALLEST)))
        cv2.circle(picture, found[row], max(radius, 1), colour, cv2.FILLED, cv2.LINE_AA)
        if row in names:
            _write(picture, found[row], names[row])
    return cv2.resize(picture, (size[1] // SUPERSAMPLING, size[0] // SUPERSAMPLING), interpolation=cv2.INTER_AREA)


def _write(picture: np.ndarray, place: tuple[int, int], name: str) -> None:
    """A point's name above it, moved into the picture."""
    font, size, thickness = cv2.FONT_HERSHEY_SIMPLEX, 0.33 * SUPERSAMPLING, SUPERSAMPLING
    (width, height), _ = cv2.getTextSize(name, font, size, thickness)
    left = int(np.clip(place[0] - width / 2, 0, max(picture.shape[1] - width, 0)))
    bottom = max(place[1] - round(1.4 * LARGEST * SIDE * SUPERSAMPLING), height)
    cv2.putText(picture, name, (left, bottom), font, size, DOT, thickness, cv2.LINE_AA)
