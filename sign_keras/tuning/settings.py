"""The YAML of a search: its base, the settings of all trials, the space, and how it is searched."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from sign_keras.tuning.space import Space
from tfrecords_tools.settings import Settings


class SearchSettings(Settings):
    """What all searches have.

    Attributes:
        seeds: of the trainings of each trial, whose scores are averaged.
        seed: of what the search itself draws.
    """

    seeds: tuple[int, ...] = pydantic.Field((1,), min_length=1)
    seed: int = pydantic.Field(1, ge=1)

    @pydantic.field_validator("seeds")
    @classmethod
    def _different(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"{', '.join(map(str, value))}: a seed is there twice; leave one out")
        return value


class RandomSettings(SearchSettings):
    """Values are drawn at random.

    Attributes:
        max_trials: how many configurations.
    """

    name: Literal["random"]
    max_trials: int = pydantic.Field(ge=1)


class BayesianSettings(SearchSettings):
    """Values are where a Gaussian process expects most of them, or knows least.

    Attributes:
        max_trials: how many configurations.
        num_initial_points: so many are drawn at random first; null: three a field of the space.
        alpha: how noisy scores are taken to be: a variance, in units of the scores' own.
        beta: the larger, the more is ventured.
    """

    name: Literal["bayesian"]
    max_trials: int = pydantic.Field(ge=1)
    num_initial_points: int | None = pydantic.Field(None, ge=2)
    alpha: float = pydantic.Field(1e-4, gt=0)
    beta: float = pydantic.Field(2.6, ge=0)


class HyperbandSettings(SearchSettings):
    """Many configurations are trained for few epochs, and the best of them for more: Li et al. 2018, JMLR 18(185).

    No training is longer than ``train.epochs``.

    Attributes:
        max_trials: trials at most, where one that goes on counts anew; null: all that there are.
        factor: one in so many goes on, for so many times as many epochs.
        iterations: how often the whole is done.
    """

    name: Literal["hyperband"]
    max_trials: int | None = pydantic.Field(None, ge=1)
    factor: int = pydantic.Field(3, ge=2)
    iterations: int = pydantic.Field(1, ge=1)


class GridSettings(SearchSettings):
    """Every combination is tried; a ``float`` range needs a ``step``, and so does an ``int`` range with ``log``.

    Attributes:
        max_trials: the first so many of them; null: all.
    """

    name: Literal["grid"]
    max_trials: int | None = pydantic.Field(None, ge=1)


Search = Annotated[
    RandomSettings | BayesianSettings | HyperbandSettings | GridSettings, pydantic.Field(discriminator="name")
]


class Tuning(Settings):
    """A search.

    Attributes:
        base: the configuration that trials change, seen from this file's folder.
        settings: of all trials but not of what comes out, by dotted name: fewer epochs, say.
        space: what may change.
        search: how.
    """

    base: Path
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
    space: Space = pydantic.Field(min_length=1)
    search: Search
