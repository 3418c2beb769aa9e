"""Still pictures of one hand in the shape of a letter."""

import numpy as np

from tfrecords_tools.synthetic.anatomy import (
    LEFT,
    MIRROR_X,
    RIGHT,
    Array,
    hand_joints,
    mirror_rotation,
    rotation_x,
    rotation_y,
    rotation_z,
)
from tfrecords_tools.synthetic.hand_shapes import LETTERS, imprecise, shape_vector
from tfrecords_tools.synthetic.paint import base_colours, paint_hand
from tfrecords_tools.synthetic.rasterizer import Camera, composite, rasterize, shade
from tfrecords_tools.synthetic.scene import Scene, draw_background, draw_light, finish, frame_size
from tfrecords_tools.synthetic.signers import Signer
from tfrecords_tools.synthetic.surface import RIGHT_SIDE, Part, Spheres, hand_spheres, join


def render_close_up(signer: Signer, letter: str, rng: np.random.Generator, size: int = 256) -> tuple[Array, Array]:
    """Photographs the signer's dominant hand, still, in the shape of a letter.

    Args:
        signer: whose hand it is.
        letter: one of `hand_shapes.LETTERS`.
        rng: everything that differs between two pictures.
        size: frame height and width, pixels.

    Returns:
        `[H, W, 3]` uint8 RGB, and `[21, 2]` float32 joints in frame widths and heights, in MediaPipe's order.

    Raises:
        KeyError: no such letter.
    """
    if letter not in LETTERS:
        raise KeyError(f"no letter {letter!r}; there are {', '.join(LETTERS)}")
    side = LEFT if signer.left_handed else RIGHT
    width, height = frame_size(size, 1.0)
    yaw, pitch, roll = np.deg2rad(rng.uniform(-1.0, 1.0, 3) * (20.0, 15.0, 15.0))
    rotation = rotation_z(roll) @ rotation_x(pitch) @ rotation_y(yaw)
    local = hand_joints(imprecise(shape_vector(LETTERS[letter]), rng, signer.habits.sloppiness))
    elbow = np.array([0.0, -2.6, 0.0])
    if side == LEFT:
        local, rotation = local * MIRROR_X, mirror_rotation(rotation)
    joints, elbow = local @ rotation.T, (rotation @ elbow) * [1.0, 1.0, 0.0]
    share = np.linspace(0.0, 1.0, 30)[:, None]
    forearm = Spheres(
        joints[0] * (1 - share) + elbow * share,
        np.repeat(0.235 + 0.095 * share, 3, axis=1),
        np.full(30, Part.FOREARM + RIGHT_SIDE * (side == RIGHT), np.uint8),
    )
    camera = Camera(
        width,
        height,
        scale=height * float(rng.uniform(0.22, 0.29)),
        centre=np.array([0.5, 0.73]) * (width, height) + rng.uniform(-0.03, 0.03, 2) * size,
        rotation=np.eye(3),
    )
    scene = Scene(camera, draw_light(rng), draw_background(rng, width, height), float(rng.uniform(1.0, 4.0)), 0.0)
    surface = rasterize(camera, join([forearm, hand_spheres(joints, side, 1.0)]))
    albedo = base_colours(surface.labels, signer.looks)
    paint_hand(albedo, surface, camera, joints, side)
    picture = composite(scene.background, shade(surface, albedo, scene.light, camera.scale), surface)
    return finish(picture, scene, rng), camera.normalised(joints).astype(np.float32)
