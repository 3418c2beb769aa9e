"""``embeddings.npz`` of a run: what its head sees of the validation clips, so that signs can be added later."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrecords_tools.command_line import UserError, writing

FILE_NAME = "embeddings.npz"


@dataclass(frozen=True)
class Embeddings:
    """Clips as a model's head sees them.

    Attributes:
        values: ``[N, D]`` float32.
        labels: ``[N]`` int64, ids in the model's label map.
    """

    values: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def and_also(self, others: "Embeddings") -> "Embeddings":
        """These, and others after them."""
        return Embeddings(
            np.concatenate([self.values, others.values]), np.concatenate([self.labels, others.labels])
        )

    def save(self, directory: Path) -> None:
        """Writes them into a run directory."""
        path = directory / FILE_NAME
        partial = path.with_name(f".partial-{FILE_NAME}")
        with writing(path):
            np.savez_compressed(partial, values=self.values.astype(np.float32), labels=self.labels)
            partial.replace(path)

    @classmethod
    def load(cls, directory: Path) -> "Embeddings":
        """Reads a run directory's.

        Raises:
            UserError: the run has none, or the file is damaged.
        """
        path = directory / FILE_NAME
        try:
            with np.load(path, allow_pickle=False) as content:
                return cls(content["values"], content["labels"])
        except FileNotFoundError:
            raise UserError(
                f"{path}: no such file; write it with python -m sign_keras.calibrate --run {directory}"
            ) from None
        except (ValueError, KeyError, OSError, zipfile.BadZipFile):
            raise UserError(
                f"{path}: is damaged; write it anew with python -m sign_keras.calibrate --run {directory}"
            ) from None
