"""``<class>/<clip_id>/frame_*.png``: videos that somebody has unpacked into pictures."""

import os
from pathlib import Path

import pydantic

from tfrecords_tools.clips import SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.sources.base import Listing
from tfrecords_tools.sources.folders import SignerInPath, gloss_folders
from tfrecords_tools.video import DEFAULT_FRAME_RATE, IMAGE_SUFFIXES


class FrameFolders(SignerInPath):
    """``<gloss>/<clip>/frame_*.png`` (any image type), or ``<split>/<gloss>/<clip>/...`` where splits are given.

    The images of a clip's folder are its frames, in natural order of their names: ``frame_2`` before ``frame_10``.

    Attributes:
        signer_pattern: a regular expression on the clip's path below the input whose group ``signer`` names the
            signer, e.g. ``/(?P<signer>[a-z]+)_[0-9]+$`` for ``train/hello/anna_03``.
        frame_rate: frames per second, which pictures do not say.
    """

    frame_rate: float = pydantic.Field(default=DEFAULT_FRAME_RATE, gt=0, allow_inf_nan=False)

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        expected = "expected <gloss>/<clip>/frame_*.png in it"
        if not path.is_dir():
            raise UserError(f"{path}: no such folder; {expected}")
        listing = Listing()
        for split, gloss in gloss_folders(path):
            for entry in sorted(os.scandir(gloss), key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    listing.skipped.append(SkippedPath(entry.path, "lies beside the clips' folders"))
                elif not holds_image(entry.path):
                    listing.skipped.append(SkippedPath(entry.path, "the folder holds no image"))
                else:
                    clip = self.clip_at(Path(entry.path), path, (gloss.name,), split, self.frame_rate)
                    listing.clips.append(clip)
        if not listing.clips:
            hint = "; for <gloss>/<file> use --source image_folders" if listing.skipped else ""
            raise UserError(f"{path}: holds no folder of images; {expected}{hint}")
        return listing


def holds_image(folder: str | Path) -> bool:
    """Whether a folder holds an image of a known type; reads names only, and no more than it needs."""
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file() for entry in entries)
