"""Isolated words of 40 and more signers, as MediaPipe keypoints in one ``.npz`` a signer, to records.

    python examples/mp_words.py --input mp_words --output data/mp_words

The input, collected from public student projects, one project a signer:

- ``<signer>.npz``: for each word ``<gloss>`` float16 ``[N, T, 258]`` (pose 33 times x, y, z, visibility; left hand
  and right hand 21 times x, y, z; zeros where a part was not found and after the end of shorter clips),
  ``<gloss>__len`` ``[N]`` their true numbers of frames and, for reference, ``<gloss>__seq`` ``[N]`` where they
  came from;
- ``splits.csv``: ``signer``, ``split`` (``train``, ``val``, ``test``) and ``status`` (``suspect`` where the
  signer's data are doubtful), among others;
- ``manifest.csv``: a row a clip with ``signer``, ``gloss``, ``tier`` (1: words of five signers and more),
  ``index_pose_hands`` (its place in the array) and ``frames``. The arrays must hold what it says.

A folder of archives alone will do, too, such as signers who were kept back for a test: without ``splits.csv`` all
are of the ``--split`` that is named, and without ``manifest.csv`` the words are those of the ``--label-map``.

On the way the clips lie as ``keypoint_arrays`` in ``OUTPUT/arrays``: half a gigabyte, for the layout has a row for
every point of the face, which nobody recorded. They are deleted in the end, unless ``--keep-arrays``; the table
``OUTPUT/arrays/manifest.csv`` stays, with each clip's tier, the signer's status and the original folder. The
visibility of pose points is not taken over: ``keypoint_arrays`` has none.
"""

import argparse
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
from natsort import natsorted

from tfrecords_tools import array_records
from tfrecords_tools.array_records import ArrayClip
from tfrecords_tools.clips import SPLIT_NAMES, SkippedPath
from tfrecords_tools.command_line import UserError, run_command
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.sources.keypoint_arrays import ArrayLayout
from tfrecords_tools.sources.mp_data import DEFAULT_FRAME_RATE, WIDTH_WITHOUT_FACE, split_frames
from tfrecords_tools.sources.tables import read_table

EXAMPLE = """example:
  python examples/mp_words.py --input mp_words --output data/mp_words
  python examples/mp_words.py --input mp_words --output data/mp_words_test --split test \\
      --label-map data/mp_words/label_map.json
"""
LAYOUT = ArrayLayout(
    name=MEDIAPIPE_HOLISTIC.name,
    points=MEDIAPIPE_HOLISTIC.names,
    mirror_pairs=MEDIAPIPE_HOLISTIC.mirror_pairs,
    frame_rate=DEFAULT_FRAME_RATE,
)
COMMON_TIER = "1"
LENGTHS, SEQUENCES = "__len", "__seq"


@dataclass
class Word:
    """What ``manifest.csv`` says about one signer's clips of one word.

    Attributes:
        tier: of the word.
        frames: of its clips, by their place in the array.
    """

    tier: str
    frames: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Signer:
    """A row of ``splits.csv``; ``split`` is one of ``SPLITS``."""

    name: str
    split: str
    status: str


def read_signers(folder: Path) -> list[Signer]:
    """The rows of ``splits.csv``.

    Raises:
        UserError: the table is missing, lacks a column, names a signer twice or a split that is none.
    """
    table = read_table(folder / "splits.csv", ("signer", "split", "status"))
    signers: dict[str, Signer] = {}
    for number, row in table.rows:
        where = f"{table.file}:{number}"
        if not row or not row["signer"] or row["signer"] in signers:
            raise UserError(f"{where}: expected one row a signer with a value for every column")
        if row["split"] not in SPLIT_NAMES:
            raise UserError(f"{where}: split {row['split']!r}; expected train, val or test")
        signers[row["signer"]] = Signer(row["signer"], SPLIT_NAMES[row["split"]], row["status"])
    return list(signers.values())


