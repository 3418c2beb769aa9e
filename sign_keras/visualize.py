"""``python -m sign_keras.visualize``: pictures that explain a run."""

import argparse
from pathlib import Path

from sign_keras.inference.info import kind_of
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.clips import SPLITS
from tfrecords_tools.command_line import SUCCESS, UserError, run_command

EXAMPLE = """example:
  python -m sign_keras.visualize --run runs/keypoint_ctc
  python -m sign_keras.visualize --run runs/cnn_lstm --clip clips/house/s2027_031_00.mp4 --clip my_own.mp4

A clip is a video file, or the media id of a clip of the run's records, as predictions.csv has it. Without --clip:
the surest right and the surest wrong answers of the run's test.

writes pictures.html, which opens in a browser, and every picture as PNG: architecture.png, learning_*.png, and for
each clip a folder with alignment.png or probabilities.png, frames.png, evidence.png, and frame_scores.png and
attention.png where the model has them. docs/pictures.md says what they show.
"""
FOLDER_NAME = "pictures"


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.visualize",
        description="Draws what a run's model reads in clips, what it looks at, how it learnt and how it is built.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="run directory")
    parser.add_argument(
        "--clip",
        action="append",
        default=[],
        metavar="CLIP",
        help="video or media id; may be repeated (default: some)",
    )
    parser.add_argument("--records", type=Path, metavar="DIR", help="where clips are (default: the run's own)")
    parser.add_argument("--split", choices=SPLITS, help="looked in first (default: the one the run was tested on)")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the pictures (default: RUN/pictures)"
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    directory: Path = arguments.run
    if kind_of(directory) != "run":  # a misspelt path is told before TensorFlow is loaded
        raise UserError(
            f"--run {directory}: is an export, whose layers cannot be looked into; give the run it came from"
        )
    quiet_tensorflow(run_half_op=True)
    from sign_keras.data.dataset import Records
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.pictures.clips import default_names, open_clips
    from sign_keras.pictures.folder import PAGE_NAME, write_pictures
    from sign_keras.pictures.page import verdict
    from sign_keras.run import Run

    run = Run.load(directory)
    artefact = RunArtefact(run)
    split = arguments.split or run.config.evaluate.split
    records = None
    if not all(Path(name).is_file() for name in arguments.clip) or not arguments.clip:
        folder = arguments.records or run.config.records.directory
        records = Records.open(
            folder, artefact.sampling, artefact.input_names, artefact.task, artefact.frames_per_logit
        )
        names = arguments.clip or default_names(directory, records, split)
    else:
        names = arguments.clip
    clips = open_clips(names, artefact, records, split)
    output = arguments.output or directory / FOLDER_NAME
    for found in write_pictures(output, artefact, run, clips):
        outcome = verdict(found)
        signed = f"; signed: {outcome['signed']}" if outcome["signed"] else ""
        print(f"{found.clip.name}: {outcome['said']}{signed}")
    print(f"pictures: {output / PAGE_NAME}")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
