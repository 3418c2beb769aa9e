"""``python -m sign_keras.import_weights``: torchvision's published weights for our models.

Reads PyTorch's files without PyTorch, and runs nothing that is in them.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sign_keras.quiet import quiet_tensorflow
from sign_keras.torch_checkpoint import read_checkpoint
from tfrecords_tools.command_line import SUCCESS, UserError, run_command

if TYPE_CHECKING:
    import keras
    import numpy as np

ARCHITECTURES = ("r3d_18", "r2plus1d_18", "mc3_18", "mobilenet_v2")
EXAMPLE = """example:
  python -m sign_keras.import_weights --architecture r2plus1d_18 \\
      --input r2plus1d_18-91a641e6.pth --output weights/r2plus1d_18.weights.h5
then in a config:
  model: {architecture: r2plus1d, weights: weights/r2plus1d_18.weights.h5, normalization: kinetics}

docs/models.md says where the files are published.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.import_weights",
        description="Turns a checkpoint of torchvision into a weights file for a config. Needs no PyTorch.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--architecture", required=True, choices=ARCHITECTURES, help="torchvision's name of it")
    parser.add_argument("--input", required=True, type=Path, metavar="FILE", help=".pth, .pt or .safetensors")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.weights.h5", help="file to write")
    parser.add_argument(
        "--width", type=float, default=1.0, metavar="X", help="width multiplier of mobilenet_v2 (default 1.0)"
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    output: Path = arguments.output
    if not output.name.endswith(".weights.h5"):
        raise UserError(f"--output {output}: the name must end in .weights.h5")
    tensors = read_checkpoint(arguments.input)
    quiet_tensorflow()
    what = f"{arguments.input}: does not fit {arguments.architecture}"
    if arguments.architecture == "mobilenet_v2":
        model, section = import_mobilenet(tensors, arguments.width, what)
        section |= {"backbone_weights": str(output)}
    else:
        model, section = import_resnet3d(tensors, arguments.architecture, what)
        section |= {"weights": str(output)}
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}")
    model.save_weights(partial)
    partial.replace(output)
    settings = ", ".join(f"{key}: {value}" for key, value in section.items())
    print(f"wrote {output} ({model.count_params():,} parameters); in a config: model: {{{settings}, ...}}")
    return SUCCESS


def import_resnet3d(
    tensors: "dict[str, np.ndarray]", architecture: str, what: str
) -> "tuple[keras.Model, dict[str, Any]]":
    """Builds one of torchvision's video networks, with as many classes as the checkpoint has.

    Args:
        tensors: the checkpoint.
        architecture: ``r3d_18``, ``r2plus1d_18`` or ``mc3_18``.
        what: begins messages.

    Returns:
        The model, and what a configuration says to have it.

    Raises:
        UserError: a tensor is missing, has another shape or no place.
    """
    import pydantic

    from sign_keras.config import VideoResNetConfig
    from sign_keras.models import build_model
    from sign_keras.models.clip_inputs import ClipInput
    from sign_keras.models.torchvision_weights import assign_tensors, resnet3d_places
    from tfrecords_tools.clips import SamplingSpec

    name, _, depth = architecture.rpartition("_")
    section = {"architecture": name, "depth": int(depth), "normalization": "kinetics"}
    config: VideoResNetConfig = pydantic.TypeAdapter(VideoResNetConfig).validate_python(section)
    head = tensors.get("fc.bias")
    if head is None or head.ndim != 1:
        raise UserError(f"{what}: tensor fc.bias of shape [classes] is missing; is it another network's file?")
    # Weights do not depend on the clip's size.
    model = build_model(config, ClipInput(SamplingSpec(num_frames=16, height=112, width=112)), len(head))
    assign_tensors(resnet3d_places(model), tensors, what)
    return model, section


def import_mobilenet(
    tensors: "dict[str, np.ndarray]", width: float, what: str
) -> "tuple[keras.Model, dict[str, Any]]":
    """Builds the backbone that computes what torchvision's ``mobilenet_v2`` does in front of its classifier.

    Raises:
        UserError: a tensor is missing, has another shape or no place.
    """
    from sign_keras.models.backbones import build_backbone
    from sign_keras.models.torchvision_weights import assign_tensors, mobilenet_places

    name = "mobilenet_v2_torchvision"
    backbone = build_backbone(name, 224, 224, width_multiplier=width, weights="none")
    assign_tensors(mobilenet_places(backbone), tensors, what)
    return backbone, {"backbone": name, "backbone_width": width}


if __name__ == "__main__":
    run_command(main)
