"""The lexicon: made-up signs as data.

**These glosses are invented for testing. They belong to no real signed language**, and no signed language
is a list of gestures: real ones have grammars, faces and communities of their own. What the lexicon borrows
from them is the insight that a sign is a bundle of *parameters*, hand shape, place, orientation and
movement, of which changing a single one can make another sign.

Space is described as the signer's dominant hand sees it, in hand units: `outward` (away from the midline,
to the dominant side), `up`, `forward` (to the viewer). `performance` turns it into the world frame of a
right- or left-handed signer.
"""

from dataclasses import dataclass, fields

Vector = tuple[float, float, float]

PLACES: dict[str, Vector] = {
    "shoulder": (1.95, -0.75, 1.8),
    "cheek": (2.05, 0.95, 1.5),
    "temple": (1.55, 2.35, 1.2),
    "mouth": (0.75, 0.55, 2.0),
    "chest": (0.85, -1.55, 2.0),
    "side": (2.75, -1.5, 1.4),
    "belly": (1.55, -2.9, 1.9),
    "front": (1.85, -1.35, 1.9),
}
"""Where the middle of the palm is at the centre of the movement."""

ORIENTATIONS: dict[str, tuple[Vector, Vector]] = {
    "out": ((0.05, 1.0, 0.05), (0.0, 0.0, 1.0)),
    "in": ((-0.25, 1.0, 0.0), (0.1, 0.0, -1.0)),
    "inward": ((0.0, 1.0, 0.1), (-0.62, 0.0, 0.78)),
    "slanted": ((-0.75, 0.75, 0.0), (0.0, 0.1, 1.0)),
    "across": ((-1.0, 0.25, 0.1), (0.05, 0.1, -1.0)),
}
"""Where the fingers point, and where the palm faces."""


@dataclass(frozen=True)
class Movement:
    """What the hand does, as a sum of sines over the phase of the movement.

    At phase ``u`` (in cycles) the hand is displaced by ``cosine * cos(2 pi u) + sine * sin(2 pi u)``. A
    movement that is not `repeated` runs once from its start to its end, for which `sweep` is the
    displacement from the centre at the end (and minus that at the start).

    Attributes:
        cosine: displacement, hand units.
        sine: displacement, hand units.
        sweep: displacement of a movement made once, hand units.
        turn: rotation in the hand's own frame as sines, degrees: pitch (a nod of the wrist), twist (of the
            forearm), tilt (a wave).
        wiggle: how far the fingers move alternately, degrees of flexion.
        repeated: whether the movement is cyclic.
    """

    cosine: Vector = (0.0, 0.0, 0.0)
    sine: Vector = (0.0, 0.0, 0.0)
    sweep: Vector = (0.0, 0.0, 0.0)
    turn: Vector = (0.0, 0.0, 0.0)
    wiggle: float = 0.0
    repeated: bool = True


MOVEMENTS: dict[str, Movement] = {
    "circle": Movement(cosine=(0.62, 0.0, 0.0), sine=(0.0, 0.62, 0.0)),
    "side_to_side": Movement(sine=(0.72, 0.0, 0.0)),
    "up_down": Movement(sine=(0.0, 0.72, 0.0)),
    "tap": Movement(sine=(0.0, -0.15, 1.1), turn=(22.0, 0.0, 0.0)),
    "diagonal": Movement(sine=(0.70, 0.70, 0.0)),
    "wave": Movement(sine=(0.15, 0.0, 0.0), turn=(0.0, 0.0, 30.0)),
    "twist": Movement(turn=(0.0, 48.0, 0.0)),
    "wiggle": Movement(wiggle=34.0),
    "hold": Movement(sine=(0.0, 0.04, 0.0)),
    "alternate": Movement(sine=(0.0, 0.08, 0.0)),
    "rise": Movement(sweep=(0.0, 1.25, 0.0), repeated=False),
    "sink": Movement(sweep=(0.0, -1.25, 0.0), repeated=False),
    "part": Movement(sweep=(1.0, 0.0, 0.0), repeated=False),
    "gather": Movement(sweep=(-1.0, 0.0, 0.0), repeated=False),
}
"""`alternate` is for signs of two shapes: the hand goes from one to the other and back."""

HANDS = ("one", "mirrored", "alternating")
"""One hand; both hands in mirror image; both, half a cycle apart."""


