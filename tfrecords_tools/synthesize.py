"""Renders a data set of made-up signs: mp4 clips, a manifest, and the true position of every joint.

    python -m tfrecords_tools.synthesize --output data/synthetic --signers 24 --num-glosses 16

No signed language is shown: the glosses are invented, to try the toolkit out (see
``tfrecords_tools.synthetic``).

Output::

    DIR/clips/<gloss>/<signer>_<nn>.mp4      isolated signs
    DIR/sentences/<signer>_<nn>.mp4          sentences of several glosses
    DIR/letters/<letter>/<signer>_<nn>.png   close-ups of a hand
    DIR/joints/<the same path>.npz           the truth of each
    DIR/manifest.csv                         clips and sentences: path, gloss or glosses, signer, split,
                                             handedness, take, frame_rate; gloss_seconds of sentences
    DIR/letters.csv                          close-ups, likewise
    DIR/synthesis.json                       the arguments

The ``.npz`` of a clip of T frames holds

- ``names`` ``[J]``: the joints, by their names in ``keypoint_layout.MEDIAPIPE_HOLISTIC``;
- ``joints`` ``[T, J, 2]`` float32: x to the right and y down, in frame widths and heights;
- ``hand_in_view`` ``[T, 2]`` bool: whether all 21 joints of the left and right hand are inside the frame;
- ``hand_unit`` ``[T, 2]`` float32: length from wrist to middle MCP, likewise, in frame widths;
- ``gloss_index`` ``[T]`` int64: index into the clip's glosses, -1 outside signs;
- ``phase`` ``[T]`` str: "rest", "transition" or "sign".

That of a close-up holds ``names`` ``[21]`` and ``joints`` ``[1, 21, 2]``.

Every file depends on the seed and on its own name alone (a sentence on the choice of glosses, too): not on
the number of workers, nor on what else is rendered.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.synthetic.dataset import synthesize
from tfrecords_tools.synthetic.signs import LEXICON

__all__ = ["main", "synthesize"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords_tools.synthesize",
        description="Renders clips of made-up signs (no real signed language) with ground-truth joints.",
        epilog="example: python -m tfrecords_tools.synthesize --output data/synthetic --signers 24 "
        "--num-glosses 16",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="directory to write to")
    parser.add_argument("--signers", type=int, default=8, metavar="N", help="signers (default: %(default)s)")
    parser.add_argument(
        "--clips-per-gloss",
        type=int,
        default=2,
        metavar="N",
        help="clips of each gloss by each signer (default: %(default)s)",
    )
    parser.add_argument(
        "--sentences", type=int, default=0, metavar="N", help="sentences by each signer (default: none)"
    )
    parser.add_argument(
        "--letters",
        type=int,
        default=0,
        metavar="N",
        help="close-ups of each letter by each signer (default: none)",
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--glosses", nargs="+", metavar="GLOSS", help="what is signed (default: the whole lexicon)")
    chosen.add_argument("--num-glosses", type=int, metavar="N", help="the first N glosses of the lexicon")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same clips (default: 0)")
    parser.add_argument(
        "--size", type=int, default=256, metavar="PIXELS", help="frame height (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    parser.add_argument(
        "--first-signer",
        type=int,
        default=0,
        metavar="N",
        help="index of the first signer, for people used nowhere else (default: 0)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    glosses = options.glosses
    if options.num_glosses is not None:
        if not 1 <= options.num_glosses <= len(LEXICON):
            raise UserError(f"--num-glosses: is {options.num_glosses}, must be between 1 and {len(LEXICON)}")
        glosses = tuple(LEXICON)[: options.num_glosses]
    manifest = synthesize(
        options.output,
        signers=options.signers,
        clips_per_gloss=options.clips_per_gloss,
        seed=options.seed,
        sentences=options.sentences,
        glosses=glosses,
        letters=options.letters,
        size=options.size,
        workers=options.workers,
        first_signer=options.first_signer,
    )
    print(manifest)
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
