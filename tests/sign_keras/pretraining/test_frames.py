import warnings

import keras
import numpy as np
import pytest

from sign_keras import pretrain
from sign_keras.models.backbones import build_backbone
from sign_keras.pretraining import frames
from tfrecords_tools.command_line import UserError

SIZE = 32


@pytest.fixture
def rendered(monkeypatch):
    """How often frames were rendered: noise stands in for pictures, 24 of them."""
    calls = []

    def render(num_frames, size, seed):
        calls.append(seed)
        rng = np.random.default_rng(seed)
        return {
            "frames": rng.integers(0, 256, (num_frames, size, size, 3), np.uint8),
            "joints": rng.random((num_frames, 42, 2), np.float32),
            "directions": rng.standard_normal((num_frames, 12)).astype(np.float32),
            "in_view": np.ones((num_frames, 2), np.float32),
            "shapes": rng.integers(0, 3, (num_frames, 2)),
        }

    monkeypatch.setattr(frames, "render_training_frames", render)
    return calls


@pytest.fixture
def run(monkeypatch, tmp_path):
    def run(**flags):
        given = {
            "output": tmp_path / "new" / "backbone.weights.h5",
            "frames": 24,
            "epochs": 1,
            "size": SIZE,
        } | flags
        words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        monkeypatch.setattr("sys.argv", ["pretrain", "frames", "--batch-size", "8", *words])
        pretrain.main()
        return given["output"]

    return run


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: None)


def backbone(size: int, width: float, weights="none"):
    return build_backbone("mobilenet_v2_points", size, size, width_multiplier=width, weights=str(weights))


def test_weights_fit_the_backbone_of_that_width(run, rendered, no_training):
    path = run(width=0.35, seed=2)
    assert rendered == [2]
    first, second = (backbone(size, 0.35, path).get_weights() for size in (SIZE, 64))  # at any size
    for values, others in zip(first, second, strict=True):
        np.testing.assert_array_equal(values, others)
    refused = pytest.raises(UserError, match=r"^model.backbone_weights=\S+: does not fit the backbone \(.*shape")
    with warnings.catch_warnings(record=True) as said, refused:
        backbone(SIZE, 0.5, path)
    assert not said  # Keras has one for every layer


@pytest.mark.slow
def test_every_weight_learns(run, rendered):
    keras.utils.set_random_seed(0)  # as the command does
    before = backbone(SIZE, 0.35).get_weights()
    after = backbone(SIZE, 0.35, run(width=0.35, seed=0)).get_weights()
    assert not [
        values.shape for values, others in zip(before, after, strict=True) if np.array_equal(values, others)
    ]


def test_kept_frames_are_rendered_once_and_no_others_taken(run, rendered, tmp_path, no_training):
    kept = tmp_path / "kept" / "frames.npz"
    for _ in range(2):
        run(keep_frames=kept, seed=3)
    assert rendered == [3]
    for flags in ({"seed": 4}, {"seed": 3, "frames": 25}, {"seed": 3, "size": 64}):
        with pytest.raises(UserError, match="was made with --frames 24, --size 32, --seed 3"):
            run(keep_frames=kept, **flags)


@pytest.mark.parametrize(
    ("flags", "words"),
    [({"frames": 5}, "at least 20"), ({"output": "x.h5"}, "must end in .weights.h5")],
)
def test_mistakes_stop_before_anything_is_rendered(run, rendered, flags, words):
    with pytest.raises(UserError, match=words):
        run(**flags)
    assert not rendered
