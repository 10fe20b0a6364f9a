import pytest

from runtime.environments.reasons import KeptOutput, Scrubber, reason_of

NO_SOLUTION = """\
Using Python 3.11.2 environment at: /venv
error: No solution found when resolving dependencies
  cause: Because apple==1.0 depends on pear>=2 and you require apple==1.0, we can conclude that you require pear>=2.
         And because you require pear<2, we can conclude that your requirements are unsatisfiable.
"""
NO_SOLUTION_OF_OLDER_UV = """\
  \N{MULTIPLICATION SIGN} No solution found when resolving dependencies:
  ╰─▶ Because nosuchpkg was not found in the package registry and you require
      nosuchpkg, we can conclude that your requirements are unsatisfiable.
"""
BROKEN_BUILD = """\
Resolved 1 package in 0.95ms
   Building bad==1.0
error: Failed to build `bad==1.0`
  cause: The build backend returned an error
  cause: Call to `backend.build_wheel` failed (exit status: 1)

         [stdout]
         hello from the backend

         [stderr]
         error: this line is the script's
         Traceback (most recent call last):
           File "<string>", line 11, in <module>
         ValueError: the C compiler is missing

hint: Build failures usually indicate a problem with the package or the build environment
"""


def test_a_resolution_that_fails_is_told_with_its_whole_cause() -> None:
    """semantics S6"""
    assert reason_of(NO_SOLUTION.splitlines()) == (
        "No solution found when resolving dependencies: Because apple==1.0 depends on pear>=2 and you require "
        "apple==1.0, we can conclude that you require pear>=2. And because you require pear<2, we can conclude that "
        "your requirements are unsatisfiable."
    )


def test_the_signs_of_older_uv_are_understood() -> None:
    assert reason_of(NO_SOLUTION_OF_OLDER_UV.splitlines()) == (
        "No solution found when resolving dependencies: Because nosuchpkg was not found in the package registry and "
        "you require nosuchpkg, we can conclude that your requirements are unsatisfiable."
    )


def test_a_build_that_fails_is_told_with_the_last_line_of_its_script() -> None:
    """semantics S6"""
    assert reason_of(BROKEN_BUILD.splitlines()) == (
        "Failed to build `bad==1.0`: The build backend returned an error: "
        "Call to `backend.build_wheel` failed (exit status: 1): ValueError: the C compiler is missing"
    )


def test_a_build_that_floods_is_told_by_its_error_and_its_last_line_all_the_same() -> None:
    """semantics S6"""
    error, mark, last = BROKEN_BUILD.splitlines()[2:5], "         [stderr]", "      OSError: the flood is over"
    output = KeptOutput()
    for line in [*["Resolved"] * 1000, *error, mark, *["      x"] * 10_000, last]:
        output.add(line)
    assert output.reason == (
        "Failed to build `bad==1.0`: The build backend returned an error: "
        "Call to `backend.build_wheel` failed (exit status: 1): OSError: the flood is over"
    )


def test_without_an_error_of_uvs_the_last_line_is_the_reason() -> None:
    assert reason_of(["Resolved 1 package", "bwrap: cannot fork", ""]) == "bwrap: cannot fork"
    assert reason_of([]) == ""


def test_a_reason_has_a_bounded_length() -> None:
    assert len(reason_of(["error: " + "x" * 5000])) == 800


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("get https://joe:s3cr%20et@example.org/simple/", "get https://***@example.org/simple/"),
        ("get https://token@example.org/", "get https://***@example.org/"),
        ("the password is `s3cr et`", "the password is `***`"),
        ("or `s3cr%20et`", "or `***`"),
        ("https://example.org/a@b", "https://example.org/a@b"),
    ],
)
def test_credentials_are_taken_out_wherever_they_stand(text: str, scrubbed: str) -> None:
    assert Scrubber(["https://joe:s3cr%20et@example.org/simple"])(text) == scrubbed
