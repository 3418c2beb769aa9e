"""The label map: which integer stands for which gloss. Zero-based everywhere; a CTC blank is no gloss."""

import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfrecords_tools.command_line import UserError


class LabelMapError(UserError):
    """A label map that cannot be read, or a gloss it does not hold."""


class LabelMap:
    """An ordered set of glosses; a gloss's place is its id.

    Attributes:
        glosses: gloss of each id.
    """

    def __init__(self, glosses: Iterable[str]) -> None:
        self.glosses = tuple(glosses)
        self._ids = {gloss: index for index, gloss in enumerate(self.glosses)}
        if len(self._ids) != len(self.glosses):
            twice = sorted({gloss for gloss in self.glosses if self.glosses.count(gloss) > 1})
            raise LabelMapError(f"label map: {', '.join(map(repr, twice))} stands for more than one id")

    def __len__(self) -> int:
        return len(self.glosses)

    def __iter__(self) -> Iterator[str]:
        return iter(self.glosses)

    def __contains__(self, gloss: str) -> bool:
        return gloss in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelMap) and self.glosses == other.glosses

    def __hash__(self) -> int:
        return hash(self.glosses)

    def id(self, gloss: str) -> int:
        """Id of a gloss.

        Raises:
            LabelMapError: the map has no such gloss; names the nearest.
        """
        if gloss not in self._ids:
            close = difflib.get_close_matches(gloss, self.glosses, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise LabelMapError(f"gloss {gloss!r} is not in the label map of {len(self)} glosses{hint}")
        return self._ids[gloss]

    @classmethod
    def from_unsorted(cls, glosses: Iterable[str]) -> "LabelMap":
        """The map of the distinct glosses in code-point order, the same on every machine."""
        return cls(sorted(set(glosses)))

    @classmethod
    def from_json(cls, text: str, where: str) -> "LabelMap":
        """Reads ``{"0": "hello", "1": "thanks"}``.

        Raises:
            LabelMapError: no such mapping of ids to texts, or ids that do not run from 0 without a gap.
        """
        try:
            content = json.loads(text)
            by_id = {int(key): gloss for key, gloss in content.items()}
            if not by_id or not all(gloss and isinstance(gloss, str) for gloss in by_id.values()):
                raise ValueError("no glosses")
        except (ValueError, AttributeError):
            raise LabelMapError(f'{where}: is no label map; expected {{"0": "hello", ...}}') from None
        if sorted(by_id) != list(range(len(content))):
            raise LabelMapError(f"{where}: ids must run from 0 to {len(content) - 1}, each once and without a gap")
        return cls(by_id[index] for index in range(len(by_id)))

    def to_json(self) -> str:
        """The text that ``from_json`` reads."""
        return json.dumps({str(i): gloss for i, gloss in enumerate(self.glosses)}, ensure_ascii=False, indent=1)

    @classmethod
    def load(cls, path: Path) -> "LabelMap":
        """Reads a ``label_map.json``.

        Raises:
            LabelMapError: the file is missing or is no label map.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), str(path))
        except FileNotFoundError:
            raise LabelMapError(f"{path}: no such label map") from None
        except UnicodeDecodeError:
            raise LabelMapError(f"{path}: is no label map (not UTF-8 text)") from None
