"""Flesh and clothes around the skeleton: what the rasteriser draws.

Limbs, hands and head are *spheres* (ellipsoids, when flattened) strung along the bones; the torso is a
*loft*, a stack of horizontal rings. Every primitive carries a *label* that says which part it belongs to:
labels choose the colour and mark the edges between parts.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from tfrecords_tools.synthetic.anatomy import RIGHT, Array, Proportions, Skeleton
from tfrecords_tools.synthetic.signers import Looks

RIGHT_SIDE = 16
"""Added to the labels of the right arm and hand, so that crossing hands keep an edge between them."""


class Part(IntEnum):
    """Labels; those of arms and hands are for the left side, see `RIGHT_SIDE`."""

    BACKGROUND = 0
    PALM = 1
    THUMB = 2
    INDEX = 3
    MIDDLE = 4
    RING = 5
    PINKY = 6
    FOREARM = 7
    SLEEVE = 8
    TORSO = 9
    HEAD = 10
    HAIR = 11
    NECK = 12


NUM_LABELS = 32
HAND_PARTS = tuple(range(Part.PALM, Part.FOREARM))
CLOTH = (Part.SLEEVE, Part.TORSO, Part.SLEEVE + RIGHT_SIDE)
SKIN = tuple(label for label in range(1, NUM_LABELS) if label not in (*CLOTH, Part.HAIR))

# Radii in hand units at MCP, PIP, DIP and tip, tuned so that MediaPipe takes the result for a hand.
THUMB_RADII = np.array([0.204, 0.162, 0.138, 0.102])
FINGER_RADII = np.array([0.150, 0.130, 0.115, 0.090])
FINGER_THICKNESS = (1.0, 1.02, 0.97, 0.84)


@dataclass(frozen=True)
class Spheres:
    """Ellipsoids with axes along the world's.

    Attributes:
        centres: `[N, 3]` hand units, world frame.
        radii: `[N, 3]` hand units.
        labels: `[N]` uint8, `Part` (plus `RIGHT_SIDE`).
    """

    centres: Array
    radii: Array
    labels: Array


@dataclass(frozen=True)
class Loft:
    """A stack of horizontal elliptic rings.

    Attributes:
        centres: `[N, 3]` from top to bottom, hand units, world frame.
        radii: `[N, 2]` half width and half depth, hand units.
        label: a `Part`.
    """

    centres: Array
    radii: Array
    label: int


def join(parts: list[Spheres]) -> Spheres:
    """One set of spheres from several."""
    return Spheres(
        np.concatenate([p.centres for p in parts]),
        np.concatenate([p.radii for p in parts]),
        np.concatenate([p.labels for p in parts]),
    )


@dataclass(frozen=True)
class _Rig:
    """Spheres that follow joints: each centre is a fixed mixture of the joints.

    Attributes:
        weights: `[N, J]` mixture of joints for each sphere.
        radii: `[N]` hand units.
        labels: `[N]` uint8.
    """

    weights: Array
    radii: Array
    labels: Array


class _RigBuilder:
    """Collects chains of spheres between mixtures of joints."""

    def __init__(self, num_joints: int) -> None:
        self.joint = np.eye(num_joints)
        self._weights: list[Array] = []
        self._radii: list[Array] = []
        self._labels: list[Array] = []

    def chain(self, start: Array, end: Array, radii: tuple[float, float], count: int, label: int) -> None:
        """Adds `count` spheres from `start` to `end` (both `[J]` mixtures), their radius changing evenly."""
        share = np.linspace(0.0, 1.0, count)
        self._weights.append(np.outer(1.0 - share, start) + np.outer(share, end))
        self._radii.append(radii[0] * (1.0 - share) + radii[1] * share)
        self._labels.append(np.full(count, label, np.uint8))

    def build(self) -> _Rig:
        return _Rig(np.concatenate(self._weights), np.concatenate(self._radii), np.concatenate(self._labels))


@cache
def _hand_rig() -> _Rig:
    """A hand over its 21 joints: fingers, thumb, a fan of metacarpals, the ball of the thumb and its web."""
    rig = _RigBuilder(21)
    joint = rig.joint
    for finger in range(4):
        base, radii = 5 + 4 * finger, FINGER_RADII * FINGER_THICKNESS[finger]
        for bone in range(3):
            ends = (radii[bone], radii[bone + 1])
            rig.chain(joint[base + bone], joint[base + bone + 1], ends, 6, Part.INDEX + finger)
    rig.chain(joint[1], joint[2], (0.216, 0.168), 6, Part.THUMB)
    for bone in (1, 2):
        ends = (THUMB_RADII[bone], THUMB_RADII[bone + 1])
        rig.chain(joint[1 + bone], joint[2 + bone], ends, 6, Part.THUMB)
    along, across = joint[9] - joint[0], joint[5] - joint[17]
    heel = [
        joint[0] + a * across + b * along for a, b in ((0.16, 0.10), (0.04, 0.06), (-0.10, 0.06), (-0.24, 0.12))
    ]
    for position in np.linspace(0.0, 3.0, 7):
        finger = min(int(position), 2)
        share, base = position - finger, 5 + 4 * finger
        start = heel[finger] * (1 - share) + heel[finger + 1] * share
        end = joint[base] * (1 - share) + joint[base + 4] * share
        rig.chain(start, end, (0.20, 0.15), 8, Part.PALM)
    rig.chain(joint[0] * 0.6 + joint[1] * 0.4, joint[1], (0.23, 0.24), 4, Part.PALM)
    rig.chain(joint[1], joint[2], (0.245, 0.168), 6, Part.PALM)
    rig.chain(joint[2] * 0.9 + joint[1] * 0.1, joint[5] * 0.65 + joint[0] * 0.35, (0.12, 0.144), 6, Part.PALM)
    rig.chain(joint[1], joint[5] * 0.75 + joint[0] * 0.25, (0.228, 0.156), 6, Part.PALM)
    return rig.build()


def hand_spheres(joints: Array, side: int, size: float) -> Spheres:
    """A hand.

    Args:
        joints: `[21, 3]` world frame.
        side: `anatomy.LEFT` or `RIGHT`.
        size: of the hand, factor.
    """
    rig = _hand_rig()
    radii = np.repeat(rig.radii[:, None] * size, 3, axis=1)
    return Spheres(rig.weights @ joints, radii, rig.labels + np.uint8(RIGHT_SIDE * (side == RIGHT)))


_SHOULDER_CAP = 0.22  # share of the upper arm


@cache
def _arm_rig(sleeve: float) -> _Rig:
    """An arm over shoulder, elbow and wrist, bare from `sleeve` (1 the elbow, 2 the wrist) on."""
    rig = _RigBuilder(3)
    shoulder, elbow, wrist = rig.joint

    def point(position: float) -> Array:
        start, end = (shoulder, elbow) if position <= 1 else (elbow, wrist)
        share = position - (position > 1)
        return start * (1 - share) + end * share

    def radius(position: float) -> float:
        return float(np.interp(position, [0.0, 0.5, 1.0, 1.3, 2.0], [0.46, 0.41, 0.34, 0.345, 0.225]))

    def run(start: float, end: float, extra: float, label: int) -> None:
        if end > start:
            radii = (radius(start) + extra, radius(end) + extra)
            rig.chain(point(start), point(end), radii, 3 + round((end - start) * 15), label)

    # The shoulder's cap counts as torso: no edge is to be drawn where the sleeve is sewn on.
    run(0.0, _SHOULDER_CAP, 0.02, Part.TORSO)
    for start, end in ((_SHOULDER_CAP, 0.5), (0.5, 1.0), (1.0, 1.3), (1.3, 2.0)):
        run(start, min(end, sleeve), 0.05 - 0.03 * (start < 0.5), Part.SLEEVE)
        run(max(start, sleeve), end, 0.0, Part.FOREARM)
    return rig.build()


def arm_spheres(skeleton: Skeleton, side: int, looks: Looks) -> Spheres:
    """An arm with its sleeve, without the hand."""
    rig = _arm_rig(looks.sleeve)
    joints = np.stack([skeleton.shoulders[side], skeleton.elbows[side], skeleton.wrists[side]])
    # The cap starts a little inside and below the joint, or it would stand up like a puffed sleeve.
    joints[0] += (skeleton.sway - joints[0]) * [0.07, 0.0, 0.0] - [0.0, 0.08, 0.05]
    radii = np.repeat(rig.radii[:, None], 3, axis=1)
    labels = rig.labels + np.uint8(RIGHT_SIDE * (side == RIGHT)) * (rig.labels != Part.TORSO)
    return Spheres(rig.weights @ joints, radii, labels.astype(np.uint8))


Ellipsoid = tuple[tuple[float, float, float], tuple[float, float, float], int]  # centre, radii, label


def _mirrored_pair(
    centre: tuple[float, float, float], radii: tuple[float, float, float], label: int
) -> list[Ellipsoid]:
    return [((side * centre[0], *centre[1:]), radii, label) for side in (1.0, -1.0)]


def _strand(top: tuple[float, float, float], length: float, radius: float) -> list[Ellipsoid]:
    """Hair hanging down on both sides."""
    strand = []
    for share in np.linspace(0.0, 1.0, 7 + int(4 * length)):
        centre = (top[0] + 0.08 * share, top[1] - length * share, top[2] - 0.1 * share)
        strand += _mirrored_pair(centre, (radius, radius, radius), Part.HAIR)
    return strand


_CAP: list[Ellipsoid] = [((0.0, 0.50, -0.28), (0.93, 0.92, 0.95), Part.HAIR)]
_FRINGE: list[Ellipsoid] = [((0.0, 0.98, 0.12), (0.74, 0.38, 0.66), Part.HAIR)]
_CURLS: list[Ellipsoid] = [
    ((1.02 * np.cos(a), 0.62 + 0.86 * np.sin(a), -0.15), (0.36, 0.36, 0.40), Part.HAIR)
    for a in np.linspace(-0.25, np.pi + 0.25, 11)
]
HAIR: dict[str, list[Ellipsoid]] = {
    "cropped": [
        ((0.0, 0.48, -0.30), (0.88, 0.88, 0.92), Part.HAIR),
        ((0.0, 0.98, 0.05), (0.70, 0.28, 0.62), Part.HAIR),
    ],
    "short": [*_CAP, *_FRINGE, ((0.22, 1.15, 0.25), (0.58, 0.30, 0.48), Part.HAIR)],
    "bob": [*_CAP, *_FRINGE, *_strand((0.78, 0.35, -0.30), 1.15, 0.36)],
    "long": [*_CAP, *_FRINGE, *_strand((0.78, 0.30, -0.35), 2.35, 0.34)],
    "bun": [*_CAP, *_FRINGE, ((0.0, 1.68, -0.35), (0.42, 0.38, 0.42), Part.HAIR)],
    "curly": [*_CAP, *_CURLS, ((0.0, 1.05, 0.10), (0.80, 0.42, 0.66), Part.HAIR)],
    "receding": [((0.0, 0.32, -0.36), (0.90, 0.86, 0.90), Part.HAIR)],
}


@cache
def _head_parts(hair_style: str, jaw: float) -> tuple[Array, Array, Array]:
    """Centres, radii and labels of a head's ellipsoids in the head's frame."""
    parts: list[Ellipsoid] = [
        ((0.0, 0.30, -0.05), (0.80, 0.90, 0.92), Part.HEAD),  # skull
        ((0.0, -0.30, 0.08), (0.70 * jaw, 0.88, 0.80), Part.HEAD),  # cheeks and jaw
        ((0.0, -0.72, 0.22), (0.44 * jaw, 0.48, 0.58), Part.HEAD),  # chin
        *(((0.0, y, z), (r, r, r), Part.HEAD) for y, z, r in ((-0.02, 0.84, 0.09), (-0.15, 0.91, 0.11))),
        *(((0.0, y, z), (r, r, r), Part.HEAD) for y, z, r in ((-0.28, 0.97, 0.13), (-0.40, 1.02, 0.15))),
        *_mirrored_pair((0.12, -0.42, 0.86), (0.11, 0.09, 0.13), Part.HEAD),  # nostrils
        *_mirrored_pair((0.82, -0.08, -0.05), (0.12, 0.25, 0.16), Part.HEAD),  # ears
        *_mirrored_pair((0.40, -0.22, 0.58), (0.28, 0.24, 0.24), Part.HEAD),  # cheekbones
        *HAIR[hair_style],
    ]
    centres, radii, labels = zip(*parts, strict=True)
    return np.array(centres, float), np.array(radii, float), np.array(labels, np.uint8)


def head_spheres(skeleton: Skeleton, looks: Looks) -> Spheres:
    """Head, hair and neck."""
    centres, radii, labels = _head_parts(looks.hair_style, looks.jaw)
    head = Spheres(skeleton.on_head(centres), radii * skeleton.proportions.head, labels)
    share = np.linspace(0.0, 1.0, 6)[:, None]
    bottom = skeleton.sway + np.array([0.0, -0.2, -0.05])
    top = skeleton.head_centre + np.array([0.0, -0.75, -0.25])
    neck_radii = np.repeat(0.58 - 0.06 * share, 3, axis=1)
    neck = Spheres(bottom * (1 - share) + top * share, neck_radii, np.full(6, Part.NECK, np.uint8))
    return join([head, neck])


# Height, half width, half depth and depth of the torso's rings, hand units.
_TORSO_RINGS = np.array(
    [
        [0.22, 0.46, 0.42, -0.12],
        [0.05, 0.80, 0.52, -0.15],
        [-0.14, 1.32, 0.62, -0.15],
        [-0.40, 1.72, 0.72, -0.14],
        [-0.80, 1.84, 0.80, -0.12],
        [-1.50, 1.78, 0.88, -0.08],
        [-2.60, 1.66, 0.88, -0.06],
        [-3.80, 1.52, 0.84, -0.05],
        [-5.00, 1.56, 0.86, -0.05],
        [-6.50, 1.72, 0.92, -0.05],
        [-8.50, 1.80, 0.95, -0.05],
    ]
)


def torso_loft(skeleton: Skeleton, proportions: Proportions) -> Loft:
    """The clothed trunk, from the shoulders' slope down past the hips."""
    height, half_width, half_depth, depth = _TORSO_RINGS.T
    # The hips stay where they are while the shoulders sway.
    sway = np.interp(height, [-6.0, 0.0], [0.0, 1.0])[:, None] * skeleton.sway
    centres = np.stack([np.zeros_like(height), height, depth], axis=1) + sway
    return Loft(centres, np.stack([half_width * proportions.build, half_depth], axis=1), Part.TORSO)


def body_spheres(skeleton: Skeleton, looks: Looks) -> Spheres:
    """Everything but the torso."""
    size = skeleton.proportions.hand
    return join(
        [
            head_spheres(skeleton, looks),
            *(arm_spheres(skeleton, side, looks) for side in (0, 1)),
            *(hand_spheres(skeleton.hands[side], side, size) for side in (0, 1)),
        ]
    )
