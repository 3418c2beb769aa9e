"""Hand shapes as data, and how they blend.

A hand shape says how far each finger bends and where the thumb points; `HandShape.vector` turns it into the
numbers that `anatomy.hand_joints` poses. The names describe the hand. `LETTERS` gives some of them a letter
each, so that close-ups can be rendered as static fingerspelling; like the glosses, the letters are made up
for testing and follow no real manual alphabet exactly.
"""

from dataclasses import dataclass

import numpy as np

from tfrecords_tools.synthetic.anatomy import HAND_VECTOR_SIZE, Array

Bend = tuple[int, int, int]  # flexion in degrees at MCP, PIP, DIP
Thumb = tuple[tuple[float, float, float], ...]  # direction of each thumb bone in the local hand frame

STRAIGHT: Bend = (3, 5, 3)
RELAXED: Bend = (18, 24, 12)
CLOSED: Bend = (66, 95, 76)
ROUND: Bend = (40, 45, 30)
PINCHED: Bend = (55, 65, 35)
HOOKED: Bend = (15, 90, 55)
CLAWED: Bend = (25, 75, 50)
FLAT_BENT: Bend = (70, 8, 5)

THUMB_OUT: Thumb = ((0.75, 0.60, 0.15), (0.85, 0.50, 0.05), (0.85, 0.50, 0.0))
THUMB_SPREAD: Thumb = ((0.70, 0.62, 0.25), (0.70, 0.70, 0.10), (0.65, 0.75, 0.05))
THUMB_BESIDE: Thumb = ((0.45, 0.75, 0.35), (0.20, 0.95, 0.20), (0.05, 1.0, 0.10))
THUMB_ACROSS_FIST: Thumb = ((0.30, 0.60, 0.75), (-0.55, 0.55, 0.60), (-0.90, 0.25, 0.15))
THUMB_ACROSS_PALM: Thumb = ((0.25, 0.65, 0.60), (-0.55, 0.75, 0.25), (-0.80, 0.55, 0.05))
THUMB_TOUCHING: Thumb = ((0.35, 0.65, 0.65), (0.12, 0.80, 0.55), (0.0, 0.85, 0.45))
THUMB_CURVED: Thumb = ((0.50, 0.50, 0.75), (0.25, 0.75, 0.55), (0.10, 0.90, 0.30))


@dataclass(frozen=True)
class HandShape:
    """One hand shape.

    Attributes:
        thumb: direction of the three thumb bones, local hand frame (any length).
        fingers: flexion in degrees at MCP, PIP and DIP of index, middle, ring and pinky.
        spread: how far the fingers fan out; 1 is relaxed, 0 side by side.
    """

    thumb: Thumb
    fingers: tuple[Bend, Bend, Bend, Bend]
    spread: float

    @property
    def vector(self) -> Array:
        """`[22]` hand vector (see `anatomy`)."""
        return np.concatenate([np.ravel(self.thumb), np.ravel(self.fingers), [self.spread]]).astype(np.float64)


HAND_SHAPES: dict[str, HandShape] = {
    "fist": HandShape(THUMB_ACROSS_FIST, (CLOSED, CLOSED, CLOSED, CLOSED), 0.3),
    "five": HandShape(THUMB_SPREAD, (STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT), 2.2),
    "flat": HandShape(THUMB_ACROSS_PALM, (STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT), 0.2),
    "point": HandShape(THUMB_ACROSS_FIST, (STRAIGHT, CLOSED, CLOSED, CLOSED), 0.6),
    "shaka": HandShape(THUMB_OUT, (CLOSED, CLOSED, CLOSED, STRAIGHT), 2.2),
    "angle": HandShape(THUMB_OUT, (STRAIGHT, CLOSED, CLOSED, CLOSED), 1.0),
    "vee": HandShape(THUMB_ACROSS_FIST, (STRAIGHT, STRAIGHT, CLOSED, CLOSED), 2.2),
    "pair": HandShape(THUMB_ACROSS_FIST, (STRAIGHT, STRAIGHT, CLOSED, CLOSED), 0.2),
    "three": HandShape(THUMB_ACROSS_FIST, (STRAIGHT, STRAIGHT, STRAIGHT, CLOSED), 2.2),
    "thumb_beside": HandShape(THUMB_BESIDE, (CLOSED, CLOSED, CLOSED, CLOSED), 0.3),
    "thumb_out": HandShape(THUMB_OUT, (CLOSED, CLOSED, CLOSED, CLOSED), 0.3),
    "little": HandShape(THUMB_ACROSS_FIST, (CLOSED, CLOSED, CLOSED, STRAIGHT), 1.0),
    "cup": HandShape(THUMB_CURVED, (ROUND, ROUND, ROUND, ROUND), 0.3),
    "ring": HandShape(THUMB_TOUCHING, (PINCHED, PINCHED, PINCHED, PINCHED), 0.3),
    "pinch": HandShape(THUMB_TOUCHING, ((55, 70, 30), STRAIGHT, STRAIGHT, STRAIGHT), 1.6),
    "baton": HandShape(THUMB_TOUCHING, (STRAIGHT, (60, 75, 40), (65, 80, 45), (68, 82, 45)), 0.5),
    "hook": HandShape(THUMB_ACROSS_FIST, (HOOKED, CLOSED, CLOSED, CLOSED), 0.5),
    "claw": HandShape(THUMB_SPREAD, (CLAWED, CLAWED, CLAWED, CLAWED), 1.8),
    "bent": HandShape(THUMB_BESIDE, (FLAT_BENT, FLAT_BENT, FLAT_BENT, FLAT_BENT), 0.2),
    "trident": HandShape(THUMB_SPREAD, (STRAIGHT, STRAIGHT, CLOSED, CLOSED), 2.2),
    "relaxed": HandShape(THUMB_BESIDE, (RELAXED, RELAXED, (24, 28, 14), (28, 30, 16)), 0.6),
}

LETTERS: dict[str, str] = {
    "a": "thumb_beside",
    "b": "flat",
    "c": "cup",
    "d": "baton",
    "e": "claw",
    "f": "pinch",
    "i": "little",
    "l": "angle",
    "o": "ring",
    "s": "fist",
    "u": "pair",
    "v": "vee",
    "w": "three",
    "x": "hook",
    "y": "shaka",
    "z": "point",
}
"""Letter -> hand shape, for close-ups."""


def shape_vector(name: str) -> Array:
    """`[22]` hand vector of a named shape.

    Raises:
        KeyError: no shape has that name.
    """
    if name not in HAND_SHAPES:
        raise KeyError(f"no hand shape {name!r}; there are {', '.join(HAND_SHAPES)}")
    return HAND_SHAPES[name].vector


def blend(first: Array, second: Array, share: float) -> Array:
    """`[22]` hand vector between two others: `first` at `share` 0, `second` at 1."""
    return (1.0 - share) * first + share * second


def imprecise(hand: Array, rng: np.random.Generator, degrees: float) -> Array:
    """A person's way of making a hand shape: every joint off by a normal error of `degrees`.

    Args:
        hand: `[22]` hand vector.
        rng: source of the errors.
        degrees: standard deviation at each finger joint; thumb directions and spread vary in proportion.
    """
    scale = np.full(HAND_VECTOR_SIZE, degrees)
    scale[:9] = degrees * 0.012
    scale[21] = degrees * 0.03
    return hand + rng.normal(0.0, 1.0, HAND_VECTOR_SIZE) * scale
