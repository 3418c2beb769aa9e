r"""Language models as ARPA files, as SRILM, KenLM and others read and write them.

Source: ngram-format(5) of SRILM. Text: ``\data\``, lines ``ngram 1=COUNT``, then for each n a section
``\1-grams:`` with lines ``log10-probability  word ...  [log10-backoff]``, and ``\end\``. What stands before
``\data\`` is a comment.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from sign_keras.ctc.language_model import NEVER, UNKNOWN, Gram, NGramModel
from tfrecords_tools.command_line import UserError, writing


class ArpaError(UserError):
    """A file that is no language model in ARPA form."""


def read_arpa(path: Path) -> NGramModel:
    """The model in a file.

    Raises:
        ArpaError: there is no such file, or a line of it is not what the format has there; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ArpaError(f"{path}: no such language model") from None
    except UnicodeDecodeError:
        raise ArpaError(
            f"{path}: is no ARPA language model (not UTF-8 text; unpack it if it is compressed)"
        ) from None
    return parse_arpa(text, str(path))


def write_arpa(model: NGramModel, path: Path) -> None:
    """Writes a model such that reading it gives the very same numbers.

    Raises:
        UserError: a word holds white space, which the format cannot tell from two words; or the file cannot be
            written.
    """
    text = to_arpa(model)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)


def to_arpa(model: NGramModel) -> str:
    """The text that ``parse_arpa`` reads.

    Raises:
        UserError: as in ``write_arpa``.
    """
    for (word,) in model.grams[0]:
        if word.split() != [word]:
            raise UserError(
                f"gloss {word!r} cannot stand in an ARPA file, where white space separates words; rename it"
            )
    lines = ["\\data\\", *(f"ngram {n}={len(table)}" for n, table in enumerate(model.grams, start=1))]
    for n, table in enumerate(model.grams, start=1):
        lines += ["", f"\\{n}-grams:"]
        for gram, (term, backoff) in table.items():
            ending = f"\t{backoff!r}" if n < model.order else ""
            lines.append(f"{term!r}\t{' '.join(gram)}{ending}")
    return "\n".join([*lines, "", "\\end\\", ""])


def parse_arpa(text: str, where: str) -> NGramModel:
    """The model that a text describes.

    Args:
        text: an ARPA file's.
        where: what errors call it.

    Raises:
        ArpaError: a line is not what the format has there.
    """
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    for _, line in lines:
        if line == "\\data\\":
            break
    else:
        raise ArpaError(f"{where}: is no ARPA language model: it has no line \\data\\")
    counts, number, line = _counts(lines, where)
    tables: list[dict[Gram, tuple[float, float]]] = []
    for n, count in enumerate(counts, start=1):
        if line != f"\\{n}-grams:":
            raise ArpaError(f"{where}: line {number}: found {line[:60]!r}; expected \\{n}-grams:")
        table: dict[Gram, tuple[float, float]] = {}
        for number, line in lines:
            if line.startswith("\\") and (line == "\\end\\" or re.fullmatch(r"\\\d+-grams:", line)):
                break
            gram, values = _entry(line, n, n < len(counts), f"{where}: line {number}")
            if gram in table:
                raise ArpaError(f"{where}: line {number}: {' '.join(gram)!r} is there twice; remove one")
            table[gram] = values
        else:
            raise ArpaError(f"{where}: ends without a line \\end\\; it may be cut off")
        if len(table) != count:
            raise ArpaError(f"{where}: has {len(table)} {n}-grams where its head says {count}; it may be damaged")
        tables.append(table)
    if line != "\\end\\":
        raise ArpaError(f"{where}: line {number}: found {line!r}; expected \\end\\ after {len(counts)}-grams")
    try:
        return NGramModel(tables)
    except ValueError as error:
        raise ArpaError(f"{where}: {error}") from None


def _counts(lines: Iterator[tuple[int, str]], where: str) -> tuple[list[int], int, str]:
    """The numbers of the head, and the first line that is none of its."""
    counts: list[int] = []
    for number, line in lines:
        if not line.startswith("ngram"):
            if not counts:
                raise ArpaError(f"{where}: line {number}: found {line[:60]!r}; expected ngram 1=COUNT")
            return counts, number, line
        found = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", line)
        if not found or int(found[1]) != len(counts) + 1:
            raise ArpaError(f"{where}: line {number}: found {line[:60]!r}; expected ngram {len(counts) + 1}=COUNT")
        counts.append(int(found[2]))
    raise ArpaError(f"{where}: ends after its head; it may be cut off")


def _entry(line: str, n: int, may_back_off: bool, where: str) -> tuple[Gram, tuple[float, float]]:
    """One n-gram of a section."""
    fields = line.split()
    if len(fields) != n + 1 and not (may_back_off and len(fields) == n + 2):
        raise ArpaError(f"{where}: found {line[:60]!r}; expected a logarithm, {n} words and the backoff")
    try:
        term, backoff = float(fields[0]), float(fields[n + 1]) if len(fields) == n + 2 else 0.0
    except ValueError:
        raise ArpaError(f"{where}: found {line[:60]!r}; expected a number first and last") from None
    if not (term <= 0 and math.isfinite(backoff)) or math.isnan(term):
        raise ArpaError(f"{where}: log10 probability {fields[0]} is not 0 or below, or a backoff is not finite")
    # SRILM and CMU's tools have it in capitals.
    gram = tuple(UNKNOWN if word == "<UNK>" else word for word in fields[1 : n + 1])
    return gram, (max(term, NEVER), backoff)