@dataclass(frozen=True)
class Sign:
    """One sign: its parameters, and nothing else.

    Attributes:
        shape: hand shape, one of `hand_shapes.HAND_SHAPES`.
        place: one of `PLACES`.
        orientation: one of `ORIENTATIONS`.
        movement: one of `MOVEMENTS`.
        hands: one of `HANDS`.
        end_shape: hand shape that the movement changes to, or None.
    """

    shape: str
    place: str
    orientation: str
    movement: str
    hands: str = "one"
    end_shape: str | None = None


def differing_parameters(first: Sign, second: Sign) -> tuple[str, ...]:
    """Names of the parameters in which two signs differ."""
    return tuple(f.name for f in fields(Sign) if getattr(first, f.name) != getattr(second, f.name))


# The first sixteen are four families of four. Inside a family only the movement differs, and all movements
# cross the same place, so no single frame tells its members apart. Rows 1 and 2 differ in shape alone,
# column by column.
LEXICON: dict[str, Sign] = {
    "hello": Sign("five", "shoulder", "out", "side_to_side"),
    "wait": Sign("five", "shoulder", "out", "tap"),
    "wash": Sign("five", "shoulder", "out", "circle"),
    "morning": Sign("five", "shoulder", "out", "up_down"),
    "no": Sign("fist", "shoulder", "out", "side_to_side"),
    "work": Sign("fist", "shoulder", "out", "tap"),
    "sorry": Sign("fist", "shoulder", "out", "circle"),
    "yes": Sign("fist", "shoulder", "out", "up_down"),
    "where": Sign("angle", "cheek", "out", "side_to_side"),
    "ask": Sign("angle", "cheek", "out", "tap"),
    "think": Sign("angle", "cheek", "out", "circle"),
    "when": Sign("angle", "cheek", "out", "up_down"),
    "same": Sign("shaka", "front", "out", "side_to_side", "mirrored"),
    "now": Sign("shaka", "front", "out", "tap", "mirrored"),
    "play": Sign("shaka", "front", "out", "circle", "mirrored"),
    "happy": Sign("shaka", "front", "out", "up_down", "mirrored"),
    # Signs that stand apart: other places, shapes that change, orders of movement, two hands in turn.
    "rain": Sign("five", "front", "out", "wiggle", "mirrored"),
    "open": Sign("fist", "shoulder", "out", "alternate", end_shape="five"),
    "day": Sign("point", "shoulder", "out", "rise"),
    "night": Sign("point", "shoulder", "out", "sink"),
    "house": Sign("flat", "front", "out", "part", "mirrored"),
    "family": Sign("flat", "front", "out", "gather", "mirrored"),
    "water": Sign("three", "mouth", "inward", "tap"),
    "eat": Sign("flat", "mouth", "inward", "tap"),
    "see": Sign("vee", "temple", "out", "diagonal"),
    "two": Sign("vee", "shoulder", "out", "hold"),
    "three": Sign("three", "shoulder", "out", "hold"),
    "tree": Sign("five", "side", "out", "twist"),
    "goodbye": Sign("five", "side", "out", "wave"),
    "walk": Sign("flat", "front", "out", "up_down", "alternating"),
    "run": Sign("fist", "front", "out", "up_down", "alternating"),
    "friend": Sign("pinch", "chest", "slanted", "circle"),
    "teach": Sign("pinch", "temple", "slanted", "circle"),
    "thing": Sign("five", "shoulder", "in", "circle"),
    "learn": Sign("cup", "temple", "inward", "alternate", end_shape="ring"),
    "forget": Sign("ring", "temple", "inward", "alternate", end_shape="cup"),
}
"""Gloss -> sign. The order is fixed: commands that ask for N glosses take the first N."""

CORE_GLOSSES: tuple[str, ...] = tuple(LEXICON)[:16]
"""Glosses for experiments in which a single frame must not be enough."""

MINIMAL_PAIRS: tuple[tuple[str, str, str], ...] = (
    ("hello", "wait", "movement"),
    ("hello", "wash", "movement"),
    ("hello", "morning", "movement"),
    ("no", "yes", "movement"),
    ("sorry", "work", "movement"),
    ("think", "where", "movement"),
    ("ask", "when", "movement"),
    ("play", "happy", "movement"),
    ("same", "now", "movement"),
    ("hello", "no", "shape"),
    ("wait", "work", "shape"),
    ("wash", "sorry", "shape"),
    ("morning", "yes", "shape"),
    ("water", "eat", "shape"),
    ("two", "three", "shape"),
    ("walk", "run", "shape"),
    ("day", "night", "movement"),
    ("house", "family", "movement"),
    ("tree", "goodbye", "movement"),
    ("friend", "teach", "place"),
    ("wash", "thing", "orientation"),
)
"""(gloss, gloss, the one parameter in which the two signs differ)."""
