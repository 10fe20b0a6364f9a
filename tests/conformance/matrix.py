"""`docs/compatibility.md`: what was tested with what, as the suite has found it or as its tables promise it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tests.conformance.lines import FEATURES, LINES, Line
from tests.conformance.play import MODES, Step
from tests.conformance.table import STEPS
from tests.processes import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "compatibility.md"
WRITE_VARIABLE = "TESTS_WRITE_COMPATIBILITY"

WORKS, FAILS = "works", "**fails**"

_INTRODUCTION = """\
# Compatibility

What has been tried with what. The end-to-end tests make this page, and one of them fails when it is out of date.

## Clients and lines of dlt

| client | dlt in the workspace | manifest engine | requirements engine |
|---|---|---|---|
"""
_COMMANDS = """
## Commands of `dlt runtime`

Every command of `dlt-runtime` 0.26.1 with `dlt[workspace]` 1.26.0, unmodified, against a running daemon: what it shows,
its exit status, and what has come of it afterwards. *Terminal* is a person at a terminal who is asked and answers;
*non-interactive* is `dlt --non-interactive` without one. Words in capitals stand for something of the workspace's.
Where a command is listed with an exit status other than 0, what is tried is that it refuses, and says why. The client
shows what the daemon says in lower case, names of jobs included; they are as they were deployed.
"""


@dataclass
class Results:
    """What the tests have found; the keys are a step's number and mode, or a line's version and a feature."""

    steps: dict[tuple[int, str], bool] = field(default_factory=dict)
    features: dict[tuple[str, str], bool] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return self.steps.keys() == promised().steps.keys() and self.features.keys() == promised().features.keys()


def promised() -> Results:
    """What the tables say: everything works."""
    steps = {(number, mode): True for number, (_, step) in enumerate(STEPS) for mode in step.modes()}
    return Results(steps, {(line.dlt, feature): True for line in LINES for feature in FEATURES})


def render(results: Results) -> str:
    """The page, as Markdown."""
    return "".join((_INTRODUCTION, *_clients(), "\n", *_features(results.features), _COMMANDS, *_scenes(results.steps)))


def write(results: Results, path: Path = DOCUMENT) -> None:
    """Write the page, if every test has had its say."""
    if results.is_complete:
        path.write_text(render(results))


def _clients() -> Iterator[str]:
    for line in LINES:
        if line.manifest_engine == 1:
            yield f"| `dlt-runtime` 0.26.1 (public client) | {_engines(line)}"
        yield f"| `dlt-runtime` (ours) | {_engines(line)}"


def _engines(line: Line) -> str:
    return f"{line.dlt} | {line.manifest_engine} | {line.requirements_engine} |\n"


def _features(found: Mapping[tuple[str, str], bool]) -> Iterator[str]:
    yield f"| with our command line | {' | '.join(f'dlt {line.dlt}' for line in LINES)} |\n"
    yield f"|---|{'---|' * len(LINES)}\n"
    for feature, promise in FEATURES.items():
        yield f"| {promise} | {' | '.join(_word(found[line.dlt, feature]) for line in LINES)} |\n"


def _scenes(found: Mapping[tuple[int, str], bool]) -> Iterator[str]:
    numbered = [(scene, number, step) for number, (scene, step) in enumerate(STEPS)]
    for scene, steps in groupby(numbered, key=lambda one: one[0]):
        yield f"\n### {scene.capitalize()}\n\n"
        yield "| command | exit status | terminal | non-interactive |\n|---|---|---|---|\n"
        rows: dict[tuple[str, int], dict[str, list[bool]]] = {}
        for _, number, step in steps:
            row = rows.setdefault((_words(step), step.status), {mode: [] for mode in MODES})
            for mode in step.modes():
                row[mode].append(found[number, mode])
        for (words, status), row in rows.items():
            results = (_word(all(row[mode])) if row[mode] else "" for mode in MODES)
            yield f"| `{words}` | {status} | {' | '.join(results)} |\n"


def _words(step: Step) -> str:
    """The command as a reader would write it."""
    names = {"first_id": "WORKSPACE_ID", "device_code": "DEVICE_CODE", "resting": "RUN_NUMBER", "mode": "WORKSPACE"}
    words = step.command.replace("{mode}-second", "WORKSPACE")
    return words.format_map(names).replace("00000000-0000-4000-8000-000000000000", "UNKNOWN_ID")


def _word(works: bool) -> str:
    return WORKS if works else FAILS
