"""``python -m sign_keras.predict``: which sign, or which sentence, do these videos show?"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from natsort import natsorted, ns

from sign_keras.inference.info import kind_of
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.command_line import (
    SKIPPED_INPUTS,
    SUCCESS,
    UserError,
    run_command,
)
from tfrecords_tools.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES

if TYPE_CHECKING:
    from sign_keras.inference.predictor import Answer, SentencePrediction
    from tfrecords_tools.extract import SkippedClip

EXAMPLE = """example:
  python -m sign_keras.predict --model runs/cnn_lstm my_clips/ extra.mp4
  find . -name '*.mp4' | python -m sign_keras.predict --model tflite/cnn_lstm.tflite --json -
  python -m sign_keras.predict --model runs/keypoint_ctc --window 10 --json recordings/ > sentences.jsonl

An answer that the model doubts is given all the same, but marked: "no sign", and in JSON "accepted": false.
Models of sentences give glosses with the times where they are signed; --top-k is not for them. Of a recording that
is longer than the model takes they see the middle alone, or with --window all of it, by windows that overlap.
Exit status 1: some videos could not be read; they are listed with the reason.
"""
STDIN = "-"
BAR_WIDTH = 20
NOT_ACCEPTED = "  (no sign that it knows)"
NOTHING_READ = ": (no signs that it knows)"
CUT = "  (longer than the model takes: its middle alone; --window reads all of it)"


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.predict",
        description="Names the signs in videos, with a run, a SavedModel, a .tflite or an .onnx file.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", required=True, type=Path, metavar="PATH", help="run, SavedModel, .tflite or .onnx"
    )
    parser.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEO",
        help="files, folders (all videos below), or - for paths on standard input, one a line",
    )
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="glosses for each video (default 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each video")
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="read recordings that are longer than a model of sentences takes by windows of this length, at most "
        "what it takes",
    )
    parser.add_argument(
        "--hop", type=float, metavar="SECONDS", help="how far the window moves on (default: an eighth of it)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read videos (default: one a core)")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    for option, value in (("--top-k", arguments.top_k), ("--workers", arguments.workers)):
        if value is not None and value < 1:
            raise UserError(f"{option} {value}: must be at least 1")
    if arguments.hop is not None and arguments.window is None:
        raise UserError("--hop: says how far a window moves on; give --window as well")
    for option, value in (("--window", arguments.window), ("--hop", arguments.hop)):
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{option} {value:g}: must be above 0")
    kind_of(arguments.model)  # a misspelt path is told before TensorFlow is loaded
    paths = find_videos(arguments.videos)
    quiet_tensorflow(run_half_op=True)

    from tqdm import tqdm

    from sign_keras.inference.loading import load_artefact
    from sign_keras.inference.predictor import Predictor
    from sign_keras.inference.sliding_window import WindowFrames
    from tfrecords_tools.extract import SkippedClip

    artefact = load_artefact(arguments.model)
    window = None
    if arguments.window is not None:
        window = WindowFrames.of(artefact, arguments.window, arguments.hop)
    predictor = Predictor(artefact, arguments.top_k, window)
    describe = _as_json if arguments.json else _as_text
    num_skipped = 0
    with tqdm(total=len(paths), unit="video", disable=None, leave=False) as bar:
        # The bar goes to standard error, the answers to standard output; bar.write keeps them apart.
        for result in predictor.predict(paths, arguments.workers):
            bar.update()
            bar.write(describe(result), file=sys.stdout)
            sys.stdout.flush()
            num_skipped += isinstance(result, SkippedClip)
    return SKIPPED_INPUTS if num_skipped else SUCCESS


def find_videos(arguments: Sequence[str]) -> list[str]:
    """Paths that the arguments name: files as they are, folders' videos in natural order, ``-`` standard input's.

    Raises:
        UserError: a folder has no video, or standard input no path.
    """
    paths = []
    for argument in arguments:
        if argument == STDIN:
            lines = [line.rstrip("\r\n") for line in sys.stdin]
            paths += [line for line in lines if line.strip()]
            if not paths:
                raise UserError("-: no path on standard input; expected one a line")
        elif Path(argument).is_dir():
            paths += _videos_below(Path(argument))
        else:
            paths.append(argument)  # one that is missing is listed with the other videos that cannot be read
    return paths


def _videos_below(folder: Path) -> list[str]:
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES + IMAGE_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise UserError(f"{folder}: no video below this folder; expected files such as 01.mp4")
    # clip_2 before clip_10, and a folder's files together.
    return [str(path) for path in natsorted(found, alg=ns.PATH | ns.IGNORECASE)]


def _as_json(result: "Answer | SkippedClip") -> str:
    from sign_keras.inference.answer_content import answer_content
    from tfrecords_tools.extract import SkippedClip

    if isinstance(result, SkippedClip):
        content = {"path": result.clip.path, "error": result.reason}
    else:
        content = {"path": result.path, **answer_content(result)}
    return json.dumps(content, ensure_ascii=False)


def _as_text(result: "Answer | SkippedClip") -> str:
    from sign_keras.inference.predictor import Prediction, SentencePrediction

    if isinstance(result, SentencePrediction):
        return _sentence_as_text(result)
    if not isinstance(result, Prediction):
        return f"{result.clip.path}\n  skipped: {result.reason}"
    width = max(len(item.gloss) for item in result.glosses)
    rows = [
        f"  {item.gloss:<{width}}  {item.probability:6.1%}  {_bar(item.probability)}".rstrip()
        for item in result.glosses
    ]
    return "\n".join([result.path if result.accepted else f"{result.path}{NOT_ACCEPTED}", *rows])


def _sentence_as_text(result: "SentencePrediction") -> str:
    cut = CUT if result.cut else ""
    if not result.glosses:
        return f"{result.path}{NOTHING_READ}{cut}"
    width = max(len(item.gloss) for item in result.glosses)
    rows = [
        f"  {item.start_seconds:6.2f} to {item.end_seconds:6.2f} s  {item.gloss:<{width}}  {item.confidence:6.1%}  "
        f"{_bar(item.confidence)}".rstrip()
        for item in result.glosses
    ]
    return "\n".join([f"{result.path}: {result.text}{cut}", *rows])


def _bar(share: float) -> str:
    return "#" * round(share * BAR_WIDTH)


if __name__ == "__main__":
    run_command(main)
