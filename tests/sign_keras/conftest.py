"""Tiny records and a tiny configuration: 3 glosses, 6 signers, 3 frames of 32 pixels."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sign_keras.config import Config
from tests.conftest import REPOSITORY, moving_square
from tfrecords_tools.array_records import ArrayClip, convert_arrays
from tfrecords_tools.convert import convert_source
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.sources.keypoint_arrays import ArrayLayout
from tfrecords_tools.video import write_video

GLOSSES = ("hello", "thanks", "yes")
PLACES = {"hello": (0.0, -0.3), "thanks": (0.3, 0.0), "yes": (0.0, 0.3)}


@pytest.fixture(autouse=True)
def nothing_global_goes_on_to_other_tests() -> Iterator[None]:
    """No precision policy of a training, and no seed: beside one of 0, tf.data cannot shuffle by a tensor."""
    yield
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(None)
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture
def assert_help_is_quick() -> Callable[[str], None]:
    """``assert_help_is_quick("sign_keras.predict")``: its help has an example, and loads no TensorFlow."""

    def check(module: str) -> None:
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", module, "--help"],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            check=True,
        )
        assert "example:" in ran.stdout
        assert not {"tensorflow", "keras"} & {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}

    return check


@pytest.fixture(scope="session")
def tiny_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 clips of 6 to 8 frames by 6 signers, converted without keypoints; splits by signer, none empty."""
    root = tmp_path_factory.mktemp("tiny")
    for number, gloss in enumerate(GLOSSES):
        for signer in range(6):
            path = root / "videos" / gloss / f"s{signer}_0.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, moving_square(6 + number, ground=20 + 12 * (number * 6 + signer)), 12)
    convert_source(
        "video_folders",
        root / "videos",
        root / "records",
        {
            "keypoints": None,
            "short_side": 40,
            "clips_per_shard": 5,
            "split": {"validation": 0.2, "test": 0.2},
            "source": {"signer_pattern": "(?P<signer>s[0-9]+)_"},
        },
        workers=1,
    )
    return root / "records"


