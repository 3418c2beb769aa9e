"""What the input layer promises: invariances, padding, missing points, streams, finite numbers whatever comes."""

import keras
import numpy as np
import pytest

from sign_keras.models.features.layer import LONGEST_MEMORY, KeypointFeatures
from tests.sign_keras.models.features.keypoint_clips import FACE, LAYOUT, RAW, RIGHT, TINY, clip, features, mirrored
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import KeypointLayout

NAN = np.nan
# Every choice at least once.
CHOICES = {
    "default": {},
    "hold": {"missing": "hold", "angles": True, "differences": (3, 1)},
    "interpolate": {"missing": "interpolate", "coordinates": "xyz", "angles": True},
    "first place": {
        **{"points": "islr", "center": "face", "scale": "points"},
        **{"hand_relative": False, "presence": False, "canonical_hand": False},
    },
    "not placed": {"center": "none", "scale": "none", "aspect": 1.5},
    "not centred": {"points": ("hands", "lips"), "center": "none", "scale": "face", "coordinates": "xyz"},
    "one hand": {"points": "right_hand", "center": "points", "scale": "shoulders", "differences": ()},
}
CAUSAL = {
    f"causal {name}": {**choices, "causal": True} for name, choices in CHOICES.items() if name != "interpolate"
}
EVERY = pytest.mark.parametrize("name", [*CHOICES, *CAUSAL])


def made(name: str, **changes) -> KeypointFeatures:
    return features(**{**CHOICES, **CAUSAL}[name] | changes)


def stepped(layer: KeypointFeatures, keypoints: np.ndarray, chunk: int = 1) -> np.ndarray:
    state, outputs = layer.initial_state(len(keypoints)), []
    for start in range(0, keypoints.shape[1], chunk):
        output, state = layer.step(keypoints[:, start : start + chunk], state)
        outputs.append(output)
    return np.concatenate(outputs, axis=1)


@EVERY
def test_features_are_as_many_as_stated_and_finite(name):
    layer, keypoints = made(name), clip()[None]
    found = np.array(layer(keypoints))
    assert found.shape == (1, 8, layer.num_features) == layer.compute_output_shape(keypoints.shape)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert 0.05 < found.std() < 3  # neither all zeros nor all at the limit


@pytest.mark.parametrize("name", CHOICES)
def test_a_clip_and_its_mirror_image_have_the_same_features(name):
    keypoints, layer = clip(num_frames=12), made(name, canonical_hand=True)
    np.testing.assert_allclose(layer(mirrored(keypoints)[None]), layer(keypoints[None]), atol=1e-3, rtol=1e-3)
    np.testing.assert_array_equal(mirrored(mirrored(keypoints))[..., 1:], keypoints[..., 1:])
    plain = made(name, canonical_hand=False)
    assert np.abs(plain(mirrored(keypoints)[None]) - plain(keypoints[None])).max() > 0.1


@pytest.mark.parametrize("reference", ["shoulders", "face", "points"])
@pytest.mark.parametrize("causal", [False, True])
def test_framing_does_not_matter(reference, causal):
    layer = features(center=reference, scale=reference, causal=causal, coordinates="xyz", angles=True)
    keypoints = clip()
    farther = keypoints * 0.4 + np.array([0.5, 0.1, 0.3], np.float32)
    np.testing.assert_allclose(layer(farther[None]), layer(keypoints[None]), atol=2e-3)


def test_the_points_own_deviation_takes_the_picture_s_aspect_out():
    layer = features(center="points", scale="points", hand_relative=False)
    keypoints = clip()
    np.testing.assert_allclose(layer(keypoints[None] * [2, 1, 1]), layer(keypoints[None]), atol=1e-3)
    by_shoulders = features(hand_relative=False)
    assert np.abs(by_shoulders(keypoints[None] * [2, 1, 1]) - by_shoulders(keypoints[None])).max() > 0.1


