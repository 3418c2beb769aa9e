"""A run directory: the Keras model of its best epoch."""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np

from sign_keras.inference.artefact import Artefact
from sign_keras.inference.description import describe
from sign_keras.inference.info import OUTPUT
from sign_keras.models.embedding import EMBEDDING, with_embedding
from sign_keras.models.stages import SHOWN, stage_tensors, with_stages
from sign_keras.models.streaming import STATE, build_step_model
from sign_keras.run import Run
from tfrecords_tools.command_line import UserError


class RunArtefact(Artefact):
    """The best epoch of a training, in float32 whatever the precision it was trained at.

    Attributes:
        run: the training.
        model: the Keras model.
        step_model: the one that takes a stream's next frame; None where the model needs whole clips.
    """

    def __init__(self, run: Run) -> None:
        """Loads the model.

        Raises:
            UserError: the run has no weights yet, or they do not fit.
        """
        super().__init__(describe(run))
        self.run = run
        with _float32_policy():
            self.model = run.load_model()
            self._with_embedding = with_embedding(self.model) if self.task == "isolated" else None
            self._shown = with_stages(self.model, SHOWN) if stage_tensors(self.model) else None
            self.step_model = build_step_model(self.model) if run.config.model.is_causal else None

    def refresh(self) -> None:
        """Reads the run's description again, once something new was measured."""
        self.info = describe(self.run)

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See ``Artefact``."""
        if self._with_embedding is not None:
            return {OUTPUT: self.logits_and_embeddings(inputs)[0]}
        if self._shown is not None:
            logits, shown = self._shown.predict_on_batch(self._inputs(inputs))
            return {OUTPUT: np.asarray(logits, np.float32), **shown}
        return {OUTPUT: np.asarray(self.model.predict_on_batch(self._inputs(inputs)), np.float32)}

    def _inputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: inputs[name] for name in self.input_names}

    @property
    def state_size(self) -> int:
        """See ``Artefact``."""
        return 0 if self.step_model is None else int(self.step_model.input[STATE].shape[1])

    def _step(self, inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        assert self.step_model is not None
        outputs: Mapping[str, np.ndarray] = self.step_model.predict_on_batch(inputs)
        return outputs

    def logits_and_embeddings(self, inputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """``[B, V]`` and ``[B, D]`` float32: what the head says, and what it sees; see ``models.embedding``.

        Raises:
            UserError: the model reads sentences.
        """
        if self._with_embedding is None:
            raise UserError(f"{self.name}: reads sentences; only a clip of one sign has one embedding")
        outputs = self._with_embedding.predict_on_batch(self._inputs(inputs))
        return np.asarray(outputs[OUTPUT], np.float32), np.asarray(outputs[EMBEDDING], np.float32)


@contextlib.contextmanager
def _float32_policy() -> Iterator[None]:
    """Builds layers in float32 within the context: half precision is for training and its hardware."""
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
