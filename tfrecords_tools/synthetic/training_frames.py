"""Labelled still frames for pre-training a small backbone on hands.

Signs for these frames are put together at random from all hand shapes, places, orientations and movements;
they carry no gloss. The people are drawn from an index range that no data set uses, so a backbone pre-trained
here has seen none of the signers that it is later tested on.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tfrecords_tools.synthetic.anatomy import LEFT, RIGHT, Array, BodyPose, pose_skeleton
from tfrecords_tools.synthetic.hand_shapes import HAND_SHAPES
from tfrecords_tools.synthetic.performance import SignTake, between, ease, rest_arms
from tfrecords_tools.synthetic.scene import draw_scene, draw_signer, finish, hands_in_view
from tfrecords_tools.synthetic.signers import Signer, make_signer
from tfrecords_tools.synthetic.signs import HANDS, MOVEMENTS, ORIENTATIONS, PLACES, Sign

FIRST_PRETRAINING_SIGNER = 1_000_000
"""Signers from this index on appear in training frames only."""
NUM_PRETRAINING_SIGNERS = 1_000_000
SHAPE_NAMES: tuple[str, ...] = tuple(HAND_SHAPES)
"""Hand shapes by label index; one of them is "relaxed", a hand that is not signing."""
PLACE_NAMES: tuple[str, ...] = tuple(PLACES)
_SUPERSAMPLING = 2  # rendered larger and averaged down, as frames of a film are before a model sees them
_TRANSITION_SHARE = 0.15
_MARGINS = (0.5, 2.2)  # lowest and highest drawn around the hands in the view "hands", hand units


@dataclass(frozen=True)
class FrameLabels:
    """What a training frame shows. Arrays with a side axis hold anatomical left, then right.

    Attributes:
        active_shape: index into `SHAPE_NAMES`, of the dominant hand.
        passive_shape: of the other hand; the index of "relaxed" when one hand signs.
        shapes: `[2]` int64, the same by side.
        dominant: side of the dominant hand, `anatomy.LEFT` or `RIGHT`.
        place: index into `PLACE_NAMES`, of the dominant hand at the centre of its movement.
        two_handed: whether both hands sign.
        wrists: `[2, 2]` float32, frame widths and heights (outside 0..1 when out of view).
        hands: `[2, 21, 2]` float32 joints, likewise, in MediaPipe's order.
        hand_in_view: `[2]` bool, all 21 joints inside the frame.
        palm_normals: `[2, 3]` float32 unit vectors out of the palms; x right, y up, z to the viewer.
        finger_directions: `[2, 3]` float32 unit vectors along the straight fingers, likewise.
        face: `[2]` float32, the nose, frame widths and heights.
    """

    active_shape: int
    passive_shape: int
    shapes: Array
    dominant: int
    place: int
    two_handed: bool
    wrists: Array
    hands: Array
    hand_in_view: Array
    palm_normals: Array
    finger_directions: Array
    face: Array


def draw_pretraining_signer(rng: np.random.Generator) -> Signer:
    """A person whom no data set has."""
    return make_signer(0, FIRST_PRETRAINING_SIGNER + int(rng.integers(NUM_PRETRAINING_SIGNERS)))


def _random_sign(rng: np.random.Generator) -> Sign:
    def one_of(names: tuple[str, ...]) -> str:
        return names[int(rng.integers(len(names)))]

    signing_shapes = tuple(name for name in SHAPE_NAMES if name != "relaxed")
    return Sign(
        shape=one_of(signing_shapes),
        place=one_of(PLACE_NAMES),
        orientation=one_of(tuple(ORIENTATIONS)),
        movement=one_of(tuple(MOVEMENTS)),
        hands=one_of(HANDS),
    )


def training_frame(rng: np.random.Generator, size: int = 96, view: str = "body") -> tuple[Array, FrameLabels]:
    """Renders one random frame of a random signer making a random sign.

    Args:
        rng: source of everything; the same state gives the same frame.
        size: frame height and width, pixels.
        view: "body" as a clip's frame shows it, or "hands", a square around the hands in view.

    Returns:
        `[size, size, 3]` uint8 RGB and its labels.

    Raises:
        ValueError: an unknown view.
    """
    if view not in ("body", "hands"):
        raise ValueError(f"view is {view!r}, must be 'body' or 'hands'")
    signer = draw_pretraining_signer(rng)
    sign = _random_sign(rng)
    rest = rest_arms(signer, rng)
    take = SignTake(sign, signer, rest, rng)
    arms = take.at(rng.uniform(0.0, take.duration))
    dominant_arm = arms.dominant
    if rng.uniform() < _TRANSITION_SHARE:
        dominant_arm = between(dominant_arm, rest.dominant, ease(rng.uniform(0.0, 0.4)))
    head_angles = rng.normal(0.0, (0.08, 0.06, 0.04))
    pose = BodyPose(arms.passive, dominant_arm, head_angles, rng.normal(0.0, (0.06, 0.01, 0.02)))
    pose = pose.mirrored() if signer.left_handed else pose
    skeleton = pose_skeleton(pose, signer.proportions)
    scene = draw_scene(signer, rng, size * _SUPERSAMPLING, aspect=1.0)
    picture = finish(draw_signer(skeleton, signer, scene, scene.camera), scene, rng)
    joints = scene.camera.normalised(skeleton.joints())
    if view == "hands":
        picture, joints = _around_hands(picture, joints, signer.framing.scale * rng.uniform(*_MARGINS))
    picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return picture, _labels(joints.astype(np.float32), pose, sign, signer.left_handed)


def _around_hands(picture: Array, joints: Array, margin: float) -> tuple[Array, Array]:
    """Cuts out a square around the hands in view, `margin` wider; joints become relative to it."""
    in_view = hands_in_view(joints)
    hands = joints[-42:].reshape(2, 21, 2)
    points = hands[in_view].reshape(-1, 2) if in_view.any() else hands.reshape(-1, 2).clip(0.0, 1.0)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    side = min(float((high - low).max()), 1.0)
    corner = np.clip((low + high - side) / 2, 0.0, 1.0 - side)
    pixels = picture.shape[0]
    left, top = np.round(corner * pixels).astype(int)
    edge = max(round(side * pixels), 8)
    window = picture[top : top + edge, left : left + edge]
    return window, (joints * pixels - [left, top]) / [window.shape[1], window.shape[0]]


def _labels(joints: Array, pose: BodyPose, sign: Sign, left_handed: bool) -> FrameLabels:
    dominant = LEFT if left_handed else RIGHT
    active = SHAPE_NAMES.index(sign.shape)
    passive = SHAPE_NAMES.index("relaxed") if sign.hands == "one" else active
    shapes = np.array([active if side == dominant else passive for side in (LEFT, RIGHT)])
    hands = joints[-42:].reshape(2, 21, 2)
    rotations = np.stack([pose.left.rotation, pose.right.rotation]).astype(np.float32)
    return FrameLabels(
        active_shape=active,
        passive_shape=passive,
        shapes=shapes,
        dominant=dominant,
        place=PLACE_NAMES.index(sign.place),
        two_handed=sign.hands != "one",
        wrists=hands[:, 0],
        hands=hands,
        hand_in_view=hands_in_view(joints),
        palm_normals=rotations[:, :, 2],
        finger_directions=rotations[:, :, 1],
        face=joints[0],
    )