def test_aspect_is_as_if_x_and_z_had_been_in_frame_heights():
    keypoints = clip()
    np.testing.assert_allclose(
        features(aspect=1.5, coordinates="xyz")(keypoints[None]),
        features(coordinates="xyz")(keypoints[None] * np.array([1.5, 1, 1.5], np.float32)),
        atol=1e-4,
    )


@EVERY
def test_padding_never_changes_features_of_real_frames(name):
    layer, real = made(name), clip(num_frames=5)
    expected = layer(real[None])
    padded = np.stack([np.concatenate([real, real[:1].repeat(4, axis=0)]) for _ in range(3)])
    padded[1, 5:], padded[2, 5:] = NAN, 1e3
    mask = np.array([[True] * 5 + [False] * 4] * 3)
    found = np.array(layer(padded, mask=mask))
    np.testing.assert_allclose(found[:, :5], np.repeat(expected, 3, axis=0), atol=1e-5)
    np.testing.assert_array_equal(found[:, 5:], 0)


@EVERY
def test_a_batch_is_its_clips(name):
    clips = np.stack([clip(seed=0), mirrored(clip(seed=1)), clip(seed=2)])
    layer = made(name)
    together = layer(clips)
    for index, one in enumerate(clips):
        np.testing.assert_allclose(layer(one[None])[0], together[index], atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_steps_give_what_the_clip_gives(name):
    clips = np.stack([clip(10, seed=0), mirrored(clip(10, seed=1))])
    clips[1, :3] = NAN  # nobody there yet
    layer = made(name)
    whole = layer(clips)
    np.testing.assert_allclose(stepped(layer, clips), whole, atol=1e-5)
    np.testing.assert_allclose(stepped(layer, clips, chunk=4), whole, atol=1e-5)
    later = clips.copy()
    later[:, 6:] += 0.2
    np.testing.assert_array_equal(layer(later)[:, :6], whole[:, :6])


def test_a_long_stream_goes_on_and_forgets():
    layer, keypoints = features(causal=True), clip(num_frames=8)[None]
    state = layer.initial_state(1)
    for _ in range(3):
        _, state = layer.step(np.tile(keypoints, (1, 500, 1, 1)), state)
    assert float(state["sums"][0, -1]) == pytest.approx(LONGEST_MEMORY)
    moved, state = layer.step(np.tile(keypoints + 0.5, (1, 1000, 1, 1)), state)
    # The centre has followed, most of the way.
    place = np.array(moved)[0, :, 0]
    assert abs(place[-1] - layer(keypoints)[0, -1, 0]) < 0.5 * abs(place[7] - layer(keypoints)[0, -1, 0])


def test_missing_points_by_hand():
    # Point a: x found at 1, 2, 4; y is ten times x. Point b is never found.
    keypoints = np.full((1, 4, 2, 3), NAN, np.float32)
    for frame, x in ((0, 0.1), (1, 0.2), (3, 0.4)):
        keypoints[0, frame, 0] = (x, 10 * x, 0)

    def tracks(missing: str) -> list[list[float]]:
        layer = features(TINY, points="body", missing=missing, differences=(1, 2), **RAW)
        found = np.array(layer(keypoints))[0].reshape(4, 3, 2, 2)  # place and two differences; points; x and y
        np.testing.assert_array_equal(found[:, :, 1], 0)
        np.testing.assert_allclose(found[:, :, 0, 1], 10 * found[:, :, 0, 0], atol=1e-5)
        return found[:, :, 0, 0].T

    np.testing.assert_allclose(tracks("zeros"), [[0.1, 0.2, 0, 0.4], [0, 0.1, 0, 0], [0, 0, 0, 0.2]], atol=1e-6)
    np.testing.assert_allclose(
        tracks("hold"), [[0.1, 0.2, 0.2, 0.4], [0, 0.1, 0, 0.2], [0, 0, 0.1, 0.2]], atol=1e-6
    )
    np.testing.assert_allclose(
        tracks("interpolate"), [[0.1, 0.2, 0.3, 0.4], [0, 0.1, 0.1, 0.1], [0, 0, 0.2, 0.2]], atol=1e-6
    )


def test_presence_tells_what_was_found_though_places_are_held():
    keypoints = clip(num_frames=4, gaps=False)
    keypoints[1, RIGHT], keypoints[2, :33] = NAN, NAN
    found = np.array(features(missing="hold", canonical_hand=False)(keypoints[None]))[0, :, -3:]
    np.testing.assert_array_equal(found, [[1, 1, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]])  # pose, left, right


def test_places_are_in_shoulder_widths_from_between_the_shoulders():
    keypoints = np.full((1, 2, 543, 3), NAN, np.float32)
    for point, place in {"left_shoulder": (0.7, 0.6), "right_shoulder": (0.3, 0.6), "nose": (0.5, 0.4)}.items():
        keypoints[:, :, LAYOUT.row(f"pose/{point}"), :2] = place
    choices = {"points": "pose/nose", "hand_relative": False, "differences": (), "presence": False}
    np.testing.assert_allclose(features(**choices)(keypoints)[0], [[0, -0.5]] * 2, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_missing_is_stood_in_for_by_the_next_best(causal):
    choices = {"causal": causal, "canonical_hand": False, "hand_relative": False, "presence": False}
    no_shoulders = clip(gaps=False)[None]
    no_shoulders[:, :, [LAYOUT.row("pose/left_shoulder"), LAYOUT.row("pose/right_shoulder")]] = NAN
    no_pose = _with(no_shoulders[0], slice(0, 33), NAN)[None]
    for reference, keypoints in (("face", no_shoulders), ("points", no_pose)):
        by_reference = features(center=reference, scale="none", **choices)(keypoints)
        np.testing.assert_array_equal(
            features(center="shoulders", scale="none", **choices)(keypoints), by_reference
        )
    by_face = features(center="face", scale="face", **choices)(no_shoulders)
    np.testing.assert_array_equal(features(**choices)(no_shoulders), by_face)
    # Last of all, one deviation for x and y.
    places = np.array(features(points="hands", differences=(), **choices)(no_pose))[
        0, -1 if causal else slice(None)
    ]
    if causal:  # the last frame's centre and scale are of all frames
        raw = no_pose[0, :, 501:543, :2]
        expected = (raw[-1] - raw.mean(axis=(0, 1))) / np.sqrt(raw.var(axis=(0, 1)).mean())
        np.testing.assert_allclose(places.reshape(42, 2), expected, atol=1e-3)
    else:
        np.testing.assert_allclose(places.reshape(-1, 2).mean(axis=0), 0, atol=1e-4)
        assert places.reshape(-1, 2).var(axis=0).mean() == pytest.approx(1, abs=1e-3)


BAD = {
    "nothing found": lambda keypoints: np.full_like(keypoints, NAN),
    "no hands": lambda keypoints: _with(keypoints, slice(501, None), NAN),
    "no face": lambda keypoints: _with(keypoints, FACE, NAN),
    "infinite": lambda keypoints: _with(keypoints, slice(0, None, 3), np.inf),
    "minus infinite": lambda keypoints: _with(keypoints, slice(0, None, 3), -np.inf),
    "absurd": lambda keypoints: _with(keypoints, slice(0, None, 3), 3e38),
    "far": lambda keypoints: _with(keypoints, slice(0, None, 3), 9e3),
    "everything in one place": lambda keypoints: np.full_like(keypoints, 0.5),
    "zeros": np.zeros_like,
    "one frame": lambda keypoints: keypoints[:1],
    "two frames": lambda keypoints: keypoints[:2],
    "double": lambda keypoints: keypoints.astype(np.float64),
    "half": lambda keypoints: keypoints.astype(np.float16),
    "absurd double": lambda keypoints: _with(keypoints.astype(np.float64), slice(0, None, 3), 1e300),
}


def _with(keypoints: np.ndarray, points: slice, value: float) -> np.ndarray:
    keypoints = keypoints.copy()
    keypoints[:, points] = value
    return keypoints


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_gives_finite_features(kind):
    keypoints = BAD[kind](clip())[None]
    for name in ("default", "first place", "interpolate", "causal hold"):
        for mask in (None, np.ones(keypoints.shape[:2], bool), np.zeros(keypoints.shape[:2], bool)):
            found = np.array(made(name)(keypoints, mask=mask))
            assert np.isfinite(found).all()
            assert mask is None or mask.any() or not found.any()


def test_precision_of_what_comes_hardly_matters():
    keypoints = clip()[None]
    expected = features()(keypoints)
    np.testing.assert_allclose(features()(keypoints.astype(np.float64)), expected, atol=1e-5)
    np.testing.assert_allclose(features()(keypoints.astype(np.float16)), expected, atol=0.02)


def test_a_record_without_a_face_has_the_features_that_need_none():
    keypoints = clip()[None]
    np.testing.assert_array_equal(features()(_with(keypoints[0], FACE, NAN)[None]), features()(keypoints))


def test_ten_thousand_frames_are_taken_as_they_come():
    keypoints = np.random.default_rng(0).random((1, 10_000, 2, 3)).astype(np.float32)
    keypoints[0, 1:-1, 0] = NAN
    layer = features(TINY, points="body", missing="interpolate", differences=(), **RAW)
    found = np.array(layer(keypoints))[0, :, 0]
    np.testing.assert_allclose(found, np.linspace(keypoints[0, 0, 0, 0], keypoints[0, -1, 0, 0], 10_000), atol=1e-5)


def test_mixed_precision_leaves_features_as_they_are():
    keypoints = clip()[None]
    expected = features()(keypoints)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = features()(keypoints)
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["interpolate", "causal not centred"])
def test_saved_and_loaded_it_is_the_same(name, tmp_path):
    keypoints = clip()
    inputs = [keras.Input(keypoints.shape, name="keypoints"), keras.Input((8,), dtype="bool", name="frame_mask")]
    model = keras.Model(inputs, made(name)(inputs[0], mask=inputs[1]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    batch = [keypoints[None], np.ones((1, 8), bool)]
    np.testing.assert_array_equal(loaded(batch), model(batch))
    assert loaded.layers[-1].features == made(name).features
    assert loaded.layers[-1].layout.mirror_permutation == LAYOUT.mirror_permutation


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 8, 75, 3), "keypoints of 75 points: the keypoint layout 'mediapipe_holistic' has 543"),
        ((1, 8, 543, 2), "keypoints of 2 coordinates: features.coordinates=xyz needs 3"),
        ((8, 543, 3), r"shape \(8, 543, 3\): expected \[batch, frames, 543, 3\]"),
    ],
)
def test_other_shapes_are_refused_by_name(shape, message):
    with pytest.raises(UserError, match=message):
        features(coordinates="xyz")(np.zeros(shape, np.float32))


def test_an_open_number_of_frames_is_refused():
    with pytest.raises(UserError, match="fixed number of frames"):
        features()(keras.Input((None, 543, 3)))


BODY = KeypointLayout.from_names("body", ["pose/left_wrist", "pose/right_wrist", "pose/nose"], [])
PLAIN = {"points": "pose", "hand_relative": False}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"points": "hands"}, "preset 'hands' needs 'left_hand/wrist'.*layout 'body'"),
        ({**PLAIN}, "features.center=shoulders: the keypoint layout 'body' has no pose/left_shoulder"),
        ({**PLAIN, "center": "points", "scale": "face"}, "features.scale=face: .* use points or none"),
        ({**PLAIN, "center": "points", "scale": "points"}, "features.canonical_hand=true: .* set it to false"),
        (
            {"points": "pose", **RAW, "angles": True},
            "features.angles=true: features.points=pose chooses no whole hand",
        ),
    ],
)
def test_what_a_layout_cannot_serve_is_refused(choices, message):
    with pytest.raises(UserError, match=message):
        features(BODY, **choices)


def test_features_of_whole_clips_are_no_stream():
    with pytest.raises(UserError, match=r"features\.causal=true"):
        features().initial_state(1)