def read_manifest(folder: Path) -> dict[str, dict[str, Word]]:
    """What ``manifest.csv`` says, by signer, then by gloss.

    Raises:
        UserError: the table is missing, lacks a column, or holds a row that makes no sense.
    """
    table = read_table(folder / "manifest.csv", ("signer", "gloss", "tier", "index_pose_hands", "frames"))
    words: dict[str, dict[str, Word]] = {}
    for number, row in table.rows:
        try:
            word = words.setdefault(row["signer"], {}).setdefault(row["gloss"], Word(row["tier"]))
            word.frames[int(row["index_pose_hands"])] = int(row["frames"])
        except (KeyError, ValueError):
            raise UserError(
                f"{table.file}:{number}: expected a value for every column, whole numbers for index_pose_hands and "
                "frames"
            ) from None
    return words


def read_clips(
    folder: Path,
    split: str | None,
    tier: str | None,
    glosses: Iterable[str] | None = None,
    signers: Collection[str] | None = None,
) -> Iterator[ArrayClip | SkippedPath]:
    """The clips of a folder, one signer's word in memory at a time, and what could not be read.

    Args:
        folder: the input.
        split: one of ``SPLITS``; None for all.
        tier: of the words; None for all.
        glosses: the words to take where no ``manifest.csv`` says of which tier a word is.
        signers: whose clips to read; None for everybody's.

    Raises:
        UserError: a table makes no sense; or is missing, and nothing else says what it would.
    """
    known = _signers_of(folder, split)
    wanted_signers = [signer for signer in known if signers is None or signer.name in signers]
    if not (folder / "manifest.csv").exists():
        if tier is not None and glosses is None:
            raise UserError(
                f"{folder}: holds no manifest.csv to say which words are of tier {tier}; name the words with "
                "--label-map FILE, or take all with --tier all"
            )
        for signer in wanted_signers:
            if split in (None, signer.split):
                wanted = None if glosses is None else frozenset(glosses)
                yield from _read_signer(folder / f"{signer.name}.npz", signer, None, None, wanted)
        return
    manifest = read_manifest(folder)
    for name in sorted(manifest.keys() - {signer.name for signer in known}):
        if signers is None and (file := folder / f"{name}.npz").is_file():
            yield SkippedPath(str(file), "its signer has no row in splits.csv")
    for signer in wanted_signers:
        if split in (None, signer.split):
            yield from _read_signer(folder / f"{signer.name}.npz", signer, manifest.get(signer.name, {}), tier)


def _signers_of(folder: Path, split: str | None) -> list[Signer]:
    if (folder / "splits.csv").exists():
        return read_signers(folder)
    names = natsorted(file.stem for file in folder.glob("*.npz"))
    if not names:
        raise UserError(f"{folder}: holds neither splits.csv nor an .npz file of a signer")
    if split is None:
        raise UserError(f"{folder}: holds no splits.csv; name the split of all its signers, e.g. --split test")
    return [Signer(name, split, status="") for name in names]


def _read_signer(
    file: Path,
    signer: Signer,
    words: dict[str, Word] | None,
    tier: str | None,
    glosses: Collection[str] | None = None,
) -> Iterator[ArrayClip | SkippedPath]:
    """The clips of one archive: of ``words`` by the manifest, or else of all its words among ``glosses``."""
    try:
        archive = np.load(file, allow_pickle=False)
        modified_ns = file.stat().st_mtime_ns
    except FileNotFoundError:
        yield SkippedPath(str(file), "no such file, but splits.csv names the signer")
        return
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        yield SkippedPath(str(file), f"is no .npz archive ({error})")
        return
    if not isinstance(archive, np.lib.npyio.NpzFile):
        yield SkippedPath(str(file), "is a single array; expected an .npz archive of several")
        return
    with archive:
        if words is None:
            words = _words_of(archive, glosses)
        for gloss in archive if glosses is None else ():
            if gloss not in words and not gloss.endswith((LENGTHS, SEQUENCES)):
                yield SkippedPath(str(file), f"{gloss}: manifest.csv has no clip of it")
        for gloss, word in words.items():
            if tier in (None, word.tier):
                try:
                    yield from _read_word(archive, signer, gloss, word, modified_ns)
                except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                    yield SkippedPath(str(file), f"{gloss}: {error}")


