"""Sentences as folders of frames, with a CSV of glosses: ``folder_name,gloss_text``.

A convention of student projects on continuous signing, often over frames that come from PHOENIX-2014-T: a folder a
split, in it a folder a video, and a CSV (``train_gloss_eng.csv``, say) whose second line may repeat its header.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pydantic

from tfrecords_tools.clips import SPLIT_NAMES, Clip, SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.sources.base import Listing
from tfrecords_tools.sources.folders import SignerInPath
from tfrecords_tools.sources.frame_folders import holds_image
from tfrecords_tools.sources.tables import Row, RowError, Table, read_table
from tfrecords_tools.video import DEFAULT_FRAME_RATE


class GlossCSV(SignerInPath):
    """Sentences: ``train/<video>/frame_*.jpg`` and a CSV of ``folder_name,gloss_text``.

    Folders called train, dev (or val, validation) and test are splits; where there is none, the videos' folders
    lie in the input itself. A row counts for the split that holds its folder; where several do, for the one that
    its CSV is named after (``train_glosses.csv``).

    Attributes:
        csv: name of the CSV below the input, or a pattern such as ``annotations/*.csv``; by default every ``.csv``
            in the input and in the folders in it.
        folder_column: name of the column with the video's folder.
        gloss_column: name of the column with the glosses, separated by spaces.
        signer_pattern: a regular expression on the video's path below the input whose group ``signer`` names the
            signer.
        frame_rate: frames per second, which pictures do not say.
    """

    csv: str = ""
    folder_column: str = "folder_name"
    gloss_column: str = "gloss_text"
    frame_rate: float = pydantic.Field(default=DEFAULT_FRAME_RATE, gt=0, allow_inf_nan=False)

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        if not path.is_dir():
            raise UserError(f"{path}: no such folder; expected train/<video>/frame_*.jpg and a CSV in it")
        folders = _video_folders(path)
        listing, lines = Listing(), dict[Path, str]()
        for file in self._tables(path):
            for number, row in _without_second_header(read_table(file, (self.folder_column, self.gloss_column))):
                try:
                    folder = self._folder(row, folders, file)
                    if folder in lines:
                        raise RowError(f"the same folder as in {lines[folder]}")
                    lines[folder] = f"{file}:{number}"
                    listing.clips.append(self._clip(path, folder, row))
                except RowError as error:
                    listing.skipped.append(SkippedPath(f"{file}:{number}", str(error)))
        for folder in sorted(folder for named in folders.values() for folder in named):
            if folder not in lines and holds_image(folder):
                listing.skipped.append(SkippedPath(str(folder), "no row of the CSV names this folder"))
        return listing

    def _tables(self, path: Path) -> list[Path]:
        patterns = [self.csv] if self.csv else ["*.csv", "*/*.csv"]
        try:
            files = sorted(file for pattern in patterns for file in path.glob(pattern) if file.is_file())
        except (NotImplementedError, ValueError):  # an absolute path or an empty part is no pattern
            raise UserError(f"source.csv={self.csv}: is no name or pattern below {path}") from None
        if not files:
            raise UserError(f"{path}: holds no {self.csv or '*.csv'}; name it with --set source.csv=NAME")
        return files

    def _folder(self, row: Row, folders: dict[str, list[Path]], table: Path) -> Path:
        name = row.get(self.folder_column, "")
        if not name:
            raise RowError("names no folder" if row else "has another number of values than the header")
        found = folders.get(name, [])
        if len(found) > 1:
            split = SPLIT_NAMES.get(re.split(r"[._-]", table.name.lower())[0])
            found = [folder for folder in found if SPLIT_NAMES[folder.parent.name] == split]
            if len(found) != 1:
                raise RowError(f"folder {name!r} is in several splits; name the CSV after the split it is for")
        if not found:
            raise RowError(f"no folder {name!r}")
        return found[0]

    def _clip(self, root: Path, folder: Path, row: Row) -> Clip:
        glosses = tuple(row[self.gloss_column].split())
        if not glosses:
            raise RowError("no gloss")
        split = SPLIT_NAMES.get(folder.parent.name) if folder.parent != root else None
        return self.clip_at(folder, root, glosses, split, self.frame_rate)


def _video_folders(path: Path) -> dict[str, list[Path]]:
    """Folders of videos by name; one name may occur in several splits."""
    splits = [folder for folder in _subfolders(path) if folder.name in SPLIT_NAMES]
    folders: dict[str, list[Path]] = defaultdict(list)
    for parent in splits or [path]:
        for folder in _subfolders(parent):
            folders[folder.name].append(folder)
    return folders


def _subfolders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _without_second_header(table: Table) -> Iterator[tuple[int, Row]]:
    for index, (number, row) in enumerate(table.rows):
        if index or not row or any(name.lower() != row[name].lower() for name in table.header):
            yield number, row
