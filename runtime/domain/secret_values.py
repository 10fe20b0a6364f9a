"""What counts as a secret: the values of a `secrets.toml`, of any nesting, and what is hidden inside of them.

Not every value is one. Masking `prod` or `5432` wherever it stands would make logs unreadable and hide nothing, so the
line is drawn here: at least four characters, six if there is no letter among them, and none of the words that everybody
uses. A password below that line is no secret to anybody who tries.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

SHORTEST = 4
SHORTEST_WITHOUT_LETTERS = 6
"""Ports, counts, years and short versions are everywhere in a log."""

_COMMON_WORDS = """
    true false none null auto default enabled disabled
    prod production dev development test tests testing staging local access
    localhost 127.0.0.1 0.0.0.0 http https
    main master public admin root user username guest
    info debug warning error
    json jsonl csv parquet utf-8 utf8
    duckdb postgres postgresql mysql mssql snowflake bigquery databricks redshift motherduck clickhouse athena
    filesystem lancedb sqlite
    basic bearer oauth2 service_account
"""
COMMON = frozenset(_COMMON_WORDS.split())
"""Values that are left alone whatever they are used for; compared without regard to case."""

_QUOTES_AND_BRACKETS = " \t\"'[]{},"
_JSON_STARTS = ("{", "[", '"')


def values_in(document: bytes) -> set[str]:
    """Every value of a secrets file as a program may print it: strings as they are, numbers as text, no other kinds.

    A string that is JSON adds the values inside of it, one that is a URL its password. A document that is no TOML,
    which a job may print all the same, is read line by line.
    """
    text = document.decode(errors="replace")
    try:
        found = set(_scalars(tomllib.loads(text)))
    except (tomllib.TOMLDecodeError, RecursionError):
        found = set(_right_hand_sides(text))
    return {part for value in found for part in (value, *_inside(value))}


def is_worth_masking(text: str) -> bool:
    """Whether a value, or a line of one, is long and rare enough to be told from ordinary text."""
    shortest = SHORTEST if any(sign.isalpha() for sign in text) else SHORTEST_WITHOUT_LETTERS
    return len(text) >= shortest and text.lower() not in COMMON


def _scalars(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _inside(value: str) -> Iterator[str]:
    """The secrets that a program takes out of a value before it prints them."""
    if value.lstrip().startswith(_JSON_STARTS):
        try:
            inner = list(_scalars(json.loads(value)))
        except (ValueError, RecursionError):
            return
        for part in inner:
            yield from (part, *_inside(part))
    elif "://" in value:
        try:
            password = urlsplit(value).password
        except ValueError:
            return
        if password:
            yield from (password, unquote(password))


def _right_hand_sides(text: str) -> Iterator[str]:
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#") and not re.fullmatch(r"\[+[\w.\- ]+\]+", stripped):
            name, equals, value = stripped.partition("=")
            yield (value if equals else name).strip(_QUOTES_AND_BRACKETS)
