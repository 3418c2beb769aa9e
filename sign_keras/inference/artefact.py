"""Any trained model behind one face: a run directory, a SavedModel, a ``.tflite`` or an ``.onnx`` file."""

import abc
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import loky
import numpy as np

from sign_keras.calibration import accepted, sign_scores, softmax
from sign_keras.confidence import SIGN_THRESHOLD
from sign_keras.config import Task
from sign_keras.config.ratio import FramesPerLogit
from sign_keras.decoding import SentenceDecoding
from sign_keras.inference.description import describe
from sign_keras.inference.info import (
    OUTPUT,
    SIGNATURE,
    STEP,
    ArtefactInfo,
    kind_of,
    read_from_saved_model,
    read_from_tflite,
)
from sign_keras.models.embedding import EMBEDDING, with_embedding
from sign_keras.models.stages import SHOWN, stage_tensors, with_stages
from sign_keras.models.streaming import STATE, build_step_model, frame_input
from sign_keras.run import Run
from tfrecords_tools.clips import ClipSpec, SamplingSpec
from tfrecords_tools.command_line import UserError, quiet_stderr
from tfrecords_tools.label_map import LabelMap


class Artefact(abc.ABC):
    """A model that can be used, and what it takes to use it.

    Attributes:
        info: its description.
        label_map: gloss of each logit.
    """

    def __init__(self, info: ArtefactInfo) -> None:
        self.info = info
        self.label_map = LabelMap(info.glosses)

    @property
    def name(self) -> str:
        """Name of the run that it came from."""
        return self.info.name

    @property
    def clip_spec(self) -> ClipSpec:
        """How a video becomes its input; ``sampling`` is set."""
        return self.info.clip_spec

    @property
    def sampling(self) -> SamplingSpec:
        """Which frames it sees, and at what size."""
        sampling = self.info.clip_spec.sampling
        if sampling is None:
            raise ValueError(f"{self.name}: an artefact's clip_spec has its sampling")
        return sampling

    @property
    def keypoint_layout(self) -> str | None:
        """Name of the layout of the keypoints in its records; None where they have none."""
        return self.info.clip_spec.keypoints

    @property
    def thresholds(self) -> dict[str, float]:
        """Named probabilities below which an answer is to be doubted."""
        return self.info.thresholds

    @property
    def task(self) -> Task:
        """What it reads out of a clip: one sign, or a sentence."""
        return self.info.task

    @property
    def frames_per_logit(self) -> FramesPerLogit:
        """Of sentences: how many frames of a clip make one frame of the logits."""
        return self.info.frames_per_logit

    @property
    def sentence_decoding(self) -> SentenceDecoding:
        """Of sentences: how its logits are read."""
        return self.info.decoding or SentenceDecoding()

    @property
    def temperature(self) -> float:
        """Logits are divided by it before the softmax."""
        return self.info.temperature

    @property
    def no_sign(self) -> str | None:
        """The gloss that stands for no sign; None where every gloss is a sign."""
        return self.info.no_sign

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs that ``logits`` takes."""
        return self.info.input_names

    @abc.abstractmethod
    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the model.

        Args:
            inputs: what ``data.dataset.prepare_clip`` makes, stacked: each of ``input_names`` as ``[B, T, ...]``.

        Returns:
            ``logits`` ``[B, V]`` float32, unnormalised; of sentences ``[B, T', V + 1]``, the blank first. Beside
            them what ``models.stages.SHOWN`` names, as far as the model has it.
        """

    def logits(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The ``logits`` of ``outputs``."""
        return self.outputs(inputs)[OUTPUT]

    @property
    def streams(self) -> bool:
        """Whether ``step`` takes it through a stream."""
        return self.state_size > 0

    @property
    @abc.abstractmethod
    def state_size(self) -> int:
        """How many numbers a stream remembers; 0 where the model needs clips."""

    def initial_state(self, num_streams: int = 1) -> np.ndarray:
        """What is remembered before the first frame: float32 zeros ``[num_streams, state_size]``."""
        return np.zeros((num_streams, self.state_size), np.float32)

    def step(self, frame: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Takes the next frame of a stream; what it says is what ``logits`` says of the frames so far, or of this
        frame of a sentence.

        Args:
            frame: of the model's keypoints ``[B, 1, K, 3]`` float32, or frames ``[B, 1, H, W, 3]`` uint8; a
                ``.tflite`` takes a batch of one.
            state: what the step before returned, or ``initial_state``.

        Returns:
            ``[B, V]`` float32 logits, of sentences this frame's ``[B, 1, V + 1]``; and the new state.

        Raises:
            UserError: the model needs whole clips.
        """
        if not self.streams:
            raise UserError(
                f"{self.name}: looks at whole clips; a stream needs a causal model, such as "
                "configs/keypoint_causal_conv.yaml, exported again if this export is older than that"
            )
        outputs = self._step({frame_input(self.input_names): frame, STATE: state})
        return outputs[OUTPUT], outputs[STATE]

    @abc.abstractmethod
    def _step(self, inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The inputs and outputs of ``models.streaming.build_step_model``."""

    def probabilities(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Softmax of ``logits`` divided by the temperature, float32."""
        return softmax(self.logits(inputs), self.temperature).astype(np.float32)

    def accepts(self, probabilities: np.ndarray) -> np.ndarray:
        """Whether answers count as signs.

        Args:
            probabilities: ``[B, V]``.

        Returns:
            ``[B]`` bool: false where the likeliest gloss stands for no sign or is below the threshold.
        """
        no_sign = None if self.no_sign is None else self.label_map.id(self.no_sign)
        return accepted(sign_scores(probabilities, no_sign), self.thresholds.get(SIGN_THRESHOLD))


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
            raise UserError(f"{directory}: cannot be loaded ({_first_line(error)}); export the run again") from None

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
            raise UserError(f"{path}: cannot be loaded ({_first_line(error)}); export the run again") from None

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


def load_artefact(path: Path) -> Artefact:
    """Loads a run directory, a SavedModel directory, a ``.tflite`` or an ``.onnx`` file.

    Raises:
        UserError: the path is missing, is none of these, or was not written by this package.
    """
    kind = kind_of(path)
    if kind == "tflite":
        return TFLiteArtefact(path)
    if kind == "onnx":
        from sign_keras.inference.onnx_artefact import OnnxArtefact

        return OnnxArtefact(path)
    return SavedModelArtefact(path) if kind == "saved_model" else RunArtefact(Run.load(path))


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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
