"""A ``.tflite`` file that ``sign_keras.export`` wrote, run by LiteRT."""

from collections.abc import Mapping
from pathlib import Path

import loky
import numpy as np

from sign_keras.inference.artefact import Artefact, DamagedError
from sign_keras.inference.info import SIGNATURE, STEP, read_from_tflite
from sign_keras.models.streaming import STATE
from tfrecords_tools.command_line import quiet_stderr


class TFLiteArtefact(Artefact):
    """A ``.tflite`` file that ``sign_keras.export`` wrote."""

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        """Loads it.

        Args:
            path: the file.
            num_threads: of the interpreter; by default one a core.

        Raises:
            UserError: it carries no description, or is damaged.
        """
        super().__init__(read_from_tflite(path))
        try:
            with quiet_stderr():  # it announces its delegate
                from ai_edge_litert.interpreter import Interpreter

                self._interpreter = Interpreter(str(path), num_threads=num_threads or loky.cpu_count())
                self._interpreter.allocate_tensors()
                self._run = self._interpreter.get_signature_runner(SIGNATURE)
                streams = STEP in self._interpreter.get_signature_list()
                self._run_step = self._interpreter.get_signature_runner(STEP) if streams else None
        except (ValueError, RuntimeError) as error:
            raise DamagedError(path, error) from None

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See ``Artefact``; the file holds a batch of one, so clips go through it one by one."""
        num_clips = len(inputs[self.input_names[0]])
        rows = [
            self._run(**{name: inputs[name][clip : clip + 1] for name in self.input_names})
            for clip in range(num_clips)
        ]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    @property
    def state_size(self) -> int:
        """See ``Artefact``."""
        return 0 if self._run_step is None else int(self._run_step.get_input_details()[STATE]["shape"][1])

    def _step(self, inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        assert self._run_step is not None
        outputs: Mapping[str, np.ndarray] = self._run_step(**inputs)
        return outputs
