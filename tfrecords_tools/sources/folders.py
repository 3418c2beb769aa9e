"""``<gloss>/<file>``: the way people record their own signs, as videos or as still images."""

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import field_validator

from tfrecords_tools.clips import SPLIT_NAMES, Clip, SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.sources.base import Listing, Source
from tfrecords_tools.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES


class SignerInPath(Source):
    """A source whose paths say who signs.

    Attributes:
        signer_pattern: a regular expression on the path below the input whose group ``signer`` names the signer.
    """

    signer_pattern: str = ""

    @field_validator("signer_pattern")
    @classmethod
    def _has_signer_group(cls, pattern: str) -> str:
        try:
            if pattern and "signer" not in re.compile(pattern).groupindex:
                raise ValueError("has no group (?P<signer>...)")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    def signer_of(self, relative: str) -> str:
        """Who signs in a path below the input; empty where there is no pattern or it finds none."""
        match = re.search(self.signer_pattern, relative) if self.signer_pattern else None
        return match["signer"] or "" if match else ""

    def clip_at(
        self, path: Path, root: Path, glosses: tuple[str, ...], split: str | None, frame_rate: float | None = None
    ) -> Clip:
        """The clip of a file or folder, called by its path below the input ``root``; see ``Clip``."""
        relative = path.relative_to(root).as_posix()
        return Clip(
            path=str(path),
            glosses=glosses,
            media_id=relative,
            signer=self.signer_of(relative),
            split=split,
            frame_rate=frame_rate,
        )


class _GlossFolders(SignerInPath):
    def _list(self, path: Path, suffixes: Iterable[str]) -> Listing:
        if not path.is_dir():
            raise UserError(f"{path}: no such folder; expected <gloss>/<file> in it")
        listing, found = Listing(), 0
        for split, folder in gloss_folders(path):
            files = sorted(file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file, path))
            found += bool(files)
            if files and all(file.parent != folder for file in files):
                # One level too high makes one gloss of many, silently: archives often hold a folder in a folder.
                listing.notes.append(
                    f"{folder}: all its files lie in folders of it, and are taken as gloss {folder.name!r}; "
                    "if these folders are the glosses, give it as input"
                )
            for file in files:
                if file.suffix.lower() in suffixes:
                    listing.clips.append(self.clip_at(file, path, (folder.name,), split))
                else:
                    listing.skipped.append(SkippedPath(str(file), f"{file.suffix or 'no suffix'}: unknown type"))
        if not listing.clips:
            what = "its folders hold no files" if not found else f"no {'/'.join(suffixes)} file in its folders"
            raise UserError(f"{path}: {what}; expected <gloss>/<file>, e.g. {path}/hello/01{next(iter(suffixes))}")
        return listing


class VideoFolders(_GlossFolders):
    """``<gloss>/*.mp4`` (any video type), or ``<split>/<gloss>/*.mp4`` where splits are given.

    Attributes:
        signer_pattern: a regular expression on the path below the input whose group ``signer`` names the
            signer, e.g. ``(?P<signer>[a-z]+)_[0-9]+`` for ``hello/anna_03.mp4``.
    """

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        return self._list(path, VIDEO_SUFFIXES)


class ImageFolders(_GlossFolders):
    """``<gloss>/*.jpg`` (any image type): static signs, one frame each.

    Attributes:
        signer_pattern: as for ``VideoFolders``.
    """

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        return self._list(path, IMAGE_SUFFIXES)


def gloss_folders(path: Path) -> list[tuple[str | None, Path]]:
    """(split, gloss folder) pairs; top-level folders are splits only when all of them are named so."""
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if all(folder.name in SPLIT_NAMES for folder in folders) and any(f.name == "train" for f in folders):
        return [
            (SPLIT_NAMES[split.name], gloss)
            for split in folders
            for gloss in sorted(split.iterdir())
            if gloss.is_dir() and not gloss.name.startswith(".")
        ]
    return [(None, folder) for folder in folders]


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)