def _words_of(archive: "np.lib.npyio.NpzFile", glosses: Collection[str] | None) -> dict[str, Word]:
    """What ``manifest.csv`` would say of an archive."""
    words = {}
    for gloss in archive:
        is_word = not gloss.endswith((LENGTHS, SEQUENCES))
        if is_word and (glosses is None or gloss in glosses):
            lengths = archive[gloss + LENGTHS].tolist() if gloss + LENGTHS in archive else []
            words[gloss] = Word(tier="", frames=dict(enumerate(lengths)))
    return words


def _read_word(
    archive: "np.lib.npyio.NpzFile", signer: Signer, gloss: str, word: Word, modified_ns: int
) -> Iterator[ArrayClip]:
    for key in (gloss, gloss + LENGTHS):
        if key not in archive:
            raise ValueError(f"holds no array {key!r}, but manifest.csv names it")
    frames, lengths = archive[gloss], archive[gloss + LENGTHS]
    if frames.ndim != 3 or frames.shape[2] != WIDTH_WITHOUT_FACE or frames.dtype.kind != "f":
        shape = "x".join(map(str, frames.shape))
        raise ValueError(
            f"is {shape} {frames.dtype}; expected clips x frames x {WIDTH_WITHOUT_FACE} floating numbers"
        )
    stated = [word.frames.get(index) for index in range(len(frames))]
    if lengths.tolist() != stated or len(word.frames) != len(frames):
        raise ValueError(f"holds {len(frames)} clips of other lengths or number than manifest.csv says")
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= frames.shape[1]:
        raise ValueError(f"{gloss + LENGTHS} must lie from 1 to {frames.shape[1]}")
    if not np.isfinite(frames).all():
        raise ValueError("holds NaN or infinite values; what was not found must be zeros")
    sequences = archive[gloss + SEQUENCES] if gloss + SEQUENCES in archive else [""] * len(frames)
    for index, length in enumerate(lengths.tolist()):
        yield ArrayClip(
            path=clip_path(signer.name, gloss, index),
            array=holistic_array(frames[index, :length]),
            columns={
                "gloss": gloss,
                "signer": signer.name,
                "split": signer.split,
                "status": signer.status,
                "tier": word.tier,
                "sequence": str(sequences[index]),
            },
            modified_ns=modified_ns,
        )


def clip_path(signer: str, gloss: str, index: int) -> str:
    """The clip's name: a file that could hold it, by its place in the array of its signer's word."""
    return f"{_file_name(signer)}/{_file_name(gloss)}-{index:03}.npy"


def _file_name(text: str) -> str:
    """A name that any text can have as a file: glosses may hold slashes and quotes."""
    return quote(text, safe=" ").replace(".", "%2E")


def holistic_array(frames: np.ndarray) -> np.ndarray:
    """Frames ``[T, 258]`` as ``[T, 543, 3]`` in the order of ``MEDIAPIPE_HOLISTIC``, in the same type."""
    array = np.full((len(frames), len(MEDIAPIPE_HOLISTIC.names), 3), np.nan, frames.dtype)
    for group, points in split_frames(frames).items():
        array[:, MEDIAPIPE_HOLISTIC.group_slices[group]] = points
    return array


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = array_records.build_parser(
        "python examples/mp_words.py",
        "Turns a folder of signers' keypoints (.npz files, splits.csv, manifest.csv) into records.",
        EXAMPLE,
    )
    parser.add_argument(
        "--tier",
        choices=(COMMON_TIER, "all"),
        default=COMMON_TIER,
        help="1: the words that at least five signers have; all: the others, too (default: 1)",
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    label_map = LabelMap.load(arguments.label_map) if arguments.label_map else None
    tier = None if arguments.tier == "all" else arguments.tier
    clips = read_clips(arguments.input, SPLIT_NAMES.get(arguments.split), tier, label_map)
    return array_records.run_conversion(arguments, clips, LAYOUT, noun="clips")


if __name__ == "__main__":
    run_command(main)
