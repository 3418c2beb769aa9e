"""The synthetic signer: people signing made-up signs, rendered by code alone, with ground-truth joints.

It lets the whole toolkit run without a download, and tells how well keypoints are found, because it knows
where they are. **The glosses and letters are invented for testing; they are no real signed language.**

The parts, each built on those above it:

============================ ===============================================================================
``anatomy``                  the skeleton: hand, arms, head; forward and inverse kinematics
``hand_shapes``              hand shapes as data, and their blending
``signers``                  who signs: looks, proportions, framing, tempo, handedness, habits
``signs``                    what is signed: the lexicon, each sign a bundle of parameters
``performance``              motion: rest, transition, sign; sentences
``surface``                  flesh and clothes around the skeleton, as spheres and a loft
``rasterizer``               primitives to depth map to shaded picture
``paint``                    painted details: face, clothes, creases of the hand
``scene``                    camera, light, background; clips, empty rooms
``close_up``                 still pictures of one hand
``training_frames``          labelled stills for pre-training
``training_clips``           labelled clips of random signs, likewise
``dataset``                  whole data sets on disk, for the command ``tfrecords_tools.synthesize``
============================ ===============================================================================
"""

from tfrecords_tools.synthetic.anatomy import JOINT_NAMES, LEFT, RIGHT
from tfrecords_tools.synthetic.close_up import render_close_up
from tfrecords_tools.synthetic.hand_shapes import HAND_SHAPES, LETTERS
from tfrecords_tools.synthetic.scene import (
    Film,
    RenderedClip,
    render_clip,
    render_empty_scene,
)
from tfrecords_tools.synthetic.signers import Signer, make_signer
from tfrecords_tools.synthetic.signs import CORE_GLOSSES, LEXICON, MINIMAL_PAIRS, Sign
from tfrecords_tools.synthetic.training_clips import SIGN_PARAMETERS, TrainingClip, training_clip
from tfrecords_tools.synthetic.training_frames import (
    PLACE_NAMES,
    SHAPE_NAMES,
    FrameLabels,
    training_frame,
)

__all__ = [
    "CORE_GLOSSES",
    "HAND_SHAPES",
    "JOINT_NAMES",
    "LEFT",
    "LETTERS",
    "LEXICON",
    "MINIMAL_PAIRS",
    "PLACE_NAMES",
    "RIGHT",
    "SHAPE_NAMES",
    "SIGN_PARAMETERS",
    "Film",
    "FrameLabels",
    "RenderedClip",
    "Sign",
    "Signer",
    "TrainingClip",
    "make_signer",
    "render_clip",
    "render_close_up",
    "render_empty_scene",
    "training_clip",
    "training_frame",
]
