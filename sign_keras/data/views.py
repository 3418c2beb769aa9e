"""The views of a clip that a test may average over: crops, moments and the mirror image.

Sources: corners and the mirror image: Krizhevsky et al. 2012, section 4.1; several moments and crops of a video:
Feichtenhofer et al. 2019, arXiv:1812.03982, section 4. Different from those: the first crop is what the model sees
in a test of one view, and the others lie within it, since a signer stands in the middle of the picture.
"""

import itertools

import tensorflow as tf

from sign_keras.config import ViewsConfig
from sign_keras.data.draws import Draw, PictureDraw

SIDE = 0.875  # of the crops that are not the first: 224 of 256 pixels, as in both sources
FIRST = (0.0, 0.0, 1.0, 1.0)
NEAR, MIDDLE, FAR = 0.0, (1 - SIDE) / 2, 1 - SIDE
# Top, left, height, width, as shares of the first crop.
CROPS = {
    1: (FIRST,),
    3: (FIRST, *((MIDDLE, left, SIDE, SIDE) for left in (NEAR, FAR))),
    5: (FIRST, *((top, left, SIDE, SIDE) for top in (NEAR, FAR) for left in (NEAR, FAR))),
}


def make_views(config: ViewsConfig, num_frames: int) -> list[Draw | None]:
    """The views of a clip of ``num_frames`` frames; None stands for the one that a test of one view sees.

    The i-th of N offsets takes frames ``(i + 0.5) / N`` into their parts of the clip, and where the frames cover
    less than the clip, lies as far from its beginning.
    """
    moments = [(number + 0.5) / config.offsets for number in range(config.offsets)]
    mirrored = (False, True) if config.mirror else (False,)
    views = itertools.product(moments, CROPS[config.crops], mirrored)
    return [None if view == (0.5, FIRST, False) else _make_view(*view, num_frames) for view in views]


def _make_view(moment: float, crop: tuple[float, ...], mirrored: bool, num_frames: int) -> Draw:
    nothing, once = tf.constant(0.0), tf.constant(1.0)
    picture = PictureDraw(
        window=tf.constant(crop),
        angle=nothing,
        mirrored=tf.constant(mirrored),
        brightness=nothing,
        contrast=once,
        saturation=once,
        hue=nothing,
        blur=nothing,
    )
    return Draw(tf.fill([num_frames], moment), span=once, place=tf.constant(moment), shift=nothing, picture=picture)