@pytest.fixture(scope="session")
def tiny_keypoint_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 clips of 5 to 9 frames by 6 signers, whose right hand goes up, down or aside; no left hand, no frames."""
    folder = tmp_path_factory.mktemp("tiny_keypoints")
    rng = np.random.default_rng(0)
    directions = dict(zip(GLOSSES, ((0.0, -0.2), (0.0, 0.2), (0.2, 0.0)), strict=True))
    splits = dict(enumerate(["train"] * 4 + ["validation", "test"]))
    clips = []
    for signer, split in splits.items():
        person = rng.uniform(0.3, 0.7, (len(MEDIAPIPE_HOLISTIC.names), 3))
        for gloss, direction in directions.items():
            for take in range(2):
                points = np.repeat(person[None], rng.integers(5, 10), axis=0)
                points += rng.normal(0, 0.005, points.shape)
                way = np.linspace(0, 1, len(points))[:, None, None] * direction
                points[:, MEDIAPIPE_HOLISTIC.group_slices["right_hand"], :2] += way
                points[:, MEDIAPIPE_HOLISTIC.group_slices["left_hand"]] = np.nan
                columns = {"gloss": gloss, "signer": f"s{signer}", "split": split}
                clips.append(ArrayClip(f"s{signer}_{gloss}_{take}.npy", points.astype(np.float32), columns))
    return as_records(clips, folder)


def sentence_points(person: np.ndarray, sentence: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """``[T, 543, 3]``: the right hand is at each gloss's place for 4 to 6 frames, and rests for 2 in between."""
    places = [np.zeros(2)] * 2
    for gloss in sentence:
        places += [np.array(PLACES[gloss])] * int(rng.integers(4, 7)) + [np.zeros(2)] * 2
    points = np.repeat(person[None], len(places), axis=0)
    points[:, MEDIAPIPE_HOLISTIC.group_slices["right_hand"], :2] += np.array(places)[:, None]
    points[:, MEDIAPIPE_HOLISTIC.group_slices["left_hand"]] = np.nan
    return (points + rng.normal(0, 0.005, points.shape)).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_sentence_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 sentences of 1 to 3 glosses by 6 signers, of keypoints alone at 25 frames a second: ``sentence_points``.

    Beside them, each training signer has one that is too short for its glosses: ``s0_short.npy`` ...
    """
    rng = np.random.default_rng(0)
    splits = dict(enumerate(["train"] * 4 + ["validation", "test"]))
    everybody = rng.uniform(0.3, 0.7, (len(MEDIAPIPE_HOLISTIC.names), 3))
    clips = []
    for signer, split in splits.items():
        person = everybody + rng.normal(0, 0.01, everybody.shape)
        for take in range(10):
            sentence = [GLOSSES[index] for index in rng.integers(0, len(GLOSSES), 1 + take % 3)]
            points = sentence_points(person, sentence, rng)
            columns = {"glosses": " ".join(sentence), "signer": f"s{signer}", "split": split}
            clips.append(ArrayClip(f"s{signer}_{take}.npy", points, columns))
        if split == "train":
            short = sentence_points(person, ["yes"], rng)[:2]
            columns = {"glosses": "hello thanks yes", "signer": f"s{signer}", "split": split}
            clips.append(ArrayClip(f"s{signer}_short.npy", short, columns))
    return as_records(clips, tmp_path_factory.mktemp("tiny_sentences"))


def square_sentence(sentence: Sequence[str], rng: np.random.Generator, size: int = 48) -> Iterator[np.ndarray]:
    """Frames uint8 ``[size, size, 3]``: a bright square goes to each gloss's place in 4 to 6 frames and back in 2,
    and rests for 4 frames in between.
    """
    rest = np.array([0.5, 0.5])
    places = [rest] * 4
    for gloss in sentence:
        there = rest + PLACES[gloss]
        steps = int(rng.integers(4, 7))
        places += [rest + (there - rest) * share for share in np.linspace(1 / steps, 1, steps)]
        places += [(rest + there) / 2, rest] + [rest] * 4
    ground, side = int(rng.integers(30, 90)), size // 5
    for x, y in places:
        image = np.full((size, size, 3), ground, np.uint8)
        left, top = round(x * (size - side)), round(y * (size - side))
        image[top : top + side, left : left + side] = 255
        yield image


@pytest.fixture(scope="session")
def tiny_video_sentence_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 sentences of 1 or 2 glosses by 6 signers, of frames of 48 pixels, 10 a second: ``square_sentence``."""
    root = tmp_path_factory.mktemp("tiny_video_sentences")
    rng = np.random.default_rng(0)
    rows = ["path,glosses,signer,split"]
    splits = dict(enumerate(["train"] * 4 + ["validation", "test"]))
    for signer, split in splits.items():
        for take in range(4):
            sentence = [GLOSSES[index] for index in rng.integers(0, len(GLOSSES), 1 + take % 2)]
            write_video(root / f"s{signer}_{take}.mp4", square_sentence(sentence, rng), 10)
            rows.append(f"s{signer}_{take}.mp4,{' '.join(sentence)},s{signer},{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    convert_source("manifest", root, root / "records", {"keypoints": None, "short_side": 48}, workers=1)
    return root / "records"


def as_records(clips: list[ArrayClip], folder: Path) -> Path:
    """The folder, with keypoints of MediaPipe's layout at 25 frames a second converted into it."""
    layout = ArrayLayout(
        name=MEDIAPIPE_HOLISTIC.name,
        points=MEDIAPIPE_HOLISTIC.names,
        mirror_pairs=MEDIAPIPE_HOLISTIC.mirror_pairs,
        frame_rate=25,
    )
    convert_arrays(clips, layout, folder, workers=1)
    return folder


@pytest.fixture
def tiny_config(tiny_records: Path) -> Callable[..., Config]:
    """``tiny_config(train={...}, ...)``: sections are merged over a configuration that trains in seconds."""

    def make(**changes: dict[str, Any]) -> Config:
        values: dict[str, Any] = {
            "name": "tiny",
            "records": {"directory": tiny_records},
            "sampling": {"num_frames": 3, "height": 32, "width": 32},
            "data": {"augment": {"zoom": 0.2, "rotation": 5, "brightness": 0.1}},
            "model": {
                "architecture": "cnn_lstm",
                "backbone_width": 0.35,
                "backbone_weights": "none",
                "backbone_trainable": False,
                "lstm_units": 4,
            },
            "train": {"epochs": 2, "batch_size": 4, "learning_rate": 0.01},
        }
        for section, change in changes.items():
            values[section] = {**values.get(section, {}), **change}
        return Config.model_validate(values)

    return make
