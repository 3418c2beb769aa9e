"""The signer's skeleton: the hand, the upper body, and the arithmetic that puts a pose into space.

Conventions, used by every file of this package:

- **World frame**: x to the *viewer's* right, y up, z towards the viewer; the origin is the pit of the neck.
  The signer faces the viewer, so the signer's right hand is at negative x.
- **Unit**: one *hand unit*, the distance from the wrist to the middle finger's MCP joint (about 9.5 cm).
- **Sides**: arrays with a side axis hold the signer's anatomical left at ``LEFT`` and right at ``RIGHT``.
- **Local hand frame** of a right hand: wrist at the origin, fingers along +y, palm facing +z, thumb at +x.
  A left hand uses the mirror image (thumb at -x).
- **Hand vector**: ``[22]`` float, the joint angles of one hand: three thumb bone directions (9 numbers), the
  flexion of index, middle, ring and pinky at MCP, PIP and DIP in degrees (12), and the spread factor (1).
  Vectors may be blended linearly.
"""

from dataclasses import dataclass

import numpy as np

from tfrecords_tools.keypoint_layout import HAND_POINTS

Array = np.ndarray

LEFT, RIGHT = 0, 1
HAND_VECTOR_SIZE = 22
MIRROR_X = np.array([-1.0, 1.0, 1.0])

# Bone geometry in hand units, tuned until MediaPipe's hand model agrees with these joints on rendered hands.
FINGER_MCP = np.array([[0.27, 0.93, 0.0], [0.03, 0.98, -0.02], [-0.19, 0.92, -0.02], [-0.39, 0.80, 0.0]])
FINGER_BONES = np.array([[0.47, 0.29, 0.23], [0.52, 0.33, 0.24], [0.48, 0.31, 0.24], [0.37, 0.23, 0.21]])
FINGER_SPREAD = np.deg2rad([-6.0, -1.0, 5.0, 11.0])  # about the palm's normal; positive towards the pinky
THUMB_CMC = np.array([0.24, 0.22, 0.08])
THUMB_BONES = np.array([0.42, 0.36, 0.30])

NOSE = (0.0, -0.42, 1.10)  # points of the head in its own frame; x is mirrored for the other side
EYE_INNER, EYE, EYE_OUTER = (0.20, 0.0, 0.78), (0.34, 0.0, 0.75), (0.48, 0.0, 0.68)
EAR = (0.82, -0.05, 0.0)
MOUTH_CORNER = (0.22, -0.78, 0.80)
HEAD_CENTRE = np.array([0.0, 1.95, 0.25])
SHOULDER_HEIGHT, SHOULDER_DEPTH = -0.42, -0.15
HIP = np.array([0.85, -5.7, -0.1])


