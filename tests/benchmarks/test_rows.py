import pytest
from rows import Row, change_for_the_worse, from_rates, worse_rows


def row(ours: list[float], theirs: list[float], better: str = "lower") -> Row:
    return Row("reading", "a plain loop", ours, theirs, "s", better)


def results(*rows: Row, date: str = "2026-01-02") -> dict:
    return {"date": date, "benchmarks": {"read_speed": {"rows": [one.to_json() for one in rows]}}}


def test_the_ratio_is_of_medians_and_the_spread_of_turns():
    found = row([1.0, 2.0, 9.0], [2.0, 4.0, 6.0])
    assert found.ratio() == 0.5
    assert found.spread() == (0.5, 1.5)


def test_a_single_reference_goes_with_every_turn():
    assert row([50.0, 100.0], [200.0]).spread() == (0.25, 0.5)


def test_turns_without_a_partner_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        row([1.0, 2.0, 3.0], [1.0, 2.0]).spread()


def test_a_row_comes_back_from_json():
    assert Row.from_json(row([1.0], [2.0], "higher").to_json()) == row([1.0], [2.0], "higher")


def test_rates_become_times():
    assert from_rates([4.0, 0.5]) == [0.25, 2.0]


@pytest.mark.parametrize(
    ("now", "former", "better", "expected"),
    [
        ([2.0, 2.1], [1.0, 1.1], "lower", 0.952),  # 2.05 for 1.05, both within 0.1
        ([1.0, 1.1], [2.0, 2.1], "lower", None),  # less is better here
        ([1.0, 1.1], [2.0, 2.1], "higher", 0.488),
        ([1.0, 3.0], [1.0, 1.1], "lower", None),  # its own turns differ by more
        ([1.4, 1.4], [1.0, 1.8], "lower", None),  # the former one's did
        ([1.04], [1.0], "lower", None),  # below what counts as a change
        ([1.06], [1.0], "lower", 0.06),
    ],
)
def test_worse_is_what_exceeds_the_spread(now, former, better, expected):
    found = change_for_the_worse(row(now, [1.0], better), row(former, [1.0], better))
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-3))


def test_rows_are_compared_with_their_former_selves_alone():
    slow, other = row([3.0], [1.0]), Row("writing", "a plain loop", [9.0], [1.0], "s")
    (line,) = worse_rows(results(slow, other), results(row([1.0], [1.0]), date="2025-12-31"))
    assert line == "read_speed: reading: 3 of a plain loop, 1 on 2025-12-31: 200% worse"
    assert not list(worse_rows(results(slow), results(slow)))
