"""What a look at something gave."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]
WIDTH = 116
INDENT = " " * 10


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``ok``; ``note``: something does without it; ``problem``: something will fail, or has.
        what: what was found, with the figure.
        fix: what to do; empty where nothing is to be done.
    """

    level: Level
    what: str
    fix: str = ""

    def text(self) -> str:
        """As the command prints it: a line or more."""
        what = textwrap.fill(self.what, WIDTH, initial_indent=f"{self.level:<10}", subsequent_indent=INDENT)
        if not self.fix:
            return what
        return (
            what
            + "\n"
            + textwrap.fill(self.fix, WIDTH, initial_indent=INDENT + "-> ", subsequent_indent=INDENT + "   ")
        )


def summary(findings: Iterable[Finding]) -> str:
    """How many there are of what needs doing, in a line."""
    levels = [finding.level for finding in findings]
    counts = [
        f"{count} {name if count == 1 else name + 's'}"
        for name in ("problem", "note")
        if (count := levels.count(name))
    ]
    return ", ".join(counts) or "all is well"
