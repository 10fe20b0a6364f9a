"""The order of words: the table of the public client's grammar, and what we allow beyond it."""

import pytest

from cli.grammar import hoist, operation_first

JOB_RUN = ("list", "info", "logs", "cancel")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "list"),
        ("list", "list"),
        ("hello list", "list hello"),
        ("hello info", "info hello"),
        ("hello 2 info", "info hello 2"),
        ("hello 2 logs -f", "logs hello 2 -f"),
        ("hello 2 logs --follow", "logs hello 2 --follow"),
        ("-f hello logs", "logs -f hello"),
        ("hello 2 cancel", "cancel hello 2"),
        ("list hello", "list hello"),
        ("logs hello 2 -f", "logs hello 2 -f"),
        ("hello", "list hello"),
        ("hello --json", "list hello --json"),
        ("list --limit 5 hello", "list --limit 5 hello"),
        ("--limit 5 list", "list --limit 5"),
        ("--limit=5 list", "list --limit=5"),
    ],
)
def test_the_operation_is_found_wherever_it_stands(words: str, expected: str) -> None:
    assert operation_first(words.split(), JOB_RUN, "list", {"--limit"}) == expected.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("logs logs", "logs logs"),
        ("info logs", "logs info"),
        ("logs info 2", "logs info 2"),
        ("list 3 logs", "logs list 3"),
        ("--limit list info", "info --limit list"),
    ],
)
def test_a_job_may_have_the_name_of_an_operation(words: str, expected: str) -> None:
    assert operation_first(words.split(), JOB_RUN, "list", {"--limit"}) == expected.split()


def test_words_behind_a_double_dash_are_values() -> None:
    assert operation_first(["info", "--", "list"], JOB_RUN, "list", ()) == ["info", "--", "list"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("job list --url unix:///x --json", "--url unix:///x job list --json"),
        ("job list --url=unix:///x", "--url=unix:///x job list"),
        ("jobs list --timestamps", "--timestamps jobs list"),
        ("--timestamps jobs list", "--timestamps jobs list"),
        ("trigger -- --url x", "trigger -- --url x"),
        ("job list --url", "--url job list"),
    ],
)
def test_options_of_every_command_may_stand_anywhere(words: str, expected: str) -> None:
    assert hoist(words.split(), {"--url": True, "--timestamps": False}) == expected.split()
