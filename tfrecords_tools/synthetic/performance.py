"""From glosses to motion: how one signer performs one sign or a sentence of signs.

A performance is a row of segments in time::

    rest -> transition -> sign [-> transition -> sign ...] -> transition -> rest

Signs of a sentence follow each other without a rest: the transition runs from where one sign really ends to
where the next really begins, so neighbours colour each other as they do in signing. Everything is worked
out for a right-handed signer and mirrored at the end for a left-handed one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tfrecords_tools.synthetic.anatomy import (
    MIRROR_X,
    ArmPose,
    Array,
    BodyPose,
    mirror_rotation,
    rotation_x,
    rotation_y,
    rotation_z,
)
from tfrecords_tools.synthetic.hand_shapes import blend, imprecise, shape_vector
from tfrecords_tools.synthetic.signers import Signer
from tfrecords_tools.synthetic.signs import MOVEMENTS, ORIENTATIONS, PLACES, Sign, Vector

PHASES = ("rest", "transition", "sign")
OUTWARD = np.array([-1.0, 1.0, 1.0])  # signing space (outward, up, forward) -> world, for the right hand
PALM_CENTRE = np.array([0.0, 0.5, 0.0])  # local hand frame; places are where this point goes

# How much two takes of a sign by one signer differ, standard deviations: place in hand units (outward, up,
# forward), orientation in radians (pitch, turn, slant). Large enough that a still hides where the movement's
# centre is, and with it the movement.
_PLACE_ERROR = (0.24, 0.24, 0.18)
_TURN_ERROR = (0.12, 0.07, 0.06)

# Rest poses of one arm: where the wrist is, where the fingers point, where the palm faces (signing space).
REST_ARMS: dict[str, tuple[Vector, Vector, Vector]] = {
    "down": ((2.15, -6.0, 0.4), (0.05, -1.0, 0.15), (-0.8, 0.0, -0.6)),
    "belly": ((2.05, -4.1, 1.5), (-1.0, 0.10, 0.15), (0.0, 0.1, -1.0)),
    "below": ((1.2, -7.0, 1.2), (-0.7, -0.7, 0.3), (0.0, 0.0, -1.0)),
}


@dataclass(frozen=True)
class Performance:
    """A signer's motion, sampled at the frame rate.

    Attributes:
        poses: one pose per frame.
        gloss_index: `[T]` int64, index into the signs performed, -1 outside signs.
        phase: `[T]` str, one of `PHASES`.
        frame_rate: frames per second.
    """

    poses: tuple[BodyPose, ...]
    gloss_index: Array
    phase: Array
    frame_rate: float


@dataclass(frozen=True)
class Arms:
    """Both arms of a right-handed signer."""

    passive: ArmPose
    dominant: ArmPose


def hand_rotation(fingers: Vector, palm: Vector) -> Array:
    """`[3, 3]` rotation of a right hand from where its fingers point and its palm faces (signing space)."""
    along = np.array(fingers) * OUTWARD
    along /= np.linalg.norm(along)
    normal = np.array(palm) * OUTWARD
    normal -= along * (normal @ along)
    normal /= np.linalg.norm(normal)
    return np.stack([np.cross(along, normal), along, normal], axis=1)


def ease(share: float) -> float:
    """Minimum-jerk progress: how far a relaxed movement has come after `share` of its time."""
    share = min(max(share, 0.0), 1.0)
    return share**3 * (10.0 - 15.0 * share + 6.0 * share**2)


def between(first: ArmPose, second: ArmPose, share: float) -> ArmPose:
    """An arm on its way from one pose to another: straight for the wrist, the shortest turn for the hand."""
    turn, _ = cv2.Rodrigues(first.rotation.T @ second.rotation)
    part, _ = cv2.Rodrigues(turn * share)
    return ArmPose(
        wrist=(1.0 - share) * first.wrist + share * second.wrist,
        rotation=first.rotation @ part,
        hand=blend(first.hand, second.hand, share),
    )


def _mirrored(arm: ArmPose) -> ArmPose:
    return ArmPose(arm.wrist * MIRROR_X, mirror_rotation(arm.rotation), arm.hand)


def rest_arms(signer: Signer, rng: np.random.Generator) -> Arms:
    """The signer's rest pose, a little different every time."""
    wrist, fingers, palm = REST_ARMS[signer.habits.rest]
    rotation = hand_rotation(fingers, palm)
    arms = []
    for _ in range(2):
        hand = imprecise(shape_vector("relaxed"), rng, 4.0)
        arms.append(ArmPose(np.array(wrist) * OUTWARD + rng.normal(0.0, 0.08, 3), rotation, hand))
    return Arms(passive=_mirrored(arms[0]), dominant=arms[1])


