"""Labelled clips of signs put together at random, for pre-training what sees movement.

People come from the range of `training_frames`, which no data set uses, and no entry of the lexicon occurs: a
recogniser pre-trained here has seen neither its signers nor its glosses, only hands that move.
"""

from dataclasses import dataclass, replace

import numpy as np

from tfrecords_tools.synthetic.anatomy import LEFT, RIGHT
from tfrecords_tools.synthetic.performance import perform
from tfrecords_tools.synthetic.scene import FRAME_RATES, Film, shoot
from tfrecords_tools.synthetic.signs import HANDS, LEXICON, MOVEMENTS, ORIENTATIONS, PLACES, Sign
from tfrecords_tools.synthetic.training_frames import SHAPE_NAMES, draw_pretraining_signer

SIGN_PARAMETERS: dict[str, tuple[str, ...]] = {
    "shape": SHAPE_NAMES,
    "end_shape": SHAPE_NAMES,
    "place": tuple(PLACES),
    "orientation": tuple(ORIENTATIONS),
    "movement": tuple(MOVEMENTS),
    "hands": HANDS,
    "dominant": ("left", "right"),
}
"""What a training clip is labelled with, and the values by label index. `dominant` is the signer's hand;
`end_shape` is `shape` where the shape does not change."""
_SHAPE_CHANGES = 0.1  # share of the signs


@dataclass(frozen=True)
class TrainingClip:
    """Some frames of one sign, from rest to rest.

    Attributes:
        film: its frames and joints.
        labels: name of each of `SIGN_PARAMETERS` -> index of its value.
    """

    film: Film
    labels: dict[str, int]


def random_sign(rng: np.random.Generator) -> Sign:
    """A sign of parameters drawn at random; none of the lexicon's."""
    shapes = [name for name in SHAPE_NAMES if name != "relaxed"]
    movements = [name for name in MOVEMENTS if name != "alternate"]  # which without a second shape is a hold
    while True:
        changes = rng.uniform() < _SHAPE_CHANGES
        shape, end_shape = (str(name) for name in rng.choice(shapes, 2, replace=False))
        sign = Sign(
            shape=shape,
            place=str(rng.choice(list(PLACES))),
            orientation=str(rng.choice(list(ORIENTATIONS))),
            movement="alternate" if changes else str(rng.choice(movements)),
            hands=str(rng.choice(HANDS)),
            end_shape=end_shape if changes else None,
        )
        if sign not in LEXICON.values():
            return sign


def training_clip(rng: np.random.Generator, num_frames: int, size: int = 256) -> TrainingClip:
    """Films a random signer making a random sign.

    Args:
        rng: source of everything; the same state gives the same clip.
        num_frames: `T`: one frame out of each of as many equal parts of the clip; only these are rendered.
        size: frame height and width, pixels.
    """
    sign, signer = random_sign(rng), draw_pretraining_signer(rng)
    performance = perform([sign], signer, rng, float(rng.integers(FRAME_RATES[0], FRAME_RATES[1] + 1)))
    parts = (np.arange(num_frames) + rng.uniform(size=num_frames)) / num_frames
    chosen = (parts * len(performance.poses)).astype(int)
    performance = replace(
        performance,
        poses=tuple(performance.poses[index] for index in chosen),
        gloss_index=performance.gloss_index[chosen],
        phase=performance.phase[chosen],
    )
    values = {
        "shape": sign.shape,
        "end_shape": sign.end_shape or sign.shape,
        "place": sign.place,
        "orientation": sign.orientation,
        "movement": sign.movement,
        "hands": sign.hands,
        "dominant": ("left", "right")[LEFT if signer.left_handed else RIGHT],
    }
    labels = {name: SIGN_PARAMETERS[name].index(value) for name, value in values.items()}
    return TrainingClip(shoot(performance, signer, rng, size, aspect=1.0), labels)
