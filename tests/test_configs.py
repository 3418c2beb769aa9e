"""Every configuration of the repository builds, and asks for nothing that its model or its commands do not have."""

import re
from pathlib import Path

import pytest

from sign_keras.config import load_config
from sign_keras.ctc.labels import logit_frames
from sign_keras.data.preparation import prepare_records, synthesize_videos
from sign_keras.models import build_model, input_names
from sign_keras.models.clip_inputs import KINETICS, ClipInput
from sign_keras.training.freezing import Freezing
from tests.conftest import REPOSITORY
from tfrecords_tools.clips import SPLITS
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout
from tfrecords_tools.sources import SOURCES
from tfrecords_tools.synthetic.hand_shapes import LETTERS

CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))
NUM_GLOSSES = 10
KEYPOINT_CONFIGS = (
    "keypoint_lstm",
    "keypoint_gru",
    "keypoint_transformer",
    "keypoint_conv_transformer",
    "keypoint_causal_conv",
)
WORDS_CONFIGS = ("cnn_lstm", "r3d_18", "r2plus1d_18", "c3d", *KEYPOINT_CONFIGS)
SENTENCES_CONFIGS = ("keypoint_ctc", "keypoint_ctc_causal")
# Of records whose keypoints are no body's.
LAYOUTS = {
    "boston104_keypoint_ctc": KeypointLayout.from_names(
        "boston104", ("left_hand/centre", "right_hand/centre", "head/nose"), ()
    )
}
LETTERS_CONFIGS = ("static_frame_classifier", "static_r2plus1d", "static_c3d")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_model_is_built_and_has_the_stages_that_are_named(path: Path):
    config = load_config(path)
    sampling = config.sampling
    layout = LAYOUTS.get(path.stem, MEDIAPIPE_HOLISTIC)
    model = build_model(config.model.without_weights(), ClipInput(sampling, KINETICS, layout), NUM_GLOSSES)
    moments = logit_frames(sampling.num_frames, config.model.frames_per_logit)
    by_task = {"isolated": (None, NUM_GLOSSES), "continuous": (None, moments, NUM_GLOSSES + 1)}
    assert model.output.shape == by_task[config.model.task]
    shapes = {
        "frames": (sampling.height, sampling.width, 3),
        "keypoints": (len(layout.names), 3),
        "frame_mask": (),
    }
    assert {name: tensor.shape[1:] for name, tensor in model.input.items()} == {
        name: (sampling.num_frames, *shapes[name]) for name in input_names(config.model, sampling)
    }
    freezing = Freezing(model, config.train)
    last = max(config.train.unfreeze, default=1)
    assert last <= config.train.epochs
    learning = {epoch: (freezing.set_epoch(epoch), len(model.trainable_weights))[1] for epoch in range(1, last + 1)}
    assert sorted(learning.values()) == list(learning.values())
    assert learning[last] == len(freezing.ever_learning())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_its_commands_make_the_records_that_it_reads(path: Path):
    config = load_config(path)
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    if config.records.prepare is not None:
        assert config.records.prepare.source in SOURCES
        return
    maker = next(line for line in head.splitlines() if "--output" in line)
    output = re.search(r"--output (\S+)", maker)
    assert output is not None
    assert config.records.directory.is_relative_to(output[1])
    source = re.search(r"--source (\S+)", maker)
    assert source is None or source[1] in SOURCES


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_weights_of_the_repository_are_there(path: Path):
    model = load_config(path).model
    for name in {"weights", "backbone_weights"} & set(type(model).model_fields):
        value = getattr(model, name)
        assert not value.startswith("sign_keras/") or (REPOSITORY / value).is_file()


def test_static_signs_are_rendered_where_no_picture_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    overrides = ["records.prepare.synthesize.signers=3", "records.prepare.synthesize.letters=1"]
    config = load_config(REPOSITORY / "configs" / f"{LETTERS_CONFIGS[0]}.yaml", overrides)
    prepare_records(config.records)
    info = DatasetInfo.load(config.records.directory)
    assert {split: (part.clips, len(part.signers)) for split, part in info.splits.items()} == {
        split: (len(LETTERS), 1) for split in SPLITS
    }
    assert info.clip_spec.keypoints is None
    assert info.pixel_statistics is not None


def test_sentences_are_rendered_as_the_config_asks(monkeypatch: pytest.MonkeyPatch):
    asked: dict[str, object] = {}
    monkeypatch.setattr("tfrecords_tools.synthesize.synthesize", lambda output, **what: asked.update(what))
    prepare = load_config(REPOSITORY / "configs/keypoint_ctc.yaml").records.prepare
    assert prepare is not None
    synthesize_videos(prepare)
    assert (asked["sentences"], asked["clips_per_gloss"], asked["signers"]) == (12, 0, 32)


@pytest.mark.parametrize(
    "names", [WORDS_CONFIGS, SENTENCES_CONFIGS, LETTERS_CONFIGS], ids=["words", "sentences", "letters"]
)
def test_experiments_on_the_same_signs_share_their_records(names: tuple[str, ...]):
    records = [load_config(REPOSITORY / "configs" / f"{name}.yaml").records for name in names]
    assert records == records[:1] * len(names)