def rotation_x(angle: float) -> Array:
    """`[3, 3]` rotation about x by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def rotation_y(angle: float) -> Array:
    """`[3, 3]` rotation about y by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rotation_z(angle: float) -> Array:
    """`[3, 3]` rotation about z by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def mirror_rotation(rotation: Array) -> Array:
    """The rotation that the other hand makes when a pose is mirrored left to right."""
    return rotation * np.outer(MIRROR_X, MIRROR_X)


@dataclass(frozen=True)
class Proportions:
    """Lengths of one signer's body, as factors of the average body or in hand units.

    Attributes:
        build: width of shoulders and torso, factor.
        head: size of the head, factor.
        hand: size of the hands, factor.
        upper_arm: shoulder to elbow, hand units.
        forearm: elbow to wrist, hand units.
    """

    build: float = 1.0
    head: float = 1.0
    hand: float = 1.0
    upper_arm: float = 3.0
    forearm: float = 2.65

    @property
    def shoulder(self) -> Array:
        """`[3]` the left shoulder (positive x)."""
        return np.array([1.72 * self.build, SHOULDER_HEIGHT, SHOULDER_DEPTH])


@dataclass(frozen=True)
class ArmPose:
    """Where one hand is and what it does.

    Attributes:
        wrist: `[3]` target of the wrist, world frame (the arm may be too short to reach it).
        rotation: `[3, 3]` from the local hand frame to the world frame.
        hand: `[22]` hand vector.
    """

    wrist: Array
    rotation: Array
    hand: Array


@dataclass(frozen=True)
class BodyPose:
    """A whole upper body at one moment.

    Attributes:
        left: the anatomical left arm.
        right: the anatomical right arm.
        head_angles: `[3]` yaw, pitch, roll in radians.
        sway: `[3]` shift of the whole body, hand units.
    """

    left: ArmPose
    right: ArmPose
    head_angles: Array
    sway: Array

    def mirrored(self) -> "BodyPose":
        """The same pose made by the other hand: left and right change places."""
        return BodyPose(
            left=_mirrored_arm(self.right),
            right=_mirrored_arm(self.left),
            head_angles=self.head_angles * [-1.0, 1.0, -1.0],
            sway=self.sway * MIRROR_X,
        )


def _mirrored_arm(arm: ArmPose) -> ArmPose:
    return ArmPose(arm.wrist * MIRROR_X, mirror_rotation(arm.rotation), arm.hand)


@dataclass(frozen=True)
class Skeleton:
    """Every joint of a posed signer, world frame, hand units.

    Attributes:
        shoulders: `[2, 3]` by side.
        elbows: `[2, 3]` by side.
        wrists: `[2, 3]` by side.
        hands: `[2, 21, 3]` by side, points in MediaPipe's order.
        head_centre: `[3]`.
        head_rotation: `[3, 3]` from the head's frame to the world, without its scale.
        sway: `[3]` how far the whole body is shifted.
        proportions: of the signer.
    """

    shoulders: Array
    elbows: Array
    wrists: Array
    hands: Array
    head_centre: Array
    head_rotation: Array
    sway: Array
    proportions: Proportions

    def on_head(self, point: Array | tuple[float, float, float]) -> Array:
        """A point (or `[N, 3]` points) given in the head's frame, in the world frame."""
        return self.head_centre + (np.asarray(point) * self.proportions.head) @ self.head_rotation.T

    def joints(self) -> Array:
        """`[J, 3]` the joints in the order of `JOINT_NAMES`."""
        paired_head = [
            self.on_head(np.array(point) * (MIRROR_X if side == RIGHT else 1.0)) for side, point in _HEAD_POINTS
        ]
        hips = self.sway + HIP * [self.proportions.build, 1, 1]
        pose = [
            self.on_head(NOSE),
            *paired_head,
            *(points[side] for points in (self.shoulders, self.elbows, self.wrists) for side in (LEFT, RIGHT)),
            *(self.hands[side, point] for point in _POSE_HAND_POINTS for side in (LEFT, RIGHT)),
            hips,
            hips + (self.sway - hips) * [2, 0, 0],
        ]
        return np.concatenate([np.stack(pose), self.hands[LEFT], self.hands[RIGHT]])


_HEAD_POINTS = (
    (LEFT, EYE_INNER),
    (LEFT, EYE),
    (LEFT, EYE_OUTER),
    (RIGHT, EYE_INNER),
    (RIGHT, EYE),
    (RIGHT, EYE_OUTER),
    (LEFT, EAR),
    (RIGHT, EAR),
    (LEFT, MOUTH_CORNER),
    (RIGHT, MOUTH_CORNER),
)
_POSE_HAND_POINTS = tuple(HAND_POINTS.index(name) for name in ("pinky_mcp", "index_mcp", "thumb_ip"))

