"""PyTorch's side of ``training_step.py``: a network of torchvision in training; needs these two alone."""

import argparse
import importlib.util
import itertools
import re
from pathlib import Path
from typing import Any

import torch
from side import answer, least, peak_memory_of, seconds_of
from torch.utils.flop_counter import FlopCounterMode

# Of R, G, B in [0, 1]; torchvision/transforms/_presets.py, VideoClassification.
MEAN, DEVIATION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
NUM_CLASSES = 400


def main() -> None:
    """Builds, then answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    trained = Training(arguments.model, arguments.channels_last)
    answer(
        {
            "parameters": trained.parameters,
            "step": trained.step_seconds,
            "memory": trained.step_memory,
            "flops": trained.flops,
            "convolutions": trained.convolutions,
            "time_convolution": time_convolution,
            "matmul": matmul_seconds,
        }
    )


class Training:
    """A network, its optimiser, and one step.

    Args:
        name: of a function of ``torchvision.models.video``.
        channels_last: whether weights and activations have their channels last.
    """

    def __init__(self, name: str, channels_last: bool) -> None:
        layout = torch.channels_last_3d if channels_last else torch.contiguous_format
        make = getattr(import_torchvision().models.video, name)
        self.network = make(weights=None, num_classes=NUM_CLASSES).train().to(memory_format=layout)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.01, momentum=0.9)
        self.layout = layout
        self.scale = torch.tensor(DEVIATION) * 255
        self.mean = torch.tensor(MEAN) * 255

    def parameters(self) -> int:
        """How many are trained."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def step(self, frames: torch.Tensor, labels: torch.Tensor) -> float:
        """One update from ``[B, T, H, W, 3]`` uint8 and ``[B]``."""
        clip = ((frames - self.mean) / self.scale).permute(0, 4, 1, 2, 3).contiguous(memory_format=self.layout)
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.network(clip), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def step_seconds(self, shape: list[int], repeats: int) -> list[dict[str, float]]:
        """Of each of some steps."""
        batch = random_batch(shape)
        return seconds_of(lambda: self.step(*batch), repeats)

    def step_memory(self, shape: list[int]) -> int:
        """Peak of the first two steps; the second has the optimiser's state."""
        batch = random_batch(shape)
        return peak_memory_of(lambda: [self.step(*batch) for _ in range(2)])

    def flops(self, shape: list[int]) -> int:
        """Of the convolutions and matrix products of a step."""
        with FlopCounterMode(display=False) as counter:
            self.step(*random_batch(shape))
        return counter.get_total_flops()

    def convolutions(self, shape: list[int]) -> list[dict[str, Any]]:
        """Every distinct convolution of the network, with its input's shape and how often it comes."""
        found: dict[tuple, int] = {}

        def see(module: torch.nn.Conv3d, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
            batch, channels, *sizes = inputs[0].shape
            key = ((batch, *sizes, channels), module.out_channels, module.kernel_size, module.stride)
            found[key] = found.get(key, 0) + 1

        layers = [module for module in self.network.modules() if isinstance(module, torch.nn.Conv3d)]
        hooks = [layer.register_forward_hook(see) for layer in layers]
        self.step(*random_batch(shape))
        for hook in hooks:
            hook.remove()
        names = ("shape", "filters", "kernel_size", "strides", "count")
        return [dict(zip(names, (*key, count), strict=True)) for key, count in found.items()]


def time_convolution(
    shape: list[int], filters: int, kernel_size: list[int], strides: list[int], repeats: int
) -> dict[str, dict[str, float]]:
    """Least seconds forward, and with both gradients, of inputs ``[B, T, H, W, C]``."""
    batch, *sizes, channels = shape
    inputs = torch.randn(batch, channels, *sizes, requires_grad=True)
    kernel = torch.randn(filters, channels, *kernel_size, requires_grad=True)
    padding = [size // 2 for size in kernel_size]

    def forward() -> torch.Tensor:
        return torch.nn.functional.conv3d(inputs, kernel, stride=strides, padding=padding)

    with torch.no_grad():
        gradient = torch.randn_like(forward())
        seconds = least(seconds_of(forward, repeats))
    both = least(seconds_of(lambda: torch.autograd.grad(forward(), (inputs, kernel), gradient), repeats))
    return {"forward": seconds, "both": both}


def matmul_seconds(size: int, repeats: int) -> dict[str, float]:
    """The least of some float32 products of two square matrices."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    return least(seconds_of(lambda: left @ right, repeats))


def random_batch(shape: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips ``[B, T, H, W, 3]`` uint8 and their classes."""
    return torch.randint(0, 256, shape, dtype=torch.uint8), torch.randint(0, NUM_CLASSES, shape[:1])


def import_torchvision() -> Any:
    """Imports it beside a PyTorch without CUDA: operators of its extension, which does not load, are declared."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "error: torchvision is not installed: pip install --no-deps torchvision==0.28.0; pip install pillow"
        )
    if not hasattr(torch.ops.torchvision, "nms"):
        source = (Path(spec.origin).parent / "_meta_registrations.py").read_text()
        names = set(itertools.chain(*re.findall(r"register_meta\(\"(\w+)\"|torchvision::(\w+)", source)))
        for name in names - {"", "nms"}:
            KEPT.define(f"{name}(Tensor x) -> Tensor")
        KEPT.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision.models.video

    return torchvision


# Declarations vanish with it.
KEPT = torch.library.Library("torchvision", "FRAGMENT")

if __name__ == "__main__":
    main()
