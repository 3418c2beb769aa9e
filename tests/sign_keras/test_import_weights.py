import numpy as np
import pytest

from sign_keras.import_weights import main
from sign_keras.models import build_model
from sign_keras.models.backbones import build_backbone
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.torchvision_weights import mobilenet_places, resnet3d_places
from tests.sign_keras.models.architectures import SINGLE, settings
from tests.sign_keras.torch_files import write_checkpoint


def state_for(places):
    """Random tensors, in PyTorch's layout, by torchvision's names."""
    rng = np.random.default_rng(0)
    state = {}
    for name, variable, axes in places:
        shape = tuple(variable.shape[axes.index(axis)] for axis in range(len(axes)))
        state[name] = rng.random(shape, np.float32)
    return state


@pytest.fixture(scope="module")
def mc3_state():
    """As torchvision's mc3_18 (the smallest) has it, for 3 classes."""
    model = build_model(settings("mc3", depth=18, width=64, normalization="kinetics"), ClipInput(SINGLE), 3)
    return state_for(resnet3d_places(model))


def test_names_and_shapes_are_torchvisions(mc3_state):
    # Spot checks from torchvision's mc3_18(num_classes=3).state_dict().
    assert len(mc3_state) == 20 + 20 * 4 + 2
    assert mc3_state["stem.0.weight"].shape == (64, 3, 3, 7, 7)
    assert mc3_state["layer1.1.conv2.0.weight"].shape == (64, 64, 3, 3, 3)
    assert mc3_state["layer2.0.conv1.0.weight"].shape == (128, 64, 1, 3, 3)
    assert mc3_state["layer3.0.downsample.0.weight"].shape == (256, 128, 1, 1, 1)
    assert mc3_state["layer4.1.conv1.1.running_var"].shape == (512,)
    assert mc3_state["fc.weight"].shape == (3, 512)


def test_a_checkpoint_becomes_a_weights_file(mc3_state, tmp_path, run_main):
    source, output = tmp_path / "mc3.pth", tmp_path / "weights" / "mc3.weights.h5"
    counters = {"stem.1.num_batches_tracked": np.array(5, np.int64)}
    write_checkpoint(source, mc3_state | counters, zipped=False)
    status, printed, _ = run_main(main, "--architecture", "mc3_18", "--input", source, "--output", output)
    assert status == 0
    assert f"model: {{architecture: mc3, depth: 18, normalization: kinetics, weights: {output}" in printed
    config = settings("mc3", depth=18, width=64, normalization="kinetics", weights=str(output))
    model = build_model(config, ClipInput(SINGLE), 3)
    kernel = np.asarray(model.get_layer("layer2").layers[0].conv1.layers[0].kernel)
    np.testing.assert_array_equal(kernel[0, 1, 2, 5, 7], mc3_state["layer2.0.conv1.0.weight"][7, 5, 0, 1, 2])
    np.testing.assert_array_equal(model.get_layer("logits").kernel, mc3_state["fc.weight"].T)
    variance = model.get_layer("layer4").layers[1].conv2.layers[1].moving_variance
    np.testing.assert_array_equal(variance, mc3_state["layer4.1.conv2.1.running_var"])
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"layer2.0.conv1.0.weight": np.zeros((128, 64, 3, 3, 3), np.float32)},
            "tensor layer2.0.conv1.0.weight has shape [128, 64, 3, 3, 3], wanted [128, 64, 1, 3, 3]",
        ),
        ({"layer3.1.conv2.1.bias": None}, "tensor layer3.1.conv2.1.bias of shape [256] is missing"),
        (
            {"layer5.weight": np.zeros(3, np.float32)},
            "tensor layer5.weight of shape [3] has no place in the network",
        ),
        ({"fc.bias": None}, "tensor fc.bias of shape [classes] is missing"),
    ],
)
def test_the_first_tensor_that_differs_is_named(mc3_state, tmp_path, run_main, change, message):
    state = {name: value for name, value in (mc3_state | change).items() if value is not None}
    write_checkpoint(tmp_path / "mc3.pth", state)
    output = tmp_path / "mc3.weights.h5"
    status, _, error = run_main(
        main, "--architecture", "mc3_18", "--input", tmp_path / "mc3.pth", "--output", output
    )
    assert status == 2
    assert f"mc3.pth: does not fit mc3_18: {message}" in error
    assert not output.exists()


def test_mobilenet_becomes_a_backbone_file(tmp_path, run_main):
    name, width = "mobilenet_v2_torchvision", 0.35
    places = list(mobilenet_places(build_backbone(name, 32, 32, width_multiplier=width, weights="none")))
    state = state_for(places)
    assert state["features.1.conv.0.0.weight"].shape == (16, 1, 3, 3)  # as torchvision's of width 0.35
    assert state["features.2.conv.3.running_mean"].shape == (8,)
    write_checkpoint(tmp_path / "net.pth", state | {"classifier.1.weight": np.zeros((1000, 1280), np.float32)})
    output = tmp_path / "net.weights.h5"
    arguments = (
        "--architecture",
        "mobilenet_v2",
        "--width",
        width,
        "--input",
        tmp_path / "net.pth",
        "--output",
        output,
    )
    status, printed, _ = run_main(main, *arguments)
    assert status == 0
    assert f"backbone: {name}, backbone_width: 0.35, backbone_weights: {output}" in printed
    backbone = build_backbone(name, 32, 32, width_multiplier=width, weights=str(output))
    for torch_name, variable, axes in mobilenet_places(backbone):
        np.testing.assert_array_equal(variable, state[torch_name].transpose(axes), err_msg=torch_name)


def test_wrong_use_is_one_line(tmp_path, run_main):
    arguments = ("--architecture", "r3d_18", "--input", tmp_path / "none.pth", "--output")
    assert "must end in .weights.h5" in run_main(main, *arguments, tmp_path / "out.h5")[2]
    status, _, error = run_main(main, *arguments, tmp_path / "out.weights.h5")
    assert (status, error.count("\n")) == (2, 1)
    assert "none.pth: no such file" in error
