"""Toys whose evidence lies where we put it."""

import keras
import numpy as np
import pytest
from keras import ops

from sign_keras.models.layers import FrameWise, SpatialSoftmax
from sign_keras.models.map_backbone import PYRAMID
from sign_keras.pictures.evidence import MapLayer, grad_cam, keypoint_saliency, map_layer

SIDE, FRAMES = 32, 4
CORNERS = {"top left": (0, 0), "bottom right": (24, 24)}


def frames_with_red(corner: tuple[int, int], frame: int) -> dict[str, np.ndarray]:
    """Grey frames, one of which has a red square; a blue one is in the opposite corner of every frame."""
    frames = np.full((1, FRAMES, SIDE, SIDE, 3), 90, np.uint8)
    y, x = corner
    frames[0, frame, y : y + 8, x : x + 8] = (255, 0, 0)
    frames[0, :, 24 - y : 32 - y, 24 - x : 32 - x] = (0, 0, 255)
    return {"frames": frames}


def red_detector() -> keras.layers.Conv2D:
    """Red less green and blue, on patches of 4 pixels; the second map sees blue."""
    layer = keras.layers.Conv2D(2, 4, strides=4, activation="relu", name="maps")
    layer.build((None, SIDE, SIDE, 3))
    kernel = np.zeros((4, 4, 3, 2), np.float32)
    kernel[..., :, 0], kernel[..., :, 1] = (1, -1, -1), (-1, -1, 1)
    layer.set_weights([kernel / 4000, np.zeros(2, np.float32)])
    return layer


def framewise_toy() -> keras.Model:
    """Logit 0 is red anywhere in the clip, logit 1 blue."""
    picture = keras.Input((SIDE, SIDE, 3))
    inner = keras.Model(picture, keras.layers.GlobalAveragePooling2D(name="average")(red_detector()(picture)))
    frames = keras.Input((FRAMES, SIDE, SIDE, 3), dtype="uint8", name="frames")
    logits = ops.mean(FrameWise(inner, name="frame_features")(frames), axis=1)
    return keras.Model({"frames": frames}, logits)


def place_of_peak(heat: np.ndarray) -> tuple[int, int, int]:
    frame, y, x = np.unravel_index(heat.argmax(), heat.shape)
    return int(frame), int(y), int(x)


@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS)
def test_grad_cam_finds_the_corner_and_the_frame_of_the_evidence(corner):
    model = framewise_toy()
    at = map_layer(model)
    assert at is not None
    assert (at.layer.name, at.is_local) == ("maps", False)
    heat = grad_cam(model, frames_with_red(corner, frame=2), lambda logits: logits[0, 0], at)
    assert heat.shape == (FRAMES, SIDE, SIDE)
    frame, y, x = place_of_peak(heat)
    assert frame == 2
    assert corner[0] <= y < corner[0] + 8
    assert corner[1] <= x < corner[1] + 8
    assert heat[[0, 1, 3]].max() == 0  # red is nowhere else, and blue does not speak for it
    assert at.layer.call.__self__ is at.layer  # the layer is its own again


def test_grad_cam_follows_the_answer_that_is_asked_about():
    model, inputs = framewise_toy(), frames_with_red(CORNERS["top left"], frame=2)
    heat = grad_cam(model, inputs, lambda logits: logits[0, 1], map_layer(model))
    assert (heat[:, 24:, 24:].max(axis=(1, 2)) > 0).all()
    assert heat[:, :16, :16].max() == 0


def test_grad_cam_is_that_of_the_paper():
    """Two maps of 2 x 2: weights are mean gradients (equation 1), what is negative is cut off (equation 2)."""
    frames = keras.Input((1, 2, 2, 3), dtype="uint8", name="frames")
    values = keras.layers.Rescaling(1.0, name="values")(frames)
    weights = np.array([[[2, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, -1, 0]]], np.float32)
    model = keras.Model({"frames": frames}, ops.sum(values * weights, axis=(2, 3, 4)))
    inputs = {"frames": np.array([[[[[3, 1, 9], [0, 7, 9]], [[5, 20, 9], [1, 1, 9]]]]], np.uint8)}
    heat = grad_cam(model, inputs, lambda logits: logits[0, 0], MapLayer(model.get_layer("values")))
    # Mean gradients 2 / 4 and -1 / 4 of the first two channels.
    assert heat[0] == pytest.approx(np.array([[1.25, 0], [0, 0.25]]))


