"""torchvision beside a PyTorch without CUDA, for comparisons."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest


def import_torchvision() -> ModuleType:
    """Imports torchvision, or skips the test where it or PyTorch is not installed.

    Its wheels expect operators of their CUDA extension, which do not load beside PyTorch for CPUs: their names are
    declared first, since importing asks for nothing more.
    """
    torch = pytest.importorskip("torch")
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchvision is not installed: make test-torch")
    if not hasattr(torch.ops.torchvision, "nms"):
        source = (Path(spec.origin).parent / "_meta_registrations.py").read_text()
        names = set(re.findall(r"register_meta\(\"(\w+)\"|torchvision::(\w+)", source))
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in {first or second for first, second in names} - {"nms"}:
            library.define(f"{name}(Tensor x) -> Tensor")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        KEPT.append(library)
    import torchvision
    import torchvision.models.video

    return torchvision


# A library's operators vanish with it.
KEPT: list[object] = []
