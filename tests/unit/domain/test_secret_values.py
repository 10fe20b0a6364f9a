"""What counts as a secret in a secrets file."""

import pytest

from runtime.domain.secret_values import is_worth_masking, values_in

DOCUMENT = b"""
api_key = "top-level"
pin = 123456
ratio = 0.123456
flag = true
since = 2024-01-01
[sources.shop]
tokens = ["first", ["second", { deep = "third" }]]
[[sources.accounts]]
secret_key = '''
line one
line two
'''
"""


def test_values_of_any_nesting_are_found_as_they_would_be_printed() -> None:
    assert values_in(DOCUMENT) == {
        "top-level",
        "123456",
        "0.123456",
        "first",
        "second",
        "third",
        "line one\nline two\n",
    }


def test_the_password_within_a_url_is_a_secret_of_its_own_decoded_too() -> None:
    assert values_in(b'url = "postgresql://loader:p%40ss-word@host:5432/shop"') == {
        "postgresql://loader:p%40ss-word@host:5432/shop",
        "p%40ss-word",
        "p@ss-word",
    }


def test_values_within_a_json_value_are_secrets_too() -> None:
    found = values_in(b"""key = '{"type": "x", "keys": [{"private_key": "one\\ntwo"}], "u": "s://a:b@c"}'""")
    assert {"one\ntwo", "x", "b"} < found


@pytest.mark.parametrize("value", ["http://[broken", "{not json", "[", "a://b"])
def test_what_only_looks_like_a_url_or_json_is_a_value_like_others(value: str) -> None:
    assert values_in(f"key = '{value}'".encode()) == {value}


@pytest.mark.parametrize("document", [b"\xff\xfe", b"key = ", b"", b"x = " + b"[" * 5000])
def test_no_document_is_too_strange_to_read(document: bytes) -> None:
    values_in(document)


def test_a_document_that_is_no_toml_is_read_line_by_line() -> None:
    document = b"# a comment\n[table]\npassword = hunter2-unquoted\ntoken = 'closed', \nloose words\n"
    assert values_in(document) == {"hunter2-unquoted", "closed", "loose words"}


@pytest.mark.parametrize("value", ["abcd", "äöüß", "1234567", "123456", "hunter2", "a1b2", "10.20.30.40"])
def test_a_value_long_and_rare_enough_is_worth_masking(value: str) -> None:
    assert is_worth_masking(value)


@pytest.mark.parametrize(
    "value", ["", "abc", "1", "5432", "12345", "true", "False", "prod", "localhost", "duckdb", "--"]
)
def test_what_is_short_or_common_is_left_alone(value: str) -> None:
    """Such values stand everywhere in logs; masked, they would hide the logs and not themselves."""
    assert not is_worth_masking(value)
