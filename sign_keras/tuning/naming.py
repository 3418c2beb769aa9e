"""How fields and values of a space are named where there is little room."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def short_names(paths: Sequence[str]) -> list[str]:
    """The last parts of dotted paths, as many as tell them apart: ``rate`` of ``train.rate``, as a rule."""
    names = []
    for path in paths:
        parts = path.split(".")
        endings = (".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1))
        alone = (end for end in endings if sum(f".{other}".endswith(f".{end}") for other in paths) == 1)
        names.append(next(alone, path))
    return names


def short_text(value: Any) -> str:
    """A value as one would write it into a YAML."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def describe_values(values: Mapping[str, Any]) -> str:
    """All of them in one line."""
    named = zip(short_names(list(values)), values.values(), strict=True)
    return ", ".join(f"{name} {short_text(value)}" for name, value in named)
