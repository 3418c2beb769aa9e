"""The people: what each signer looks like, and how each one signs.

A signer is drawn from ``(seed, index)`` and nothing else, so the same index is the same person in every
data set made with that seed. Looks, proportions and framing make a signer recognisable; tempo, amplitude,
handedness and habits make an *unseen* signer harder than a seen one, as it is with real people.
"""

from dataclasses import dataclass

import numpy as np

from tfrecords_tools.synthetic.anatomy import Proportions

Colour = tuple[float, float, float]  # RGB, 0..255

# Skin tones from light to dark, chosen so that MediaPipe finds hands of each of them.
SKIN_TONES: tuple[Colour, ...] = (
    (235, 190, 160),
    (224, 172, 140),
    (208, 150, 112),
    (185, 125, 90),
    (160, 100, 70),
    (125, 76, 52),
    (98, 62, 44),
)
HAIR_COLOURS: tuple[Colour, ...] = (
    (28, 22, 20),
    (52, 36, 26),
    (84, 54, 34),
    (138, 96, 58),
    (186, 146, 92),
    (150, 70, 38),
    (132, 130, 128),
    (200, 198, 196),
)
DARK_HAIR = 3  # how many of HAIR_COLOURS go with any skin; darker skin keeps to these
GREY_HAIR = (6, 7)
GREY_SHARE = 0.18  # of the signers
HAIR_STYLES = ("cropped", "short", "bob", "long", "bun", "curly", "receding")
NECKLINES = ("round", "vee", "high")
PATTERNS = ("plain", "plain", "stripes", "jacket", "print")
SLEEVES = (0.75, 1.05, 1.55, 1.9)  # where the sleeve ends: 1 is the elbow, 2 the wrist
REST_POSES = ("down", "belly", "below")
LEFT_HANDED_EVERY = 7  # one signer in seven, about 14 %


@dataclass(frozen=True)
class Looks:
    """What a signer looks like.

    Attributes:
        skin: RGB, 0..255.
        hair: RGB, 0..255.
        hair_style: one of `HAIR_STYLES`.
        beard: strength of the beard, 0 (none) to 1.
        glasses: whether the signer wears glasses.
        shirt: RGB of the garment.
        accent: RGB of its second colour.
        pattern: one of `PATTERNS`.
        neckline: one of `NECKLINES`.
        sleeve: where the sleeve ends: 0 shoulder, 1 elbow, 2 wrist.
        lips: how far the lips are tinted, 0 to 1.
        brow: thickness of the eyebrows, factor.
        jaw: width of the jaw, factor.
    """

    skin: Colour
    hair: Colour
    hair_style: str
    beard: float
    glasses: bool
    shirt: Colour
    accent: Colour
    pattern: str
    neckline: str
    sleeve: float
    lips: float
    brow: float
    jaw: float


@dataclass(frozen=True)
class Framing:
    """How a signer usually sits before the camera.

    Attributes:
        scale: length of a hand unit as a fraction of the frame height.
        centre: pit of the neck as a fraction of frame width and height.
    """

    scale: float
    centre: tuple[float, float]


@dataclass(frozen=True)
class Habits:
    """How a signer signs.

    Attributes:
        tempo: speed, factor.
        amplitude: size of movements, factor.
        rest: one of `REST_POSES`, where the hands are before and after.
        head_sway: amplitude of the head's movement, radians.
        body_sway: amplitude of the body's movement, hand units.
        hesitation: seconds the signer lingers before moving on, on average.
        slant: tilt of the hand in the picture plane, radians.
        turn: turn of the palm towards the midline, radians.
        offset: shift of every place, hand units (outward, up, forward).
        sloppiness: error of finger joints, degrees.
    """

    tempo: float
    amplitude: float
    rest: str
    head_sway: float
    body_sway: float
    hesitation: float
    slant: float
    turn: float
    offset: tuple[float, float, float]
    sloppiness: float


@dataclass(frozen=True)
class Signer:
    """One person.

    Attributes:
        name: unique to (seed, index), e.g. ``s0_007``.
        seed: of the population.
        index: of the signer in it.
        left_handed: whether the left hand is dominant.
        looks: appearance.
        proportions: of the body.
        framing: before the camera.
        habits: of signing.
    """

    name: str
    seed: int
    index: int
    left_handed: bool
    looks: Looks
    proportions: Proportions
    framing: Framing
    habits: Habits


