import numpy as np
import pytest

from tfrecords_tools.synthetic import JOINT_NAMES, LETTERS, make_signer, training_frame
from tfrecords_tools.synthetic.anatomy import pose_skeleton
from tfrecords_tools.synthetic.close_up import render_close_up
from tfrecords_tools.synthetic.performance import perform
from tfrecords_tools.synthetic.rasterizer import rasterize
from tfrecords_tools.synthetic.scene import draw_scene, render_clip, render_empty_scene
from tfrecords_tools.synthetic.signs import LEXICON
from tfrecords_tools.synthetic.surface import RIGHT_SIDE, Part, body_spheres, torso_loft


def test_render_clip_is_deterministic_and_keeps_its_contract():
    signer = make_signer(0, 2)
    first, second = (render_clip(signer, ["play"], np.random.default_rng(7), size=96) for _ in range(2))
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.joints, second.joints)
    num_frames = len(first.frames)
    assert first.frames.dtype == np.uint8
    assert first.frames.shape[1] == 96
    assert first.joints.shape == (num_frames, len(JOINT_NAMES), 2)
    assert first.joints.dtype == np.float32
    assert first.hand_in_view.shape == first.hand_unit.shape == (num_frames, 2)
    assert first.gloss_index.shape == first.phase.shape == (num_frames,)
    assert 12 <= first.frame_rate <= 18


def test_takes_differ_in_background_and_motion():
    signer = make_signer(0, 2)
    first, second = (render_clip(signer, ["yes"], np.random.default_rng(i), 64, 15.0, 1.0) for i in (0, 1))
    assert np.abs(first.frames[0].astype(int) - second.frames[0]).mean() > 5


def test_joints_lie_on_the_rendered_person():
    for index in range(4):
        signer = make_signer(1, index)
        rng = np.random.default_rng(index)
        scene = draw_scene(signer, rng, 256)
        pose = perform([LEXICON["happy"]], signer, rng).poses[12]
        skeleton = pose_skeleton(pose, signer.proportions)
        surface = rasterize(
            scene.camera, body_spheres(skeleton, signer.looks), torso_loft(skeleton, signer.proportions)
        )
        joints = scene.camera.normalised(skeleton.joints()) * [scene.camera.width, scene.camera.height]
        for name, (x, y) in zip(JOINT_NAMES, joints, strict=True):
            if 0 <= x < scene.camera.width and 0 <= y < scene.camera.height:
                assert surface.labels[int(y), int(x)] != Part.BACKGROUND, f"{name} beside signer {signer.name}"


def test_hands_are_drawn_on_their_side():
    signer = make_signer(0, 0)
    rng = np.random.default_rng(0)
    scene = draw_scene(signer, rng, 256, aspect=1.0)
    skeleton = pose_skeleton(perform([LEXICON["same"]], signer, rng).poses[12], signer.proportions)
    labels = rasterize(scene.camera, body_spheres(skeleton, signer.looks)).labels
    left_columns = np.nonzero(labels == Part.PALM)[1]
    right_columns = np.nonzero(labels == Part.PALM + RIGHT_SIDE)[1]
    assert right_columns.mean() < left_columns.mean(), "the signer faces the viewer"


def test_render_clip_follows_size_and_aspect():
    clip = render_clip(make_signer(0, 0), ["no"], np.random.default_rng(0), 90, 12.0, aspect=1.25)
    assert clip.frames.shape[1:] == (90, 112, 3)


def test_close_up_shows_the_whole_hand():
    for index, letter in enumerate(LETTERS):
        image, joints = render_close_up(make_signer(0, index), letter, np.random.default_rng(index), 128)
        assert image.shape == (128, 128, 3)
        assert ((joints > 0) & (joints < 1)).all()
    with pytest.raises(KeyError, match="no letter"):
        render_close_up(make_signer(0, 0), "?", np.random.default_rng(0))


def test_empty_scene_has_frames_and_grain():
    frames = render_empty_scene(np.random.default_rng(0), size=64, num_frames=2)
    assert frames.shape == (2, 64, 64, 3)
    assert (frames[0] != frames[1]).any()


@pytest.mark.parametrize("view", ["body", "hands"])
def test_training_frame_labels_what_it_shows(view):
    for seed in range(6):
        image, labels = training_frame(np.random.default_rng(seed), 64, view)
        again, _ = training_frame(np.random.default_rng(seed), 64, view)
        np.testing.assert_array_equal(image, again)
        assert image.shape == (64, 64, 3)
        assert labels.shapes[labels.dominant] == labels.active_shape
        np.testing.assert_allclose(np.linalg.norm(labels.palm_normals, axis=1), 1.0, atol=1e-5)
        np.testing.assert_array_equal(labels.hands[:, 0], labels.wrists)


def test_training_frame_refuses_unknown_views():
    with pytest.raises(ValueError, match="feet"):
        training_frame(np.random.default_rng(0), 64, "feet")
