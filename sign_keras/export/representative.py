"""Training clips that show full 8-bit quantization which values occur inside the model."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfrecords_tools.command_line import UserError

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records

BATCH_SIZE = 16


def write_representative_clips(records: "Records", count: int, seed: int, folder: Path) -> None:
    """Writes each input of some training clips, not augmented, as ``folder/NAME.npy`` ``[N, T, ...]``.

    Args:
        records: opened with the model's sampling and inputs.
        count: N; all clips, where there are fewer.
        seed: which clips; the same seed, the same clips.
        folder: made.

    Raises:
        UserError: the records have no clips for training.
    """
    held = records.num_clips("train")
    if not held:
        raise UserError(
            f"{records.directory}: split 'train' is empty; --quantization int8, qat and pruned need its clips"
        )
    chosen = np.sort(np.random.default_rng(seed).permutation(held)[:count])
    folder.mkdir()
    files: dict[str, np.memmap] = {}  # clips of many frames are larger together than memory may be
    first = written = 0
    for inputs, _, _ in records.evaluation_batches("train", BATCH_SIZE).as_numpy_iterator():
        size = len(next(iter(inputs.values())))
        places = chosen[(chosen >= first) & (chosen < first + size)] - first
        for name, values in inputs.items():
            if name not in files:
                shape = (len(chosen), *values.shape[1:])
                files[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", values.dtype, shape)
            files[name][written : written + len(places)] = values[places]
        written += len(places)
        first += size
    for file in files.values():
        file.flush()