class SignTake:
    """One rendition of a sign by one signer: the sign's parameters plus the signer's habits plus chance.

    Attributes:
        duration: seconds.
    """

    def __init__(self, sign: Sign, signer: Signer, rest: Arms, rng: np.random.Generator) -> None:
        habits = signer.habits
        self._sign, self._rest = sign, rest
        self._movement = MOVEMENTS[sign.movement]
        self._amplitude = habits.amplitude * rng.uniform(0.9, 1.1)
        chance = rng.normal(0.0, _PLACE_ERROR)
        self._place = np.array(PLACES[sign.place]) + habits.offset + chance
        fingers, palm = ORIENTATIONS[sign.orientation]
        pitch, turn, slant = rng.normal(0.0, _TURN_ERROR)
        habit = rotation_x(pitch) @ rotation_y(habits.turn + turn) @ rotation_z(habits.slant + slant)
        self._rotation = habit @ hand_rotation(fingers, palm)
        # A signer makes a shape imprecisely in a way of their own, and a little differently each time.
        own_way = np.random.default_rng([signer.seed, signer.index, 0x5A])
        self._shapes = [
            imprecise(imprecise(shape_vector(name), own_way, habits.sloppiness), rng, 2.0)
            for name in (sign.shape, sign.end_shape or sign.shape)
        ]
        self._second_hand = imprecise(np.zeros(22), rng, 2.5)
        if self._movement.repeated:
            cycles = float(rng.choice([1.5, 2.0, 2.5]))
            self.duration = cycles * rng.uniform(0.44, 0.54) / habits.tempo
            # Starting anywhere in the cycle keeps the middle frame of a clip from naming the movement.
            self._start = rng.uniform()
        else:
            cycles = 1.0
            self.duration = rng.uniform(0.62, 0.85) / habits.tempo
            self._start = 0.0
        self._rate = cycles / self.duration

    def at(self, seconds: float) -> Arms:
        """Both arms, `seconds` after the sign began."""
        phase = self._start + seconds * self._rate
        dominant = self._arm(phase)
        if self._sign.hands == "one":
            return Arms(self._rest.passive, dominant)
        other = self._arm(phase + 0.5 if self._sign.hands == "alternating" else phase)
        return Arms(_mirrored(ArmPose(other.wrist, other.rotation, other.hand + self._second_hand)), dominant)

    def _arm(self, phase: float) -> ArmPose:
        """The dominant arm at a phase in cycles."""
        movement, angle = self._movement, 2.0 * np.pi * phase
        cosine, sine = np.cos(angle), np.sin(angle)
        if movement.repeated:
            displacement = np.array(movement.cosine) * cosine + np.array(movement.sine) * sine
        else:
            displacement = np.array(movement.sweep) * (2.0 * ease(phase) - 1.0)
        pitch, twist, tilt = np.deg2rad(movement.turn) * sine * min(self._amplitude, 1.1)
        rotation = self._rotation @ rotation_x(pitch) @ rotation_y(twist) @ rotation_z(tilt)
        palm = (self._place + displacement * self._amplitude) * OUTWARD
        return ArmPose(palm - rotation @ PALM_CENTRE, rotation, self._hand(phase, angle))

    def _hand(self, phase: float, angle: float) -> Array:
        share = 0.5 - 0.5 * np.cos(angle) if self._movement.repeated else ease(phase)
        hand = blend(self._shapes[0], self._shapes[1], share)
        if self._movement.wiggle:
            lag = np.arange(4)[:, None] * 0.9
            hand[9:21] += (self._movement.wiggle * (0.5 + 0.5 * np.sin(angle + lag)) * [1.0, 0.3, 0.1]).ravel()
        return hand


