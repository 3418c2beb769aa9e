"""A SavedModel that ``sign_keras.export`` wrote, run by TensorFlow."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sign_keras.inference.artefact import Artefact, DamagedError
from sign_keras.inference.info import SIGNATURE, STEP, read_from_saved_model
from sign_keras.models.streaming import STATE


class SavedModelArtefact(Artefact):
    """A SavedModel that ``sign_keras.export`` wrote."""

    def __init__(self, directory: Path) -> None:
        """Loads it.

        Raises:
            UserError: it carries no description, or is damaged.
        """
        super().__init__(read_from_saved_model(directory))
        import tensorflow as tf

        try:
            self._loaded = tf.saved_model.load(str(directory))
            self._run = self._loaded.signatures[SIGNATURE]
            self._run_step = self._loaded.signatures.get(STEP)
        except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
            raise DamagedError(directory, error) from None

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See ``Artefact``."""
        import tensorflow as tf

        outputs = self._run(**{name: tf.constant(inputs[name]) for name in self.input_names})
        return {name: value.numpy() for name, value in outputs.items()}

    @property
    def state_size(self) -> int:
        """See ``Artefact``."""
        return 0 if self._run_step is None else int(self._run_step.structured_input_signature[1][STATE].shape[1])

    def _step(self, inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        import tensorflow as tf

        outputs = self._run_step(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}
