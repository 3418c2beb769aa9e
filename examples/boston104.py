"""RWTH-BOSTON-104, sentences of American Sign Language as positions of hands and nose, to records.

    python examples/boston104.py --input boston104 --output data/boston104 --spliced 1200

The input is the ``data`` folder of Udacity's AIND-Recognizer, whose README describes it:

- ``hands_condensed.csv``: ``video``, ``frame`` (from 0), and ``left-x``, ``left-y``, ``right-x``, ``right-y``,
  ``nose-x``, ``nose-y`` in pixels, left and right being the signer's;
- ``<split>_words.csv`` (``train_words.csv``, ``test_words.csv``): ``video``, ``speaker``, ``word``, ``startframe``
  and ``endframe``, both inclusive, as its ``asl_data.py`` reads them;
- ``speaker.csv`` (optional): ``video`` and ``speaker``, compared with the speakers above.

A video is a sentence: one record with its words in the order of their first frames. Which frames are whose is
kept in the column ``segments`` of ``OUTPUT/arrays/manifest.csv``: ``8:18 22:51``, a word each, counted from 0, the
end exclusive. Words may share frames. Variants of a sign (``GIVE``, ``GIVE1``) are glosses of their own, as in the
source.

The positions are those of the database's hand annotation (Dreuw, Forster and Ney, "Tracking Benchmark Databases for
Video-Based Sign Language Recognition", 2010). The database's README gives 30 frames a second and videos of 366x312
pixels, of which 312x242 show the scene. It does not say which of the two the annotation counts in. Some hands are
at y = 251, below the smaller picture, so the larger one is taken. Either way shapes are right, for records hold
the picture's aspect ratio.

``--spliced`` makes more sentences to train on, out of pieces of the others (``spliced_sentences``). What is signed
there is no language: ``OUTPUT/language_model.arpa`` is learnt from the training sentences as they were signed.

On the way the sentences lie as ``keypoint_arrays`` in ``OUTPUT/arrays``; the arrays are deleted in the end, unless
``--keep-arrays``, and the table and the layout stay.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from sign_keras.ctc.arpa import to_arpa
from sign_keras.ctc.kneser_ney import learn_language_model
from sign_keras.decoding import LANGUAGE_MODEL_NAME
from spliced_sentences import splice
from tfrecords_tools import array_records
from tfrecords_tools.array_records import ArrayClip
from tfrecords_tools.clips import SPLIT_NAMES, SkippedPath, stable_hash
from tfrecords_tools.command_line import UserError, run_command
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.sources.keypoint_arrays import ArrayLayout
from tfrecords_tools.sources.tables import read_table

EXAMPLE = """example:
  python examples/boston104.py --input boston104 --output data/boston104 --validation 30 --spliced 1200
  python examples/boston104.py --input boston104 --output data/boston104_test --split test \\
      --label-map data/boston104/label_map.json