@dataclass(frozen=True)
class _Segment:
    """A stretch of time in one phase; `take` is set in signs, and `ends` holds the arms at its two ends."""

    start: float
    duration: float
    phase: str
    gloss_index: int
    ends: tuple[Arms, Arms]
    take: SignTake | None = None

    def at(self, seconds: float) -> Arms:
        if self.take is not None:
            return self.take.at(seconds - self.start)
        share = ease((seconds - self.start) / self.duration)
        arms = []
        for first, second in zip(self._pair(0), self._pair(1), strict=True):
            arm = between(first, second, share)
            # Hands swing forward on their way, clear of the body.
            lift = 0.35 * min(float(np.linalg.norm(second.wrist - first.wrist)) / 3.0, 1.0) * np.sin(np.pi * share)
            arms.append(ArmPose(arm.wrist + np.array([0.0, 0.0, lift]), arm.rotation, arm.hand))
        return Arms(*arms)

    def _pair(self, end: int) -> tuple[ArmPose, ArmPose]:
        return self.ends[end].passive, self.ends[end].dominant


def _plan(takes: Sequence[SignTake], rest: Arms, signer: Signer, rng: np.random.Generator) -> list[_Segment]:
    """Lays rest, transitions and signs out in time."""
    habits, segments, clock = signer.habits, [], 0.0

    def add(duration: float, phase: str, index: int, ends: tuple[Arms, Arms], take: SignTake | None = None) -> None:
        nonlocal clock
        segments.append(_Segment(clock, duration, phase, index, ends, take))
        clock += duration

    add(rng.uniform(0.05, 0.16), "rest", -1, (rest, rest))
    previous = rest
    for index, take in enumerate(takes):
        first, last = take.at(0.0), take.at(take.duration)
        seconds = rng.uniform(0.24, 0.34) if previous is rest else rng.uniform(0.20, 0.32)
        add(seconds / habits.tempo, "transition", -1, (previous, first))
        if (pause := habits.hesitation * rng.uniform(0.0, 2.0)) > 0.02:
            add(pause, "transition", -1, (first, first))
        add(take.duration, "sign", index, (first, last), take)
        previous = last
    add(rng.uniform(0.24, 0.34) / habits.tempo, "transition", -1, (previous, rest))
    add(rng.uniform(0.05, 0.14), "rest", -1, (rest, rest))
    return segments


class _Sway:
    """Slow movements of head and body that go on all the time."""

    def __init__(self, signer: Signer, rng: np.random.Generator) -> None:
        self._head = rng.normal(0.0, (0.05, 0.04, 0.03))
        self._amplitude = np.array([1.0, 0.7, 0.6]) * signer.habits.head_sway
        self._body = np.array([1.0, 0.15, 0.4]) * signer.habits.body_sway
        self._rate = rng.uniform(2.0, 5.0, 6)
        self._phase = rng.uniform(0.0, 2.0 * np.pi, 6)

    def at(self, seconds: float) -> tuple[Array, Array]:
        """Head angles `[3]` and body shift `[3]`."""
        wave = np.sin(self._rate * seconds + self._phase)
        return self._head + self._amplitude * wave[:3], self._body * wave[3:]


def perform(
    signs: Sequence[Sign], signer: Signer, rng: np.random.Generator, frame_rate: float = 15.0
) -> Performance:
    """Performs one sign, or several in a row, from rest to rest.

    Args:
        signs: what is signed, such as entries of `signs.LEXICON`.
        signer: who signs.
        rng: everything that differs between two takes.
        frame_rate: frames per second.

    Returns:
        The performance; a single sign takes about 1.2 to 2 s.

    Raises:
        ValueError: no sign at all.
    """
    if not signs:
        raise ValueError("nothing to perform: signs is empty")
    rest = rest_arms(signer, rng)
    takes = [SignTake(sign, signer, rest, rng) for sign in signs]
    segments = _plan(takes, rest, signer, rng)
    sway = _Sway(signer, rng)
    total = segments[-1].start + segments[-1].duration
    poses, indices, phases = [], [], []
    for frame in range(int(total * frame_rate)):
        seconds = frame / frame_rate
        segment = next(s for s in reversed(segments) if s.start <= seconds)
        arms = segment.at(seconds)
        head_angles, shift = sway.at(seconds)
        pose = BodyPose(arms.passive, arms.dominant, head_angles, shift)
        poses.append(pose.mirrored() if signer.left_handed else pose)
        indices.append(segment.gloss_index)
        phases.append(segment.phase)
    return Performance(tuple(poses), np.array(indices, np.int64), np.array(phases), frame_rate)
