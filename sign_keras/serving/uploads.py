"""An uploaded video: into a file of the server's own naming, read in a process of its own, and removed."""

import asyncio
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from sign_keras.serving.readers import NoReaderError, Readers, ReadingError
from sign_keras.serving.reading import read_upload
from sign_keras.serving.settings import UploadSettings
from tfrecords_tools.clips import ClipSpec
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES

KNOWN_SUFFIXES = VIDEO_SUFFIXES + IMAGE_SUFFIXES
BUSY_SECONDS = 5


class Uploads:
    """Reads videos that clients send."""

    def __init__(self, spec: ClipSpec, settings: UploadSettings, readers: Readers) -> None:
        """Prepares.

        Args:
            spec: what to make of a video.
            settings: limits.
            readers: processes.
        """
        self._spec, self._settings, self._readers = spec, settings, readers

    async def read(self, upload: UploadFile) -> ExtractedClip:
        """What a model sees of an upload.

        Raises:
            HTTPException: 415: it is named as something else than a video; 422: it cannot be read, or is beyond
                the limits; 429: too many are being read.
        """
        suffix = _suffix(upload.filename or "")
        try:
            async with self._readers.borrow() as reader:
                with tempfile.TemporaryDirectory(prefix="sign_keras-upload-") as folder:
                    path = Path(folder) / f"video{suffix}"
                    await asyncio.to_thread(_write, upload.file, path)
                    result = await reader.call(
                        self._settings.reading_seconds, read_upload, str(path), self._spec, self._settings.video
                    )
        except NoReaderError:
            detail = "as many videos are being read as this server takes; try again"
            raise HTTPException(429, detail, {"Retry-After": str(BUSY_SECONDS)}) from None
        except ReadingError as error:
            raise HTTPException(422, str(error)) from None
        if isinstance(result, str):
            raise HTTPException(422, result)
        return result


def _suffix(name: str) -> str:
    """The part of a client's file name that is looked at: which of the known suffixes it has, if any."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix and suffix not in KNOWN_SUFFIXES:
        raise HTTPException(415, f"a file ending in {suffix[:20]!r}; expected one of {' '.join(KNOWN_SUFFIXES)}")
    return suffix


def _write(source: BinaryIO, path: Path) -> None:
    source.seek(0)
    with path.open("xb") as file:
        shutil.copyfileobj(source, file)
