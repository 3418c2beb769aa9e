"""Backbones fine-tuned for full 8 bits, or pruned, on their way into a file."""

import dataclasses
import json

import keras
import numpy as np
import pydantic
import pytest

from sign_keras.config import CNNLSTMConfig, ExportConfig
from sign_keras.data.dataset import Records
from sign_keras.export import export_run, fine_tuning
from sign_keras.export.fine_tuning import (
    check_fine_tuning,
    fine_tuned_backbone,
    set_weights_by_layer,
    weights_by_layer,
)
from sign_keras.export.fine_tuning_work import FineTuned, frames_to_learn_from, held_out_frames
from sign_keras.export.representative import write_representative_clips
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.models.backbones import build_backbone
from sign_keras.run import Run
from tests.sign_keras.export.tiny_export import make_run
from tfrecords_tools.command_line import UserError


@dataclasses.dataclass(frozen=True)
class Trained:
    run: Run
    records: Records


@pytest.fixture(scope="module")
def trained(tiny_records):
    return Trained(*make_run(tiny_records, tiny_records.parent / "exports" / "runs" / "tiny"))


def with_settings(run, export=None, **model):
    config = run.config.model_copy(
        update={
            "model": CNNLSTMConfig.model_validate({**run.config.model.model_dump(), **model}),
            "export": ExportConfig.model_validate(export or {}),
        }
    )
    return dataclasses.replace(run, config=config)


