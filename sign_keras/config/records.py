"""Where records are, and how to make them."""

from pathlib import Path
from typing import Any

import pydantic

from tfrecords_tools.settings import Settings


class SynthesizeConfig(Settings):
    """What to render before conversion; the arguments of ``tfrecords_tools.synthesize``.

    Close-ups of letters alone, for static signs, are had by ``clips_per_gloss: 0``.
    """

    signers: int = pydantic.Field(ge=1)
    clips_per_gloss: int = pydantic.Field(ge=0)
    num_glosses: int = pydantic.Field(0, ge=0)
    sentences: int = pydantic.Field(0, ge=0)
    letters: int = pydantic.Field(0, ge=0)
    size: int = pydantic.Field(256, ge=96)
    seed: int = 0
    first_signer: int = pydantic.Field(0, ge=0)


class PrepareConfig(Settings):
    """How to make the records when they are missing.

    Attributes:
        source: a source of ``tfrecords_tools.convert``.
        input: what it reads.
        synthesize: render the input first, where it is missing too.
        settings: what ``convert --set`` would change.
    """

    source: str
    input: Path
    synthesize: SynthesizeConfig | None = None
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)


class RecordsConfig(Settings):
    """Where the records are, and how to make them."""

    directory: Path
    prepare: PrepareConfig | None = None