"""
LAYOUT = ArrayLayout(
    name="boston104",
    points=("left_hand/centre", "right_hand/centre", "head/nose"),
    mirror_pairs=(("left_hand/centre", "right_hand/centre"),),
    frame_rate=30.0,
    width=366.0,
    height=312.0,
)
# In the order of the points.
POSITIONS = (("left-x", "left-y"), ("right-x", "right-y"), ("nose-x", "nose-y"))
POSITIONS_NAME, SPEAKERS_NAME, WORDS_SUFFIX = "hands_condensed.csv", "speaker.csv", "_words.csv"


class VideoRowsError(Exception):
    """Rows that cannot be a sentence."""


@dataclass(frozen=True)
class Word:
    """A sign in a sentence; ``end`` is exclusive."""

    gloss: str
    speaker: str
    start: int
    end: int


def read_words(file: Path) -> tuple[dict[str, list[Word]], dict[str, str]]:
    """The words of each video, in the order of their first frames; and videos with a bad row, with its fault."""
    table = read_table(file, ("video", "speaker", "word", "startframe", "endframe"))
    words: dict[str, list[Word]] = defaultdict(list)
    faults: dict[str, str] = {}
    for number, row in table.rows:
        if not row or not row["video"]:
            raise UserError(f"{file}:{number}: expected a value for every column")
        sentence = words[row["video"]]
        try:
            word = Word(row["word"], row["speaker"], int(row["startframe"]), int(row["endframe"]) + 1)
        except ValueError:
            faults[row["video"]] = f"line {number}: startframe and endframe must be whole numbers"
            continue
        # Sentences are written with spaces between their glosses.
        if not word.gloss or word.gloss.split() != [word.gloss]:
            faults[row["video"]] = f"line {number}: word {word.gloss!r} is empty or holds a space"
        elif not 0 <= word.start < word.end:
            faults[row["video"]] = f"line {number}: frames {word.start} to {word.end - 1}"
        sentence.append(word)
    return {video: sorted(of, key=lambda word: word.start) for video, of in words.items()}, faults


def read_positions(file: Path) -> tuple[dict[str, dict[int, list[float]]], dict[str, str]]:
    """x, y of each point in each frame of each video; and videos with a bad row, with its fault."""
    table = read_table(file, ("video", "frame", *(name for pair in POSITIONS for name in pair)))
    positions: dict[str, dict[int, list[float]]] = defaultdict(dict)
    faults: dict[str, str] = {}
    for number, row in table.rows:
        if not row or not row["video"]:
            raise UserError(f"{file}:{number}: expected a value for every column")
        video = row["video"]
        try:
            frame, values = int(row["frame"]), [float(row[name]) for pair in POSITIONS for name in pair]
        except ValueError:
            faults[video] = f"line {number} of {file.name}: holds no numbers"
            continue
        if frame in positions[video]:
            faults[video] = f"line {number} of {file.name}: frame {frame} once more"
        elif not np.isfinite(values).all():
            faults[video] = f"line {number} of {file.name}: holds NaN or infinite values"
        positions[video][frame] = values
    return positions, faults


def read_clips(folder: Path, split: str | None, num_validation: int) -> Iterator[ArrayClip | SkippedPath]:
    """The sentences of a folder, and what could not be read.

    Args:
        folder: the input.
        split: one of ``SPLITS``; None for all.
        num_validation: training sentences that become ``validation``, drawn by their names.

    Raises:
        UserError: a table is missing or lacks a column, or there are no words of the split.
    """
    files = {
        SPLIT_NAMES[name]: file
        for file in sorted(folder.glob(f"*{WORDS_SUFFIX}"))
        if (name := file.name.removesuffix(WORDS_SUFFIX)) in SPLIT_NAMES
    }
    # Validation sentences may come out of the training ones; which are of the split is seen below.
    wanted = {name: file for name, file in files.items() if split in (None, name, "validation")}
    if not wanted:
        found = ", ".join(file.name for file in files.values()) or "nothing"
        raise UserError(f"{folder}: no {split or 'train'}{WORDS_SUFFIX} in it; found {found}")
    positions, position_faults = read_positions(folder / POSITIONS_NAME)
    speakers = _read_speakers(folder / SPEAKERS_NAME)
    modified_ns = max(file.stat().st_mtime_ns for file in (folder / POSITIONS_NAME, *wanted.values()))
    tables = [(name, file, *read_words(file)) for name, file in wanted.items()]  # all, before anything is written
    for name, file, words, word_faults in tables:
        faults = word_faults | position_faults
        drawn = sorted(words, key=lambda video: stable_hash(0, video))[: num_validation if name == "train" else 0]
        for video in words:
            part = "validation" if video in drawn else name
            if split not in (None, part):
                continue
            try:
                if video in faults:
                    raise VideoRowsError(faults[video])
                yield _sentence(video, words[video], positions.get(video, {}), speakers, part, modified_ns)
            except VideoRowsError as error:
                yield SkippedPath(f"{file}: video {video}", str(error))


def _read_speakers(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    return {row["video"]: row["speaker"] for _, row in read_table(file, ("video", "speaker")).rows if row}


def _sentence(
    video: str,
    words: list[Word],
    positions: dict[int, list[float]],
    speakers: dict[str, str],
    split: str,
    modified_ns: int,
) -> ArrayClip:
    num_frames = len(positions)
    if not num_frames:
        raise VideoRowsError(f"has no positions in {POSITIONS_NAME}")
    if absent := set(range(num_frames)) - positions.keys():
        raise VideoRowsError(f"{POSITIONS_NAME} lacks its frame {min(absent)}")
    if (end := max(word.end for word in words)) > num_frames:
        raise VideoRowsError(f"has frames 0 to {num_frames - 1}, its words go on to frame {end - 1}")
    stated = {word.speaker for word in words} | ({speakers[video]} if video in speakers else set())
    if len(stated) > 1:
        raise VideoRowsError(f"is said to be signed by {' and by '.join(sorted(stated))}")
    rows = [positions[frame] for frame in range(num_frames)]
    return ArrayClip(
        path=f"{quote(video, safe='')}.npy",
        array=np.array(rows, np.float32).reshape(num_frames, len(POSITIONS), 2),
        columns={
            "glosses": " ".join(word.gloss for word in words),
            "signer": words[0].speaker,
            "split": split,
            "segments": " ".join(f"{word.start}:{word.end}" for word in words),
        },
        modified_ns=modified_ns,
    )


def write_language_model(sentences: Iterable[ArrayClip], directory: Path) -> None:
    """Learns the trigrams of the training sentences among these, where there are any."""
    glosses = [clip.columns["glosses"].split() for clip in sentences if clip.columns["split"] == "train"]
    if glosses:
        vocabulary = sorted({gloss for sentence in glosses for gloss in sentence})
        text = to_arpa(learn_language_model(glosses, vocabulary, order=3))
        write_atomically(directory / LANGUAGE_MODEL_NAME, text)


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = array_records.build_parser(
        "python examples/boston104.py",
        "Turns RWTH-BOSTON-104's hand and nose positions and word times into records of sentences.",
        EXAMPLE,
    )
    parser.add_argument(
        "--validation",
        type=int,
        default=0,
        metavar="N",
        help="training sentences to set aside for validation, by name; the authors took 30 (default: 0)",
    )
    parser.add_argument(
        "--spliced",
        type=int,
        default=0,
        metavar="N",
        help="sentences to make out of pieces of training sentences, to train on besides (default: 0)",
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    for name in ("validation", "spliced"):
        if getattr(arguments, name) < 0:
            raise UserError(f"--{name} {getattr(arguments, name)}: must be at least 0")
    clips = list(read_clips(arguments.input, SPLIT_NAMES.get(arguments.split), arguments.validation))
    sentences = [clip for clip in clips if isinstance(clip, ArrayClip)]
    spliced = splice(sentences, arguments.spliced)
    status = array_records.run_conversion(arguments, [*clips, *spliced], LAYOUT, noun="sentences")
    write_language_model(sentences, arguments.output)
    return status


if __name__ == "__main__":
    run_command(main)
