"""Any trained model behind one face: what it is, what it takes, and how it is asked."""

import abc
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sign_keras.calibration import accepted, sign_scores, softmax
from sign_keras.confidence import SIGN_THRESHOLD
from sign_keras.config import Task
from sign_keras.config.ratio import FramesPerLogit
from sign_keras.decoding import SentenceDecoding
from sign_keras.inference.info import OUTPUT, ArtefactInfo
from sign_keras.models.streaming import STATE, frame_input
from tfrecords_tools.clips import ClipSpec, SamplingSpec
from tfrecords_tools.command_line import UserError
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


class DamagedError(UserError):
    """An export that its runtime refuses.

    Attributes:
        reason: the runtime's.
    """

    def __init__(self, path: Path, error: Exception) -> None:
        self.reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        super().__init__(f"{path}: cannot be loaded ({self.reason}); export the run again")
