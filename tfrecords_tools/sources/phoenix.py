"""RWTH-PHOENIX-Weather 2014 and 2014-T: German weather forecasts, signed, as folders of frames.

Sources: the releases' annotation files and READMEs (www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX and
/RWTH-PHOENIX-2014-T); Koller, Forster and Ney, "Continuous sign language recognition", CVIU 141 (2015); Camgoz,
Hadfield, Koller, Ney and Bowden, "Neural Sign Language Translation", CVPR 2018. The cleaning of glosses follows
the scripts in the releases' ``evaluation`` folders; see ``clean_glosses``.
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydantic

from tfrecords_tools.clips import SPLIT_NAMES, Clip
from tfrecords_tools.command_line import UserError
from tfrecords_tools.sources.base import Listing, Source
from tfrecords_tools.sources.tables import Row, RowError, clips_of_rows, read_table

FRAME_RATE = 25.0
SPLITS = ("train", "dev", "test")
ANNOTATIONS = Path("annotations/manual")
Rules = Literal["2014", "2014T", "none"]


@dataclass(frozen=True)
class _Release:
    """How one release names its files and columns.

    Attributes:
        folder: its folder in the archive.
        corpus: name of a split's corpus file.
        name, frames, signer, glosses: columns.
        rules: of its evaluation.
    """

    folder: str
    corpus: str
    name: str
    frames: str
    signer: str
    glosses: str
    rules: Rules


MULTISIGNER = _Release("phoenix-2014-multisigner", "{}.corpus.csv", "id", "folder", "signer", "annotation", "2014")
SIGNER_INDEPENDENT = _Release(
    "phoenix-2014-signerindependent-SI5", "{}.SI5.corpus.csv", "id", "folder", "signer", "annotation", "2014"
)
TRANSLATION = _Release(
    "PHOENIX-2014-T", "PHOENIX-2014-T.{}.corpus.csv", "name", "video", "speaker", "orth", "2014T"
)


class Phoenix(Source):
    """RWTH-PHOENIX-Weather 2014 and 2014-T: ``annotations/manual/*.corpus.csv`` and folders of frames.

    The input is the folder that holds ``annotations`` and ``features``, or the one above it. Splits and signers
    are the release's.

    Attributes:
        subset: of 2014: ``multisigner``, or ``SI5``, in which signer 5 is in no training sentence.
        cleaning: of glosses: the rules of the ``2014`` or the ``2014T`` evaluation, or ``none`` for the glosses as
            annotated; by default those of the ``release``.
        complex_annotation: take 2014-T's training glosses from its ``train-complex-annotation`` file.
        frames: folder of the frames, below the one that holds ``annotations``.
    """

    subset: Literal["multisigner", "SI5"] = "multisigner"
    cleaning: Literal["release", "2014", "2014T", "none"] = "release"
    complex_annotation: bool = False
    frames: str = "features/fullFrame-210x260px"

    @pydantic.field_validator("cleaning", mode="before")
    @classmethod
    def _year_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        release, root = self._find(path)
        rules = release.rules if self.cleaning == "release" else self.cleaning
        if self.complex_annotation and release is not TRANSLATION:
            raise UserError(f"source.complex_annotation: only 2014-T has such a file; {root} is no 2014-T")
        listing = Listing()
        for split in SPLITS:
            name = f"{split}-complex-annotation" if self.complex_annotation and split == "train" else split
            columns = (release.name, release.frames, release.signer, release.glosses)
            # Quotation marks are text here: the translations are spoken German.
            table = read_table(
                root / ANNOTATIONS / release.corpus.format(name), columns, delimiter="|", quoted=False
            )
            clip_of = functools.partial(
                _clip, release=release, split=split, frames=root / self.frames / split, rules=rules
            )
            listing.clips.extend(clips_of_rows(table.file, table.rows, clip_of, listing.skipped))
        return listing

    def _find(self, path: Path) -> tuple[_Release, Path]:
        releases = (SIGNER_INDEPENDENT,) if self.subset == "SI5" else (MULTISIGNER, TRANSLATION)
        for release in releases:
            for root in (path, path / release.folder):
                if any((root / ANNOTATIONS / release.corpus.format(split)).is_file() for split in SPLITS):
                    return release, root
        wanted = " or ".join(release.corpus.format("train") for release in releases)
        raise UserError(
            f"{path}: no {ANNOTATIONS}/{wanted} in it; give the folder that holds annotations and features"
        )


def _clip(row: Row, release: _Release, split: str, frames: Path, rules: Rules) -> Clip:
    name = row[release.name]
    if not name:
        raise RowError(f"no {release.name}")
    glosses = clean_glosses(row[release.glosses].split(" "), rules)
    if not glosses:
        raise RowError(f"no gloss is left of {row[release.glosses]!r}")
    used = {release.name, release.frames, release.signer}
    return Clip(
        path=str(_frame_folder(frames, name, row[release.frames])),
        glosses=glosses,
        media_id=f"{split}/{name}",
        signer=row[release.signer].lower(),  # annotated as Signer04 here and as signer04 there
        split=SPLIT_NAMES[split],
        frame_rate=FRAME_RATE,
        metadata={key: value for key, value in row.items() if key not in used and value not in ("", "-1")},
    )


def _frame_folder(frames: Path, name: str, pattern: str) -> Path:
    """The folder of a pattern such as ``<name>/1/*.png``; 2014-T is released without the ``1`` it writes."""
    stated = frames / Path(pattern).parent
    for folder in (stated, frames / name):
        if folder.is_dir():
            return folder
    raise RowError(f"no folder {stated}")


def clean_glosses(glosses: Sequence[str], rules: Rules) -> tuple[str, ...]:
    """Brings annotated glosses into the form in which a release's evaluation compares them.

    ``2014``: ``evaluation/evaluatePhoenix2014.sh``, the pipeline under "apply some simplifications to the
    recognition". The release's references for dev and test have been through it; the training annotation has not.
    ``__ON__`` and ``__OFF__`` stay: they are in the references, and count. In this order:

    - ``loc-``, ``cl-``, ``qu-``, ``poss-``, ``lh-`` are deleted, ``S0NNE`` is ``SONNE``, ``HABEN2`` is ``HABEN``;
    - ``__EMOTION__``, ``__PU__``, ``__LEFTHAND__`` are deleted; what holds ``__EPENTHESIS__`` is left out;
    - ``WIE AUSSEHEN`` is ``WIE-AUSSEHEN``, ``ZEIGEN`` is ``ZEIGEN-BILDSCHIRM``;
    - spelt letters become one gloss: ``A S`` is ``A+S``; ``SCH`` and ``NN`` count as letters within a word;
    - ``NORDRAUM`` is ``NORD``; ``-PLUSPLUS`` is deleted;
    - a word of plain capitals that is repeated stays once.

    ``2014T``: the recognition script in that release's ``evaluation``, the pipeline under "in reference". As
    above, but every ``__X__`` is left out, ``__ON__`` and ``__OFF__`` included, only ``loc-`` and ``cl-`` are
    prefixes, and ``S0NNE``, ``HABEN2`` and ``ZEIGEN`` stay as they are.

    Args:
        glosses: as annotated, split at single spaces; an empty one is a gap, over which nothing is joined.
        rules: which evaluation; ``none`` changes nothing.

    Returns:
        The glosses without gaps; empty where nothing is left.
    """
    cleaned = list(glosses)
    if rules == "2014":
        cleaned = [_simplify_2014(gloss) for gloss in cleaned if "__EPENTHESIS__" not in gloss]
    elif rules == "2014T":
        cleaned = [_simplify_2014t(gloss) for gloss in cleaned if gloss not in LEFT_OUT_2014T]
    if rules != "none":
        cleaned = _join_letters(_join_pair(cleaned, "WIE", "AUSSEHEN"))
        if rules == "2014":
            cleaned = [re.sub("([A-Z]{2})RAUM", r"\1", gloss).replace("-PLUSPLUS", "") for gloss in cleaned]
        cleaned = _without_repeats(cleaned)
    return tuple(gloss for gloss in cleaned if gloss)


DELETED_2014 = ("loc-", "cl-", "qu-", "poss-", "lh-", "__EMOTION__", "__PU__", "__LEFTHAND__")
LEFT_OUT_2014T = ("__LEFTHAND__", "__EPENTHESIS__", "__EMOTION__")


def _simplify_2014(gloss: str) -> str:
    for text in DELETED_2014:
        gloss = gloss.replace(text, "")
    gloss = gloss.replace("S0NNE", "SONNE").replace("HABEN2", "HABEN")
    return f"{gloss}-BILDSCHIRM" if gloss.endswith("ZEIGEN") else gloss


def _simplify_2014t(gloss: str) -> str:
    if re.fullmatch("__[^_]*__", gloss):
        return ""
    for prefix in ("loc", "cl"):
        gloss = re.sub(rf"\b{prefix}-(?=.*\w)", "", gloss, count=1)
    gloss = re.sub(r"-PLUSPLUS\b", "", gloss)
    return re.sub(r"\b([A-Z]+)RAUM\b", r"\1", gloss)


def _join_pair(glosses: Sequence[str], first: str, second: str) -> list[str]:
    joined: list[str] = []
    for gloss in glosses:
        if gloss == second and joined and joined[-1] == first:
            joined[-1] = f"{first}-{second}"
        else:
            joined.append(gloss)
    return joined


def _join_letters(glosses: Sequence[str]) -> list[str]:
    """Joins neighbours that are letters, or spelt words ending or beginning with one, by ``+``."""
    joined = _join(glosses, _is_letter, _is_letter)
    # SCH and NN join only where the word goes on after them.
    joined = _join(joined, lambda part: part == "SCH", _is_letter, at_end=False)
    joined = _join(joined, lambda part: part == "NN", _is_letter, at_end=False)
    return _join(joined, _is_letter, lambda part: part == "NN", at_end=False)


def _join(
    glosses: Sequence[str], left: Callable[[str], bool], right: Callable[[str], bool], at_end: bool = True
) -> list[str]:
    joined: list[str] = []
    for index, gloss in enumerate(glosses):
        first, *more = gloss.split("+")
        goes_on = at_end or bool(more) or index + 1 < len(glosses)
        if joined and goes_on and left(joined[-1].split("+")[-1]) and right(first):
            joined[-1] += f"+{gloss}"
        else:
            joined.append(gloss)
    return joined


def _is_letter(part: str) -> bool:
    return re.fullmatch("[A-Z]", part) is not None


def _without_repeats(glosses: Sequence[str]) -> list[str]:
    """Leaves out a word of plain capitals that follows itself; NICHT-VIEL NICHT-VIEL stays."""
    kept: list[str] = []
    for gloss in glosses:
        first, separator, rest = gloss.partition("+")
        if kept and re.fullmatch("[A-Z]+", first) and kept[-1].split("+")[-1] == first:
            kept[-1] += separator + rest
        else:
            kept.append(gloss)
    return kept
