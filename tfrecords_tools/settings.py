"""Strict settings: YAML and ``--set key=value`` into frozen pydantic models, with errors people can act on.

Every fault of a file is reported at once, each with its path: ``configs/a.yaml: model.hiden_units: unknown
key; did you mean hidden_units?``.
"""

import argparse
import copy
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from tfrecords_tools.command_line import UserError


class Settings(pydantic.BaseModel):
    """Base of every settings section: frozen, and unknown keys are errors."""

    # YAML reads a dataset's name such as 2024 as a number; a text field takes it as text.
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


SettingsType = TypeVar("SettingsType", bound=Settings)


class SettingsError(UserError):
    """Settings that do not fit their model."""


def load_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        SettingsError: the file is missing, is no YAML, or is no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise SettingsError(f"{path}: {where}is no valid YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: holds {type(content).__name__}, expected a mapping of sections")
    return content


def add_overrides(parser: argparse.ArgumentParser, text: str) -> None:
    """Gives a command ``--set K=V``, which may be repeated: a list of ``apply_overrides``' texts in ``overrides``.

    Args:
        parser: the command's.
        text: for its help.
    """
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="K=V", help=text)


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Returns ``values`` with ``--set`` arguments such as ``train.batch_size=8`` applied.

    Values are YAML; what is no YAML (regular expressions that start with a bracket, say) is taken as text.

    Raises:
        SettingsError: an argument has no ``=``.
    """
    result = copy.deepcopy(values)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise SettingsError(f"--set {override}: expected key=value, e.g. --set train.batch_size=8")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        section = result
        *parents, last = key.split(".")
        for parent in parents:
            if not isinstance(section.get(parent), dict):
                section[parent] = {}
            section = section[parent]
        section[last] = value
    return result


def validate(model: type[SettingsType], values: dict[str, Any], where: str) -> SettingsType:
    """Builds ``model`` from plain values.

    Args:
        model: the section to build.
        values: plain nested mappings, as YAML gives them.
        where: what the values came from, for messages (a file's path or ``--set``).

    Raises:
        SettingsError: naming every fault with its path.
    """
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        faults = [_describe(model, fault) for fault in error.errors()]
    raise SettingsError("; ".join(f"{where}: {fault}" for fault in faults))


def _describe(model: type[pydantic.BaseModel], fault: Any) -> str:
    location = [str(part) for part in fault["loc"]]
    path = ".".join(_without_tags(model, location)) or "(top level)"
    if fault["type"] == "extra_forbidden":
        here = {name: name for name in _keys_at(model, location[:-1])}
        close = difflib.get_close_matches(location[-1], here, n=1)
        if not close:  # perhaps a key of another section
            here = _all_keys(model)
            close = difflib.get_close_matches(location[-1], here, n=1)
        if close and here[close[0]] == path:
            return f"{path}: does not go with {_tag(model, location)}; leave it out"
        return f"{path}: unknown key" + (f"; did you mean {here[close[0]]}?" if close else "")
    if fault["type"] in ("union_tag_not_found", "union_tag_invalid"):
        key, expected = fault["ctx"]["discriminator"].strip("'"), fault["ctx"].get("expected_tags")
        return f"{path}.{key}: " + (
            f"expected {expected} (found {fault['ctx']['tag']!r})" if expected else "missing"
        )
    if fault["type"] == "missing":
        return f"{path}: missing"
    if fault["type"] in ("model_type", "model_attributes_type"):
        return f"{path}: expected keys and values (found {fault['input']!r})"
    message = fault["msg"].removeprefix("Value error, ")
    given = fault.get("input")
    shown = "" if isinstance(given, dict | list) or fault["type"] == "value_error" else f" (found {given!r})"
    return f"{path}: {message[0].lower() + message[1:]}{shown}"


def _tag(model: type[pydantic.BaseModel], location: Sequence[str]) -> str:
    """The tag that chose the innermost of several models on a fault's path."""
    path = _without_tags(model, location)
    return next((part for part in reversed(location[:-1]) if part not in path), "section")


def _without_tags(model: type[pydantic.BaseModel], location: Sequence[str]) -> list[str]:
    """A fault's path as it stands in the file: the tag that chose one of several models is not in it."""
    candidates: list[Any] = [model]
    path = []
    for part in location:
        following = _following(candidates, part)
        if not (following and set(following) <= set(candidates)):
            path.append(part)
        candidates = following or candidates
    return path


def _keys_at(model: type[pydantic.BaseModel], location: Sequence[str]) -> list[str]:
    """Field names of the section at ``location``, seen through optionals and tagged unions."""
    candidates: list[Any] = [model]
    for part in location:
        candidates = _following(candidates, part) or candidates
    return [name for candidate in candidates for name in candidate.model_fields]


def _following(candidates: Sequence[Any], part: str) -> list[Any]:
    """The sections one step down the path; a tagged union's tag chooses among those here, without going deeper."""
    following: list[Any] = []
    for candidate in candidates:
        if part in candidate.model_fields:
            following += _models_in(candidate.model_fields[part].annotation)
        elif any(
            field.annotation is not None and part in getattr(field.annotation, "__args__", ())
            for field in candidate.model_fields.values()
        ):
            following.append(candidate)
    return following


def _all_keys(model: type[pydantic.BaseModel], prefix: str = "") -> dict[str, str]:
    """Path of every field by its name; the outermost where a name is used twice."""
    keys: dict[str, str] = {}
    for name, field in model.model_fields.items():
        for section in _models_in(field.annotation):
            keys = _all_keys(section, f"{prefix}{name}.") | keys
    return keys | {name: f"{prefix}{name}" for name in model.model_fields}


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models_in(inner)]