JOINT_NAMES: tuple[str, ...] = (
    *(
        f"pose/{name}"
        for name in (
            *("nose", "left_eye_inner", "left_eye", "left_eye_outer"),
            *("right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear"),
            *("mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
            *("left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index"),
            *("left_thumb", "right_thumb", "left_hip", "right_hip"),
        )
    ),
    *(f"left_hand/{name}" for name in HAND_POINTS),
    *(f"right_hand/{name}" for name in HAND_POINTS),
)
"""Names, in `keypoint_layout.MEDIAPIPE_HOLISTIC`, of the joints whose truth is known, in row order."""


def hand_joints(hand: Array) -> Array:
    """Forward kinematics of one hand.

    Args:
        hand: `[22]` hand vector.

    Returns:
        `[21, 3]` joints in the local frame of a right hand, points in MediaPipe's order. Bones keep their
        length whatever the vector.
    """
    thumb, flexion, spread = hand[:9].reshape(3, 3), np.deg2rad(hand[9:21].reshape(4, 3)), hand[21]
    joints = np.zeros((21, 3))
    directions = thumb / np.linalg.norm(thumb, axis=1, keepdims=True)
    joints[1] = THUMB_CMC
    joints[2:5] = THUMB_CMC + np.cumsum(directions * THUMB_BONES[:, None], axis=0)
    # Fingers that bend at the knuckle also close up sideways, as the collateral ligaments tighten.
    closed = np.clip(flexion[:, 0] / 1.4, 0.0, 1.0)
    sideways = (FINGER_SPREAD * spread * (1.0 - 0.7 * closed))[:, None]
    bend = np.cumsum(np.maximum(flexion, 0.0), axis=1)  # [finger, bone]
    directions = np.stack(
        [-np.sin(sideways) * np.cos(bend), np.cos(sideways) * np.cos(bend), np.sin(bend)], axis=-1
    )
    bones = np.cumsum(directions * FINGER_BONES[..., None], axis=1)
    fingers = np.concatenate([FINGER_MCP[:, None], FINGER_MCP[:, None] + bones], axis=1)
    joints[5:] = fingers.reshape(16, 3)
    return joints


def place_hand(arm: ArmPose, wrist: Array, side: int, size: float) -> Array:
    """`[21, 3]` a hand's joints in the world frame, its wrist at `wrist`, `size` times the average."""
    local = hand_joints(arm.hand) * size
    return (local * MIRROR_X if side == LEFT else local) @ arm.rotation.T + wrist


def reach(shoulder: Array, target: Array, side: int, proportions: Proportions) -> tuple[Array, Array]:
    """Two-bone inverse kinematics: the elbow that lets the wrist reach a target.

    Args:
        shoulder: `[3]`.
        target: `[3]` wanted position of the wrist.
        side: `LEFT` or `RIGHT`; the elbow points down and away from the body on that side.
        proportions: bone lengths.

    Returns:
        Elbow `[3]` and wrist `[3]`. A target out of reach is pulled towards the shoulder; one too close is
        pushed away from it, so that both bones always keep their length.
    """
    upper, lower = proportions.upper_arm, proportions.forearm
    offset = target - shoulder
    wanted = float(np.linalg.norm(offset))
    # A target in the shoulder itself has no direction; forwards is as good as any.
    axis = offset / wanted if wanted > 1e-6 else np.array([0.0, 0.0, 1.0])
    distance = float(np.clip(wanted, abs(upper - lower) + 0.02, upper + lower - 0.02))
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    aside = np.sqrt(max(upper**2 - along**2, 0.0))
    pole = np.array([0.55 if side == LEFT else -0.55, -1.0, -0.35])
    pole -= axis * (pole @ axis)
    pole /= max(float(np.linalg.norm(pole)), 1e-6)
    return shoulder + axis * along + pole * aside, shoulder + axis * distance


def pose_skeleton(pose: BodyPose, proportions: Proportions) -> Skeleton:
    """Forward kinematics of the whole signer. The body sways around hands that keep their targets."""
    shoulders = np.stack([proportions.shoulder, proportions.shoulder * MIRROR_X]) + pose.sway
    arms = (pose.left, pose.right)
    reached = [reach(shoulders[side], arms[side].wrist, side, proportions) for side in (LEFT, RIGHT)]
    wrists = np.stack([wrist for _, wrist in reached])
    yaw, pitch, roll = pose.head_angles
    return Skeleton(
        shoulders=shoulders,
        elbows=np.stack([elbow for elbow, _ in reached]),
        wrists=wrists,
        hands=np.stack([place_hand(arms[s], wrists[s], s, proportions.hand) for s in (LEFT, RIGHT)]),
        head_centre=HEAD_CENTRE + pose.sway,
        head_rotation=rotation_y(yaw) @ rotation_x(pitch) @ rotation_z(roll),
        sway=pose.sway,
        proportions=proportions,
    )