def points_toy() -> keras.Model:
    """The logit is how sure a map of red is of its place: behind a softmax over places."""
    picture = keras.Input((SIDE, SIDE, 3))
    maps = red_detector()(picture)
    smooth = keras.layers.Conv2D(1, 1, use_bias=False, name=PYRAMID)
    smooth.build((None, 8, 8, 2))
    smooth.set_weights([np.array([[[[1.0], [0.0]]]], np.float32)])
    inner = keras.Model(picture, SpatialSoftmax(name="points")(smooth(maps))[:, 2:])
    frames = keras.Input((FRAMES, SIDE, SIDE, 3), dtype="uint8", name="frames")
    return keras.Model({"frames": frames}, ops.mean(FrameWise(inner)(frames), axis=1))


def test_in_front_of_a_softmax_over_places_products_are_taken_place_by_place():
    model, inputs = points_toy(), frames_with_red(CORNERS["bottom right"], frame=1)
    at = map_layer(model)
    assert (at.layer.name, at.is_local) == (PYRAMID, True)
    frame, y, x = place_of_peak(grad_cam(model, inputs, lambda logits: logits[0, 0], at))
    assert frame == 1
    assert min(y, x) >= 24
    blind = grad_cam(model, inputs, lambda logits: logits[0, 0], MapLayer(at.layer))
    local = grad_cam(model, inputs, lambda logits: logits[0, 0], at)
    assert blind.max() < 1e-4 * local.max()  # why: the mean gradient is 0


def test_maps_of_several_frames_stand_for_all_of_them():
    frames = keras.Input((FRAMES, SIDE, SIDE, 3), dtype="uint8", name="frames")
    layer = keras.layers.Conv3D(1, (2, 4, 4), strides=(2, 4, 4), activation="relu", use_bias=False, name="maps")
    layer.build((None, FRAMES, SIDE, SIDE, 3))
    layer.set_weights([np.broadcast_to(np.array([1, -1, -1], np.float32)[:, None], (2, 4, 4, 3, 1)) / 4000])
    model = keras.Model({"frames": frames}, ops.mean(layer(ops.cast(frames, "float32")), axis=(1, 2, 3)))
    heat = grad_cam(model, frames_with_red((0, 0), frame=3), lambda logits: logits[0, 0], map_layer(model))
    assert heat[:2].max() == 0
    assert np.array_equal(heat[2], heat[3])
    assert place_of_peak(heat)[1:] < (8, 8)


def test_a_model_without_maps_has_none():
    frames = keras.Input((FRAMES, SIDE, SIDE, 3), dtype="uint8", name="frames")
    flat = keras.layers.Reshape((FRAMES, -1))(frames)
    model = keras.Model({"frames": frames}, keras.layers.Dense(2)(flat))
    assert map_layer(model) is None


def test_saliency_is_the_length_of_the_gradient_and_0_where_nothing_was_found():
    keypoints = keras.Input((3, 2, 3), dtype="float32", name="keypoints")
    known = ops.where(ops.isnan(keypoints), 0.0, keypoints)
    weights = np.zeros((3, 2, 3), np.float32)
    weights[1, 0], weights[2, 1] = (3, 4, 100), (1, 0, 0)  # z is no place in the picture
    model = keras.Model({"keypoints": keypoints}, ops.sum(known * weights, axis=(2, 3)))
    clip = np.full((1, 3, 2, 3), 0.5, np.float32)
    found = keypoint_saliency(model, {"keypoints": clip}, lambda logits: ops.sum(logits))
    assert found == pytest.approx(np.array([[0, 0], [5, 0], [0, 1]]))
    clip[0, 1, 0] = np.nan
    found = keypoint_saliency(model, {"keypoints": clip}, lambda logits: ops.sum(logits))
    assert found == pytest.approx(np.array([[0, 0], [0, 0], [0, 1]]))
