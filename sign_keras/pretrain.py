"""``python -m sign_keras.pretrain``: weights to start from, made of rendered pictures alone."""

import argparse
from pathlib import Path

from sign_keras.config import load_config
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.settings import add_overrides

EXAMPLE = """examples:
  python -m sign_keras.pretrain frames --output backbone.weights.h5
  python -m sign_keras.pretrain clips --config configs/cnn_lstm.yaml --output recogniser.weights.h5
then in a config:  model.backbone_weights: backbone.weights.h5   or   model.weights: recogniser.weights.h5
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.pretrain",
        description="Pre-trains on rendered people who sign at random: people and signs that no data set has.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    frames = kinds.add_parser("frames", help="a small MobileNetV2 that knows hands, from still frames")
    frames.add_argument("--frames", type=int, default=48_000, metavar="N", help="rendered frames (default 48000)")
    frames.add_argument("--epochs", type=int, default=8, metavar="N", help="passes over them (default 8)")
    frames.add_argument("--size", type=int, default=96, metavar="N", help="frame size in pixels (default 96)")
    frames.add_argument("--width", type=float, default=0.35, metavar="X", help="width multiplier (default 0.35)")
    frames.add_argument("--batch-size", type=int, default=64, metavar="N", help="frames a step (default 64)")
    frames.add_argument("--learning-rate", type=float, default=2e-3, metavar="X", help="of AdamW (default 0.002)")
    frames.add_argument(
        "--keep-frames", type=Path, metavar="FILE.npz", help="keep rendered frames for the next run, or take them"
    )
    clips = kinds.add_parser("clips", help="a config's whole model but its head, from clips")
    clips.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="whose model, sampling, augmentation"
    )
    add_overrides(clips, "change a setting of the config")
    clips.add_argument("--clips", type=int, default=10_240, metavar="N", help="rendered clips (default 10240)")
    clips.add_argument("--epochs", type=int, default=8, metavar="N", help="passes over them (default 8)")
    clips.add_argument("--batch-size", type=int, default=16, metavar="N", help="clips a step (default 16)")
    clips.add_argument("--learning-rate", type=float, default=2e-3, metavar="X", help="of AdamW (default 0.002)")
    clips.add_argument(
        "--keep-clips",
        type=Path,
        default=Path("data/training_clips"),
        metavar="DIR",
        help="where rendered clips are kept, and taken from (default data/training_clips)",
    )
    for kind in (frames, clips):
        kind.add_argument("--output", type=Path, required=True, metavar="FILE.weights.h5", help="file to write")
        kind.add_argument("--seed", type=int, default=0, metavar="N", help="of pictures and weights (default 0)")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if not arguments.output.name.endswith(".weights.h5"):
        raise UserError(f"--output {arguments.output}: the name must end in .weights.h5")
    config = load_config(arguments.config, arguments.overrides) if arguments.kind == "clips" else None
    quiet_tensorflow()
    if config is None:
        from sign_keras.pretraining.frames import train_backbone

        train_backbone(arguments)
    else:
        from sign_keras.pretraining.clips import train_clips

        train_clips(config, arguments)
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size / 1e6:.1f} MB)")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
