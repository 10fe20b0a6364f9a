"""`docs/compatibility.md` says what the tables of the conformance suite promise."""

from dataclasses import replace
from pathlib import Path

from tests.conformance.matrix import DOCUMENT, FAILS, WRITE_VARIABLE, Results, promised, render, write


def test_the_page_is_what_the_tables_promise() -> None:
    assert DOCUMENT.read_text() == render(promised()), f"run tests/e2e with {WRITE_VARIABLE}=1"


def test_what_fails_is_shown_to_fail() -> None:
    results = promised()
    results.features["1.31.0", "windows"] = False
    assert render(results).count(FAILS) == render(promised()).count(FAILS) + 1


def test_a_page_of_half_the_tests_is_not_written(tmp_path: Path) -> None:
    write(Results(), tmp_path / "page.md")
    write(replace(promised(), features={}), tmp_path / "page.md")
    assert not (tmp_path / "page.md").exists()
