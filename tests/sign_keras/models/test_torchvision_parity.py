"""Against torchvision itself, number by number; needs PyTorch: make test-torch."""

import numpy as np
import pydantic
import pytest

from sign_keras.config import ModelConfig
from sign_keras.import_weights import import_mobilenet, import_resnet3d
from sign_keras.import_weights import main as import_weights
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.torch_checkpoint import read_checkpoint
from tests.sign_keras.models.torchvision_reference import import_torchvision
from tfrecords_tools.clips import SamplingSpec

pytestmark = pytest.mark.slow

KINETICS_MEAN, KINETICS_DEVIATION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def torchvision():
    return import_torchvision()


def with_lively_statistics(network):
    """Random batch-norm statistics and gains, as a trained network has; activations keep their size."""
    import torch

    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            count = module.num_features
            module.running_mean.copy_(0.2 * torch.randn(count, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(count, generator=generator))
            module.weight.data.copy_(0.5 + torch.rand(count, generator=generator))
            module.bias.data.copy_(0.2 * torch.randn(count, generator=generator))
    return network.eval()


def random_network(make):
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        return with_lively_statistics(make(weights=None))


@pytest.mark.parametrize("num_frames", [16, 5, 1])
@pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18", "mc3_18"])
def test_logits_are_torchvisions(torchvision, tmp_path, name, num_frames):
    import torch

    network = random_network(getattr(torchvision.models.video, name))
    torch.save(network.state_dict(), tmp_path / "network.pth")
    model, section = import_resnet3d(read_checkpoint(tmp_path / "network.pth"), name, "test")
    model.save_weights(tmp_path / "network.weights.h5")

    frames = np.random.default_rng(0).integers(0, 256, (2, num_frames, 64, 48, 3), np.uint8)
    pixels = (frames / 255 - KINETICS_MEAN) / KINETICS_DEVIATION
    with torch.no_grad():
        expected = network(torch.tensor(pixels, dtype=torch.float32).permute(0, 4, 1, 2, 3)).numpy()

    section["weights"] = str(tmp_path / "network.weights.h5")
    config = pydantic.TypeAdapter(ModelConfig).validate_python(section)
    ours = build_model(config, ClipInput(SamplingSpec(num_frames=num_frames, height=64, width=48)), 400)
    np.testing.assert_allclose(ours({"frames": frames}, training=False), expected, atol=1e-4)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize(("size", "width"), [(64, 1.0), (65, 0.5)])
def test_mobilenet_logits_are_torchvisions(torchvision, tmp_path, size, width):
    import torch

    network = random_network(lambda weights: torchvision.models.mobilenet_v2(weights=weights, width_mult=width))
    torch.save(network.state_dict(), tmp_path / "network.pth")
    tensors = read_checkpoint(tmp_path / "network.pth")
    backbone, section = import_mobilenet(tensors, width, "test")
    backbone.save_weights(tmp_path / "network.weights.h5")

    from sign_keras.models.backbones import build_backbone

    pictures = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    pixels = (pictures / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
    with torch.no_grad():
        expected = network(torch.tensor(pixels, dtype=torch.float32).permute(0, 3, 1, 2)).numpy()
    ours = build_backbone(
        section["backbone"], size, size, width_multiplier=width, weights=str(tmp_path / "network.weights.h5")
    )
    features = np.asarray(ours(pictures, training=False))
    logits = features @ tensors["classifier.1.weight"].T + tensors["classifier.1.bias"]
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_of_pytorch_are_read_as_pytorch_reads_them(torchvision, tmp_path, run_main, zipped):
    import torch

    state = {
        "float": torch.randn(3, 4),
        "half": torch.randn(5).half(),
        "bfloat16": torch.randn(7).bfloat16(),
        "long": torch.tensor(3),
        "view": torch.arange(12.0).reshape(3, 4).T[1:],
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "state.pth"
    torch.save({"state_dict": state, "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
    tensors = read_checkpoint(path)
    assert list(tensors) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensors[name], tensor.detach().float().numpy(), err_msg=name)
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=zipped)
    status, _, error = run_main(
        import_weights, "--architecture", "r3d_18", "--input", path, "--output", tmp_path / "a.weights.h5"
    )
    assert status == 2
    assert "refused: it asks for torch.nn.modules.linear.Linear" in error
