"""What comes out of a training: evaluation and exports."""

from pathlib import Path
from typing import Literal

import pydantic

from tfrecords_tools.settings import Settings


class ViewsConfig(Settings):
    """Views of a clip whose probabilities a test averages; by default the one that ``predict`` sees.

    Attributes:
        crops: 1 is the whole window; 3 adds its left and right part, 5 its corners.
        offsets: moments, evenly over each frame's part of the clip.
        mirror: each view also mirrored; only where that leaves a sign what it is.
    """

    crops: Literal[1, 3, 5] = 1
    offsets: int = pydantic.Field(1, ge=1, le=16)
    mirror: bool = False


class DecodingConfig(Settings):
    """How sentences are read out of logits; ``docs/continuous.md`` explains it.

    Attributes:
        method: ``greedy``, the likeliest label of each frame; or ``beam``, a search for the likeliest sentence.
        width: of the beam.
        language_model: of the beam search: ``none``; ``learn``, an n-gram model of the training sentences; or an
            ARPA file.
        order: n, of the model that is learnt.
        weight: of the language model.
        gloss_bonus: for each gloss, against a language model's liking for short sentences.
        tune: choose ``weight`` and ``gloss_bonus`` by the word error rate on validation sentences.
    """

    method: Literal["greedy", "beam"] = "greedy"
    width: int = pydantic.Field(16, ge=1, le=1024)
    language_model: str = "none"
    order: int = pydantic.Field(3, ge=1, le=9)
    weight: float = pydantic.Field(0.5, ge=0)
    gloss_bonus: float = 0.0
    tune: bool = False

    @pydantic.model_validator(mode="after")
    def _options_fit_the_method(self) -> "DecodingConfig":
        if self.method == "greedy" and (self.language_model != "none" or self.tune):
            raise ValueError("language_model, tune: are of method=beam; greedy takes the likeliest label alone")
        return self


class EvaluateConfig(Settings):
    """The test at the end.

    Attributes:
        split: which clips; the report's numbers are theirs.
        views: what the answer for a clip is averaged over.
        bootstrap_samples: resamplings of signers behind the 95 % interval.
        false_alarm_rate: at most this share of validation clips without a sign may be taken for one: so the
            threshold is chosen below which an answer counts as no sign. Where there are no such clips, at most
            this share of the accepted validation answers may be wrong.
        unknown_records: records of signs that the model does not know (clips of those that it knows are left out):
            their validation clips count as clips without a sign, and their clips of ``split`` are tested.
        decoding: of models that read sentences.
    """

    split: Literal["train", "validation", "test"] = "test"
    views: ViewsConfig = ViewsConfig()
    bootstrap_samples: int = pydantic.Field(2000, ge=100)
    false_alarm_rate: float = pydantic.Field(0.05, ge=0, lt=1)
    unknown_records: Path | None = None
    decoding: DecodingConfig = DecodingConfig()


ExportFormat = Literal["savedmodel", "tflite", "onnx"]
Quantization = Literal["none", "float16", "dynamic", "int8", "qat", "pruned"]


class FineTuningConfig(Settings):
    """How a frame backbone learns to give, in 8 bits or with zeros, what it gave: ``qat`` and ``pruned``.

    Attributes:
        steps: of Adam.
        batch_size: frames of a step, out of the ``representative_clips``.
        learning_rate: at the first step; falls to nothing along a cosine. null: 3e-5 for ``qat``, whose error is
            small from the start, and 1e-3 for ``pruned``.
        sparsity: of ``pruned``: this share of the weights of 1x1 convolutions becomes zero.
    """

    steps: int = pydantic.Field(300, ge=10)
    batch_size: int = pydantic.Field(32, ge=1)
    learning_rate: float | None = pydantic.Field(None, gt=0)
    sparsity: float = pydantic.Field(0.5, gt=0, lt=1)


class ExportConfig(Settings):
    """What to export at the end, and how close it must be.

    Attributes:
        formats: any of ``savedmodel``, ``tflite``, ``onnx``.
        quantization: of the TFLite files; ``docs/deployment.md`` says how to choose.
        max_probability_difference: a float32 export further from the model than this is not written.
        min_top1_agreement: a quantized export that gives the run's top answer for a smaller share of validation
            clips, or of the frames of sentences that either calls a gloss, is not written.
        max_accuracy_loss: a quantized export that loses more of the top-1 accuracy, or of 1 - WER, is not written.
        validation_clips: at most so many are compared, evenly over the split.
        representative_clips: of ``int8``: so many training clips, chosen by ``seed``, show which values occur;
            ``qat`` and ``pruned`` fine-tune on them, too.
        fine_tuning: of ``qat`` and ``pruned``.
    """

    formats: tuple[ExportFormat, ...] = ()
    quantization: tuple[Quantization, ...] = ("none",)
    max_probability_difference: float = pydantic.Field(1e-3, gt=0)
    min_top1_agreement: float = pydantic.Field(0.95, ge=0, le=1)
    max_accuracy_loss: float = pydantic.Field(0.01, ge=0, le=1)
    validation_clips: int = pydantic.Field(512, ge=1)
    representative_clips: int = pydantic.Field(100, ge=1)
    fine_tuning: FineTuningConfig = FineTuningConfig()