def _colour_from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB 0..255 from hue, saturation and value in 0..1."""
    parts = np.clip(np.abs((hue * 6.0 + np.array([0.0, 4.0, 2.0])) % 6.0 - 3.0) - 1.0, 0.0, 1.0)
    red, green, blue = 255.0 * value * (1.0 - saturation + saturation * parts)
    return float(red), float(green), float(blue)


def _draw_looks(rng: np.random.Generator) -> Looks:
    tone = int(rng.integers(len(SKIN_TONES)))
    skin = np.clip(np.array(SKIN_TONES[tone]) * rng.uniform(0.95, 1.06) + rng.normal(0, 3, 3), 20, 250)
    palette = range(GREY_HAIR[0]) if tone < 3 else range(DARK_HAIR)
    colour = rng.choice(GREY_HAIR if rng.uniform() < GREY_SHARE else list(palette))
    hair = np.clip(np.array(HAIR_COLOURS[int(colour)]) * rng.uniform(0.85, 1.15), 8, 235)
    style = str(rng.choice(HAIR_STYLES))
    may_have_beard = style in ("cropped", "short", "receding", "curly")
    shirt = _colour_from_hsv(rng.uniform(), rng.uniform(0.05, 0.70), rng.uniform(0.22, 0.88))
    accent = _colour_from_hsv(rng.uniform(), rng.uniform(0.05, 0.5), rng.uniform(0.3, 0.95))
    return Looks(
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
        hair=(float(hair[0]), float(hair[1]), float(hair[2])),
        hair_style=style,
        beard=float(rng.uniform(0.35, 0.9)) if may_have_beard and rng.uniform() < 0.45 else 0.0,
        glasses=bool(rng.uniform() < 0.25),
        shirt=shirt,
        accent=accent,
        pattern=str(rng.choice(PATTERNS)),
        neckline=str(rng.choice(NECKLINES)),
        sleeve=float(rng.choice(SLEEVES)) + float(rng.uniform(-0.06, 0.04)),
        lips=float(rng.uniform(0.2, 1.0)),
        brow=float(rng.uniform(0.7, 1.3)),
        jaw=float(rng.uniform(0.92, 1.08)),
    )


def _draw_habits(rng: np.random.Generator) -> Habits:
    outward, up, forward = rng.normal(0.0, (0.20, 0.20, 0.12))
    return Habits(
        tempo=float(rng.uniform(0.82, 1.2)),
        amplitude=float(rng.uniform(0.82, 1.18)),
        rest=str(rng.choice(REST_POSES)),
        head_sway=float(rng.uniform(0.01, 0.07)),
        body_sway=float(rng.uniform(0.01, 0.07)),
        hesitation=float(rng.uniform(0.0, 0.12)),
        slant=float(rng.normal(0.0, 0.12)),
        turn=float(rng.normal(0.06, 0.14)),
        offset=(float(outward), float(up), float(forward)),
        sloppiness=float(rng.uniform(1.5, 5.0)),
    )


def make_signer(seed: int, index: int) -> Signer:
    """Draws the signer `index` of the population `seed`.

    Args:
        seed: of the population, not negative.
        index: of the signer, not negative.
    """
    rng = np.random.default_rng([seed, index, 0x51])
    return Signer(
        name=f"s{seed}_{index:03d}",
        seed=seed,
        index=index,
        # A fixed share instead of a coin: small groups of signers get their left-handers too.
        left_handed=(index + seed) % LEFT_HANDED_EVERY == 3,
        looks=_draw_looks(rng),
        proportions=Proportions(
            build=float(rng.uniform(0.88, 1.12)),
            head=float(rng.uniform(0.95, 1.06)),
            hand=float(rng.uniform(0.95, 1.08)),
            upper_arm=float(rng.uniform(2.85, 3.15)),
            forearm=float(rng.uniform(2.52, 2.80)),
        ),
        framing=Framing(
            scale=float(rng.uniform(0.097, 0.112)),
            centre=(float(rng.uniform(0.47, 0.53)), float(rng.uniform(0.42, 0.455))),
        ),
        habits=_draw_habits(rng),
    )
