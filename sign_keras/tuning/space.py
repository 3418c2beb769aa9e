"""What a search may change: fields of a configuration by their dotted paths, each with the values it may take.

As YAML::

    train.learning_rate: {float: {min: 1e-4, max: 1e-2, log: true}}
    model.dim: {int: {min: 64, max: 192, step: 32}}
    data.augment.mirror: {choice: [0, 0.25, 0.5]}
"""

import json
import math
from typing import Any, Self

import pydantic

from tfrecords_tools.settings import Settings

# A number without a step is rounded to so many digits, so that a configuration stays readable.
SIGNIFICANT_DIGITS = 4
# Of a range with more steps than these, the ends and what is next to them stand for all.
MOST_CHECKED = 64


class Range(Settings):
    """From ``min`` to ``max``, both included where steps reach them.

    Attributes:
        log: equal ratios are equally likely; ``step`` is then what one value is multiplied by for the next.
    """

    min: float
    max: float
    step: float | None = pydantic.Field(None, gt=0)
    log: bool = False

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Self:
        if not (math.isfinite(self.min) and math.isfinite(self.max)) or self.min >= self.max:
            raise ValueError(f"min {self.min:g}, max {self.max:g}: min has to be below max, and both finite")
        if self.log and self.min <= 0:
            raise ValueError(f"min {self.min:g}: a logarithm needs it above 0; leave out log")
        if self.log and self.step is not None and self.step <= 1:
            raise ValueError(f"step {self.step:g}: multiplies where log is true; take one above 1")
        if self.step is not None and self.grid() == [self.min]:
            raise ValueError(
                f"step {self.step:g}: reaches no second value up to max {self.max:g}; take a shorter one"
            )
        return self

    def grid(self) -> list[float]:
        """The values that steps reach; none without a step."""
        if self.step is None:
            return []
        if self.log:
            count = int(math.log(self.max / self.min, self.step) + 1e-8) + 1
            return [self.tidy(self.min * self.step**place) for place in range(count)]
        count = int((self.max - self.min) / self.step + 1e-8) + 1
        return [self.tidy(self.min + place * self.step) for place in range(count)]

    def tidy(self, value: float) -> float:
        """A drawn value as a configuration has it: without the dust of floating point, and within the bounds."""
        digits = SIGNIFICANT_DIGITS if self.step is None else 12
        return min(max(float(f"{value:.{digits}g}"), self.min), self.max)

    def examples(self) -> list[float]:
        """Values by which a configuration can be asked whether it takes all: the ends, and some in between."""
        grid = self.grid()
        if len(grid) > MOST_CHECKED:
            grid = [*grid[:2], *grid[-2:]]
        middle = math.sqrt(self.min * self.max) if self.log else (self.min + self.max) / 2
        # Pi keeps off whole numbers, which a field of integers would take.
        between = [] if grid else [self.tidy(middle), self.tidy(self.min + (self.max - self.min) / math.pi)]
        return list(dict.fromkeys([self.min, self.max, *between, *grid]))

    def holds(self, value: Any) -> bool:
        """Whether a search may come upon the value."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        grid = self.grid()
        if grid:
            return any(math.isclose(value, there, rel_tol=1e-9, abs_tol=1e-12) for there in grid)
        return self.min <= value <= self.max


class IntRange(Range):
    """A range of integers; every one of them where there is neither ``step`` nor ``log``."""

    min: int
    max: int
    step: int | None = pydantic.Field(None, ge=1)

    def grid(self) -> list[float]:
        """See ``Range``."""
        if self.step is None and not self.log:
            return list(range(self.min, self.max + 1))
        return super().grid()

    def tidy(self, value: float) -> int:
        """See ``Range``; KerasTuner cuts off what is behind the point."""
        return min(max(int(value + 1e-9), self.min), self.max)

    def holds(self, value: Any) -> bool:
        """See ``Range``."""
        return super().holds(value) and value == int(value)


class Dimension(Settings):
    """The values of one field: a ``choice`` of any, an ``int`` range, or a ``float`` range."""

    choice: list[Any] | None = pydantic.Field(None, min_length=1)
    int: IntRange | None = None
    float: Range | None = None

    @pydantic.model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{' and '.join(given) or 'nothing'}: expected one of choice: [...], int: {{min, max}} and "
                "float: {min, max}"
            )
        try:
            texts = [json.dumps(value, sort_keys=True) for value in self.choice or ()]
        except TypeError as error:  # YAML makes dates of some texts
            raise ValueError(f"choice: {error}; put it into quotes") from None
        if len(set(texts)) < len(texts):
            raise ValueError("choice: a value is there twice; leave one out")
        return self

    @property
    def range(self) -> Range | None:
        """None of a choice."""
        return self.int or self.float

    def listed(self) -> list[Any]:
        """All values of a choice or of a range with steps; none of other ranges."""
        return list(self.choice or ()) if self.range is None else self.range.grid()

    def examples(self) -> list[Any]:
        """Of a choice every value; see ``Range.examples``."""
        return list(self.choice or ()) if self.range is None else self.range.examples()

    def tidy(self, value: Any) -> Any:
        """See ``Range.tidy``."""
        return value if self.range is None else self.range.tidy(value)

    def holds(self, value: Any) -> bool:
        """Whether a search may come upon the value."""
        if self.range is None:
            return any(
                value == there and isinstance(value, bool) == isinstance(there, bool) for there in self.examples()
            )
        return self.range.holds(value)


Space = dict[str, Dimension]


def overlap(path: str, other: str) -> bool:
    """Whether one dotted path is the other, or a part of it."""
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def value_at(values: Any, path: str) -> Any:
    """What plain nested mappings hold at a dotted path; None where there is nothing."""
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
