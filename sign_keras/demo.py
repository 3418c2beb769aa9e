"""``python -m sign_keras.demo``: recognises signs as they are made, before a camera or in a video."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from sign_keras.inference.info import kind_of
from sign_keras.inference.stream_settings import StreamSettings
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.camera import DeviceCamera
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.landmark_process import LandmarkProcess
from tfrecords_tools.settings import add_overrides, apply_overrides, validate
from tfrecords_tools.video import VideoError, open_video
from tfrecords_tools.window import Window

EXAMPLE = """example:
  python -m sign_keras.demo --model tflite/my_signs.tflite
  python -m sign_keras.demo --model runs/keypoint_ctc --video recording.mp4 --no-window --output annotated.mp4

Rest your hands between signs: a sign ends when they do; models of sentences read on. q or Esc ends. A camera's
frames that come too fast are left out and counted, a video's never are. What is filmed stays on this machine.
docs/live.md explains events and settings (--set hold_seconds=0.5 ...).
"""
CAMERA_RATE = 20.0  # frames a second of what is written of a camera, whose own rate changes with the light


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.demo",
        description="Recognises signs live, with a run, a SavedModel or a .tflite file.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", required=True, type=Path, metavar="PATH", help="run directory, SavedModel directory or .tflite"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--camera", type=int, default=0, metavar="N", help="camera to look through (default: 0)")
    source.add_argument("--video", type=Path, metavar="FILE", help="a video in a camera's place")
    parser.add_argument("--no-window", action="store_true", help="show nothing; signs are printed all the same")
    parser.add_argument("--output", type=Path, metavar="FILE.mp4", help="write what a window shows to a video")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so many seconds of the stream")
    parser.add_argument("--json", action="store_true", help="print every event as one JSON object a line")
    add_overrides(parser, "a setting of the stream, e.g. hold_seconds=0.5 or top_k=3; may be repeated")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    settings = checked_settings(arguments)
    with ExitStack() as resources:
        # What can be wrong is told before TensorFlow is loaded, and MediaPipe loads beside it.
        camera = process = None
        rate = CAMERA_RATE
        if arguments.video is None:
            camera = resources.enter_context(DeviceCamera(arguments.camera))
        else:
            rate = frame_rate(arguments.video)
        window = None if arguments.no_window else Window("demo", f"{arguments.model.stem} (q ends)")
        if camera is not None:
            process = resources.enter_context(LandmarkProcess())
        quiet_tensorflow(run_half_op=True)

        from sign_keras.inference.loading import load_artefact
        from sign_keras.inference.stream import SignStream
        from sign_keras.live.show import Show
        from sign_keras.live.views import CameraViews, file_views

        stream = SignStream(load_artefact(arguments.model), settings)
        show = Show(window, arguments.output, rate, camera is not None, arguments.seconds, arguments.json)
        if camera is None or process is None:
            show.run(file_views(arguments.video, stream), stream.finish)
            return SUCCESS
        views = CameraViews(camera, stream, process)
        try:
            show.run(iter(views), stream.finish)
        finally:
            print(f"{views.num_frames} frames seen, {views.num_dropped} came too fast", file=sys.stderr)
    return SUCCESS


def checked_settings(arguments: argparse.Namespace) -> StreamSettings:
    """The stream's settings, where the arguments make sense.

    Raises:
        UserError: they do not.
    """
    kind_of(arguments.model)
    if arguments.camera < 0:
        raise UserError(f"--camera {arguments.camera}: cameras are counted from 0")
    if arguments.seconds is not None and not arguments.seconds > 0:
        raise UserError(f"--seconds {arguments.seconds:g}: must be above 0")
    if arguments.output is not None:
        if arguments.output.suffix.lower() != ".mp4":
            raise UserError(f"--output {arguments.output}: must be a name that ends in .mp4")
        if not arguments.output.parent.is_dir():
            raise UserError(f"--output {arguments.output}: there is no folder {arguments.output.parent}; make it")
        if arguments.video is not None and arguments.output.resolve() == arguments.video.resolve():
            raise UserError(f"--output {arguments.output}: is the video itself; choose another name")
    return validate(StreamSettings, apply_overrides({}, arguments.overrides), "--set")


def frame_rate(path: Path) -> float:
    """A video's frames a second.

    Raises:
        VideoError: it cannot be read.
    """
    with open_video(path) as video:
        if next(video.frames, None) is None:
            raise VideoError(path, "holds no frame")
        return video.frame_rate or CAMERA_RATE


if __name__ == "__main__":
    run_command(main)