@pytest.mark.parametrize(("method", "instead"), [("qat", "int8 or dynamic"), ("pruned", "float16 or dynamic")])
def test_other_backbones_are_refused_before_anything_is_written(trained, tmp_path, method, instead):
    run = with_settings(trained.run, backbone="resnet50_v2", backbone_width=1)
    expected = (
        rf"^--quantization {method}: fine-tunes frame backbones \(model.backbone: mobilenet_v2, "
        rf"mobilenet_v2_points\), and this run has resnet50_v2; choose {instead}"
    )
    with pytest.raises(UserError, match=expected):
        export_run(run, ["tflite"], ["none", method], records=trained.records, output_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_models_without_frames_are_refused(trained):
    class Keypoints:
        architecture = "keypoint_transformer"

    config = trained.run.config.model_copy(update={"model": Keypoints()})
    with pytest.raises(UserError, match=r"this run has none \(keypoint_transformer\); choose int8 or dynamic$"):
        check_fine_tuning("qat", config)


@pytest.mark.parametrize("method", ["qat", "pruned"])
def test_training_records_are_needed(trained, tmp_path, method):
    with pytest.raises(UserError, match=rf"^--quantization {method}: learns from the run's training records, and "):
        export_run(trained.run, ["tflite"], [method], output_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(trained, monkeypatch):
    monkeypatch.setattr(fine_tuning, "NEEDED", ("keras", "no_such_package"))
    with pytest.raises(UserError, match=r"not installed: no_such_package; .*pip install 'sign_keras\[qat\]'"):
        check_fine_tuning("qat", trained.run.config)


@pytest.mark.parametrize("settings", [{"sparsity": 1}, {"steps": 0}, {"learning_rate": 0}, {"epochs": 3}])
def test_settings_are_checked(settings):
    with pytest.raises(pydantic.ValidationError, match=f"fine_tuning.{next(iter(settings))}"):
        ExportConfig.model_validate({"fine_tuning": settings})


@pytest.fixture
def examples(trained, tmp_path):
    write_representative_clips(trained.records, 9, 1, tmp_path / "examples")
    return tmp_path / "examples"


def test_the_backbone_has_other_weights_within_the_context_alone(trained, examples, monkeypatch):
    artefact = RunArtefact(trained.run)
    network = artefact.model.get_layer("frame_features").inner.get_layer("mobilenet_v2")
    before = weights_by_layer(network)
    inputs, _, _ = next(trained.records.evaluation_batches("train", 3).as_numpy_iterator())
    answers = artefact.logits(inputs)
    asked = {}

    def halve(work, weights, expected, progress):
        asked.update(work=work, expected=expected)
        return FineTuned(weights={name: [0.5 * value for value in values] for name, values in weights.items()})

    monkeypatch.setattr(fine_tuning, "_fine_tune", halve)
    run = with_settings(trained.run, {"fine_tuning": {"steps": 12}})

    def use_and_fail():
        with fine_tuned_backbone(artefact.model, "pruned", run.config, examples) as report:
            assert report["steps"] == 12
            for name, values in weights_by_layer(network).items():
                for found, value in zip(values, before[name], strict=True):
                    np.testing.assert_array_equal(found, 0.5 * value)
            raise UserError("not written")

    with pytest.raises(UserError, match="not written"):
        use_and_fail()
    np.testing.assert_array_equal(artefact.logits(inputs), answers)
    work = asked["work"]
    assert (work.method, work.network, work.width_multiplier) == ("pruned", "MobileNetV2", 0.35)
    assert (work.picture, work.outputs) == ((32, 32, 3), ("out_relu",))
    assert asked["expected"][0].shape == (min(8, len(held_out_frames(examples))), 1, 1, 1280)


def test_all_that_points_are_made_of_stays_what_it_is(trained, examples, monkeypatch):
    asked = []
    monkeypatch.setattr(
        fine_tuning, "_fine_tune", lambda work, weights, *_: asked.append(work) or FineTuned(weights=weights)
    )
    run = with_settings(trained.run, backbone="mobilenet_v2_points")
    backbone = build_backbone("mobilenet_v2_points", 32, 32, width_multiplier=0.35, weights="none")
    with fine_tuned_backbone(backbone, "qat", run.config, examples) as report:
        assert "sparsity" not in report
    assert asked[0].outputs == ("block_6_expand_relu", "block_13_expand_relu", "out_relu")


def test_weights_go_to_the_layers_of_their_names():
    def network(names):
        inputs = keras.Input((3,))
        return keras.Model(
            inputs, [keras.layers.Dense(2, use_bias=name == "a", name=name)(inputs) for name in names]
        )

    first, other_order = network("ab"), network("ba")
    set_weights_by_layer(other_order, weights_by_layer(first))
    for name in "ab":
        for a, b in zip(first.get_layer(name).weights, other_order.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="weights of other layers: b, c"):
        set_weights_by_layer(network("ac"), weights_by_layer(first))


def test_real_frames_are_learned_from_and_others_are_held_out(tmp_path):
    frames = np.arange(12 * 4, dtype=np.uint8).reshape(12, 4, 1, 1, 1) * np.ones((1, 1, 2, 2, 3), np.uint8)
    lengths = np.arange(12) % 4 + 1
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "frame_mask.npy", np.arange(4) < lengths[:, None])
    learned, held_out = (set(read(tmp_path)[:, 0, 0, 0]) for read in (frames_to_learn_from, held_out_frames))
    real = {4 * clip + frame for clip in range(12) for frame in range(lengths[clip])}
    assert held_out == {number for number in real if number // 4 in (0, 10)}
    assert learned == real - held_out


@pytest.mark.slow
def test_fine_tuned_files_hold_what_was_asked_for(trained, tmp_path):
    run = with_settings(
        trained.run,
        {
            "min_top1_agreement": 0,
            "max_accuracy_loss": 1,
            "representative_clips": 9,
            "fine_tuning": {"steps": 60, "batch_size": 8, "sparsity": 0.6},
        },
    )
    paths = export_run(
        run,
        ["tflite"],
        ["none", "qat", "pruned"],
        records=trained.records,
        output_dir=tmp_path,
        progress=False,
    )
    assert [path.name for path in paths] == ["tiny.tflite", "tiny_qat.tflite", "tiny_pruned.tflite"]
    plain, qat, pruned = (json.loads(path.with_suffix(".json").read_text()) for path in paths)
    assert plain["fine_tuning"] is None
    assert qat["fine_tuning"]["steps"] == 60
    assert qat["operator_classes"]["int8"] > 10 * qat["operator_classes"]["float"]
    assert pruned["fine_tuning"]["zeros"] == pytest.approx(0.6, abs=0.01)
    assert zeros_of_1x1_convolutions(paths[2]) == pytest.approx(0.6, abs=0.01)
    assert zeros_of_1x1_convolutions(paths[0]) < 0.01
    assert pruned["zipped_bytes"] < 0.85 * plain["zipped_bytes"]


def zeros_of_1x1_convolutions(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), experimental_preserve_all_tensors=True)
    details = {item["index"]: item for item in interpreter.get_tensor_details()}
    kernels = [
        interpreter.get_tensor(op["inputs"][1])
        for op in interpreter._get_ops_details()
        if op["op_name"] == "CONV_2D" and tuple(details[op["inputs"][1]]["shape"][1:3]) == (1, 1)
    ]
    assert len(kernels) == 34  # 16 that expand (the first block does not), 17 that project, and the last
    return sum(int((kernel == 0).sum()) for kernel in kernels) / sum(kernel.size for kernel in kernels)
