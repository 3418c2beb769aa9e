import math
from pathlib import Path

import pytest

from sign_keras.ctc.arpa import ArpaError, parse_arpa, read_arpa, write_arpa
from sign_keras.ctc.kneser_ney import learn_language_model
from sign_keras.ctc.language_model import END, START, UNKNOWN
from tests.sign_keras.ctc.test_language_model import random_sentences
from tfrecords_tools.command_line import UserError

# As SRILM writes it: a comment above, tabs, no backoff where it is 0.
TEXT = r"""
made by hand

\data\
ngram 1=4
ngram 2=3

\1-grams:
-0.5	</s>
-99	<s>	-0.25
-0.4	A	-0.1
-0.9	ÉCOLE

\2-grams:
-0.2	<s> A
-0.3	A ÉCOLE
-0.1	ÉCOLE </s>

\end\
"""


def changed(before: str, after: str) -> str:
    assert before in TEXT
    return TEXT.replace(before, after)


def test_reads_what_is_there():
    model = parse_arpa(TEXT, "lm.arpa")
    expected = -0.2 - 0.3 - 0.1
    assert model.sentence_log_probability(["A", "ÉCOLE"]) == pytest.approx(expected * math.log(10))
    # <s> ÉCOLE is not listed: backoff of <s>, then the unigram. A </s>: backoff of A.
    expected = -0.25 - 0.9 + 0 - 0.4 - 0.1 - 0.5
    assert model.sentence_log_probability(["ÉCOLE", "A"]) == pytest.approx(expected * math.log(10))


def test_unknown_words_without_unk_are_all_but_impossible():
    model = parse_arpa(TEXT, "lm.arpa")
    assert model.log_probability("HAT", [START, "A"]) == pytest.approx((-0.1 - 100) * math.log(10))


def test_unk_in_capitals_is_unk():
    model = parse_arpa(changed("-0.9\tÉCOLE", "-0.9\t<UNK>").replace("ÉCOLE", "<UNK>"), "lm.arpa")
    assert model.log_probability("HAT", ["A"]) == pytest.approx(-0.3 * math.log(10))
    assert UNKNOWN in model.words


@pytest.mark.parametrize("order", [1, 3])
def test_round_trip_changes_no_number(tmp_path: Path, order: int):
    model = learn_language_model(random_sentences(), [f"G{number}" for number in range(9)], order)
    write_arpa(model, tmp_path / "new" / "lm.arpa")
    assert read_arpa(tmp_path / "new" / "lm.arpa").grams == model.grams
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lm.arpa"]


def test_written_file_has_the_published_form(tmp_path: Path):
    write_arpa(learn_language_model([["A"]], ["A"], order=2), tmp_path / "lm.arpa")
    lines = (tmp_path / "lm.arpa").read_text().splitlines()
    assert lines[:3] == ["\\data\\", "ngram 1=4", "ngram 2=2"]
    assert lines[-1] == "\\end\\"
    unigrams = [line.split("\t") for line in lines[lines.index("\\1-grams:") + 1 : lines.index("\\2-grams:") - 1]]
    assert {fields[1] for fields in unigrams} == {"A", START, END, UNKNOWN}
    assert all(float(fields[0]) <= 0 and len(fields) == 3 for fields in unigrams)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("once upon a time", r"lm\.arpa: is no ARPA language model"),
        ("\\data\\\n\\1-grams:", r"line 2: found '\\\\1-grams:'; expected ngram 1=COUNT"),
        (changed("ngram 2=3", "ngram 3=3"), "line 6: found 'ngram 3=3'; expected ngram 2=COUNT"),
        ("\\data\\\nngram 1=2", "ends after its head"),
        (changed("\\2-grams:", "\\3-grams:"), r"line 14: found '\\\\3-grams:'; expected \\2-grams:"),
        (changed("-0.3\tA ÉCOLE\n", ""), "has 2 2-grams where its head says 3"),
        (changed("-0.3\tA ÉCOLE", "-0.3\tA"), "line 16: .* expected a logarithm, 2 words"),
        (changed("-0.3\tA ÉCOLE", "-0.3\tA ÉCOLE\t-0.5"), "line 16: .* expected a logarithm, 2 words"),
        (changed("-0.3\tA ÉCOLE", "x\tA ÉCOLE"), "line 16: .* expected a number"),
        (changed("-0.3\tA ÉCOLE", "0.3\tA ÉCOLE"), "line 16: log10 probability 0.3 is not 0 or below"),
        (changed("-0.3\tA ÉCOLE", "nan\tA ÉCOLE"), "line 16: log10 probability nan"),
        (changed("-0.3\tA ÉCOLE", "-0.3\t<s> A"), "line 16: '<s> A' is there twice"),
        (changed("\\end\\", ""), "ends without"),
        (changed("\\end\\", "\\3-grams:\n\\end\\"), "expected .end. after 2-grams"),
        (changed("</s>", "x"), "</s>"),
    ],
)
def test_damaged_file_is_named_with_its_line(text: str, message: str):
    with pytest.raises(ArpaError, match=message):
        parse_arpa(text, "lm.arpa")


def test_missing_and_compressed_files_are_named(tmp_path: Path):
    with pytest.raises(ArpaError, match=r"lm\.arpa: no such language model"):
        read_arpa(tmp_path / "lm.arpa")
    (tmp_path / "lm.arpa.gz").write_bytes(b"\x1f\x8b\x08\x00\xff\xff")
    with pytest.raises(ArpaError, match="unpack it"):
        read_arpa(tmp_path / "lm.arpa.gz")


def test_gloss_with_white_space_cannot_be_written(tmp_path: Path):
    with pytest.raises(UserError, match="gloss 'THANK YOU' cannot stand"):
        write_arpa(learn_language_model([["THANK YOU"]], ["THANK YOU"]), tmp_path / "lm.arpa")
    assert not list(tmp_path.iterdir())
