"""An ``.onnx`` file that ``sign_keras.export`` wrote, run by onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import loky
import numpy as np

from sign_keras.inference.artefact import Artefact, DamagedError
from sign_keras.inference.info import NEW, onnx_step_path, read_from_onnx
from sign_keras.models.streaming import STATE
from tfrecords_tools.command_line import UserError

if TYPE_CHECKING:
    import onnxruntime


class OnnxArtefact(Artefact):
    """An ``.onnx`` file; of a causal model, with the file of its ``step`` where that lies beside it."""

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        """Loads it.

        Args:
            path: the file.
            num_threads: of the session; by default one a core.

        Raises:
            UserError: it carries no description or is damaged, or onnxruntime is not installed.
        """
        self._session = _session(path, num_threads)
        super().__init__(read_from_onnx(path, self._session.get_modelmeta().custom_metadata_map))
        self._names = [output.name for output in self._session.get_outputs()]
        step = onnx_step_path(path)
        self._step_session = _session(step, num_threads) if step.is_file() else None

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See ``Artefact``."""
        found = self._session.run(self._names, {name: inputs[name] for name in self.input_names})
        return dict(zip(self._names, found, strict=True))

    @property
    def state_size(self) -> int:
        """See ``Artefact``."""
        if self._step_session is None:
            return 0
        return next(int(given.shape[1]) for given in self._step_session.get_inputs() if given.name == STATE)

    def _step(self, inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        assert self._step_session is not None
        names = [output.name for output in self._step_session.get_outputs()]
        found = self._step_session.run(names, inputs)
        return {name.removeprefix(NEW): value for name, value in zip(names, found, strict=True)}


def _session(path: Path, num_threads: int | None) -> "onnxruntime.InferenceSession":
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            f"{path}: needs onnxruntime, which is not installed; pip install 'sign_keras[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or loky.cpu_count()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, of which none is public
        raise DamagedError(path, error) from None
