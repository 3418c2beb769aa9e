import pytest

from sign_keras.serving.access import Access


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("Bearer s3cret", True),
        ("bearer s3cret ", True),
        ("Bearer s3cre", False),
        ("Bearer s3cretx", False),
        ("Basic s3cret", False),
        ("s3cret", False),
        ("", False),
        ("Bearer \u00e9", False),
    ],
)
def test_the_header_must_carry_the_token(header, known):
    assert Access("s3cret").knows_header({"authorization": header}) == known


def test_without_a_token_everybody_may_come_in():
    assert Access(None).knows_header({})
    assert not Access("t").knows(None)


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("http://here:8000", True),
        ("https://friend.example", True),
        ("https://FRIEND.example", True),
        ("http://friend.example", False),
        ("http://here:9000", False),
        ("http://here:8000.evil.example", False),
        ("null", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_pages_of_other_servers_are_not_welcome(origin, welcome):
    headers = {"host": "here:8000"} | ({} if origin is None else {"origin": origin})
    assert Access(None, ["https://friend.example/"]).is_welcome(headers) == welcome
