"""How a model's logits are read as sentences: what a run chose, and what its exports carry.

``decoding.json`` of a run, and ``language_model.arpa`` beside it where there is a language model.
``sign_keras.train`` writes both, once the best epoch is known; evaluation, prediction and exports go by them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic

from sign_keras.ctc.arpa import parse_arpa
from sign_keras.ctc.beam_search import BeamSearch
from sign_keras.ctc.decoding import Decoding, beam_decode, greedy_decode
from sign_keras.ctc.language_model import GlossScores
from tfrecords_tools.command_line import UserError
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.settings import Settings

FILE_NAME = "decoding.json"
LANGUAGE_MODEL_NAME = "language_model.arpa"


class Tuning(Settings):
    """What weight and bonus were chosen by.

    Attributes:
        sentences: of the validation split.
        wer: of the choice there; flattered, as it is the best of several.
        wer_greedy: of the likeliest labels there.
    """

    sentences: int
    wer: float | None
    wer_greedy: float | None


class SentenceDecoding(Settings):
    """How sentences are read out of logits.

    Attributes:
        method: ``greedy`` or ``beam``; see ``ctc.decoding``.
        width: of the beam.
        weight: of the language model.
        gloss_bonus: for each gloss.
        language_model: n-grams of glosses in ARPA's format; None: none.
        tuning: behind weight and bonus; None where the configuration gave them.
    """

    method: Literal["greedy", "beam"] = "greedy"
    width: int = pydantic.Field(16, ge=1)
    weight: float = pydantic.Field(0.0, ge=0)
    gloss_bonus: float = 0.0
    language_model: str | None = None
    tuning: Tuning | None = None

    def save(self, directory: Path) -> None:
        """Writes it into a run directory."""
        if self.language_model is not None:
            write_atomically(directory / LANGUAGE_MODEL_NAME, self.language_model)
        else:
            (directory / LANGUAGE_MODEL_NAME).unlink(missing_ok=True)
        write_atomically(directory / FILE_NAME, self.model_dump_json(indent=1, exclude={"language_model"}))

    @classmethod
    def load(cls, directory: Path) -> "SentenceDecoding":
        """Reads a run directory's; of a run that has none yet, the likeliest label of each frame is taken.

        Raises:
            UserError: a file is damaged.
        """
        try:
            found = cls.model_validate_json((directory / FILE_NAME).read_bytes())
        except FileNotFoundError:
            return cls()
        except pydantic.ValidationError:
            raise UserError(f"{directory / FILE_NAME}: is damaged; train the run again, or delete it") from None
        path = directory / LANGUAGE_MODEL_NAME
        # What is no UTF-8 is told by whoever reads the model.
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
        return found.model_copy(update={"language_model": text})


class Decoder:
    """Logits to sentences, as a ``SentenceDecoding`` says.

    Args:
        how: the method and its settings.
        glosses: of the label map, by id.

    Raises:
        UserError: the language model is no ARPA file.
    """

    def __init__(self, how: SentenceDecoding, glosses: Sequence[str]) -> None:
        self._search: BeamSearch | None = None
        if how.method == "beam":
            text = how.language_model
            model = None if text is None else GlossScores(parse_arpa(text, LANGUAGE_MODEL_NAME), glosses)
            self._search = BeamSearch(
                width=how.width,
                language_model=model,
                language_model_weight=how.weight,
                gloss_bonus=how.gloss_bonus,
            )

    def decode(self, logits: np.ndarray, num_frames: np.ndarray | Sequence[int]) -> list[Decoding]:
        """The sentence of each clip.

        Args:
            logits: ``[B, T', V + 1]``, blank first.
            num_frames: ``[B]`` integers: how many frames of each clip's logits are real.
        """
        if self._search is None:
            return greedy_decode(logits, num_frames)
        return [best[0] for best in beam_decode(logits, num_frames, self._search)]
