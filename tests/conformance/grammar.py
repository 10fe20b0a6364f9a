"""The grammar of `dlt runtime` as its own parser has it, and which parts of it a list of commands uses."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import plain_environment, run

SCRIPT = Path(__file__).parents[1] / "resources" / "client_grammar.py"


@dataclass(frozen=True)
class Part:
    """One thing that a person may write.

    `command` holds the words up to it (none for what stands right after `runtime`); `name` is an option as written, a
    positional value, `no VALUE` for one that is left out, or empty for the command as such.
    """

    command: tuple[str, ...]
    name: str = ""

    def __str__(self) -> str:
        return " ".join(("runtime", *self.command, self.name)).strip()


class Grammar:
    """The parser's tree; asking for usage (`-h`) is no part of it, for that never meets a daemon."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self._tree = tree

    @classmethod
    def of_client(cls, virtualenv: Path, directory: Path) -> "Grammar":
        """As the client itself has it in a workspace directory."""
        environment = plain_environment(HOME=str(directory), RUNTIME__DLTHUB_TELEMETRY="false")
        del environment["PYTHONPATH"]
        said = run([str(virtualenv / "bin" / "python"), str(SCRIPT)], cwd=directory, environment=environment).expect()
        return cls(json.loads(said.out))

    @property
    def commands(self) -> set[tuple[str, ...]]:
        """Every command with its operations and aliases; `()` is `dlt runtime` alone."""
        return {part.command for part in self.parts()}

    def parts(self) -> set[Part]:
        """All there is to write."""
        return set(self._parts((), self._tree))

    def _parts(self, command: tuple[str, ...], tree: dict[str, Any]) -> Iterator[Part]:
        yield Part(command)
        for option in tree["options"]:
            for name in option["names"]:
                yield Part(command, name)
        for name, many in tree["positionals"].items():
            yield Part(command, name)
            if many in ("?", "*"):
                yield Part(command, f"no {name}")
        for name, below in tree["commands"].items():
            yield from self._parts((*command, name), below)

    def used(self, words: Sequence[str]) -> set[Part]:
        """The parts in a command's words (those after `runtime`), which the parser takes."""
        tree, command = self._tree, tuple[str, ...]()
        values = list[str]()
        found = {Part(())}
        waiting = iter(words)
        for word in waiting:
            option = next((one for one in tree["options"] if word in one["names"]), None)
            if option is not None:
                found.add(Part(command, word))
                if option["takes_value"]:
                    next(waiting, None)
            elif word in tree["commands"]:
                found |= _positionals(command, tree, values)
                tree, command, values = tree["commands"][word], (*command, word), []
                found.add(Part(command))
            else:
                values.append(word)
        return found | _positionals(command, tree, values)


def _positionals(command: tuple[str, ...], tree: dict[str, Any], values: Sequence[str]) -> set[Part]:
    """Values go to the positionals in order; one that takes any number takes all that are left."""
    names = tree["positionals"]
    given = len(values)
    return {Part(command, name if number < given else f"no {name}") for number, name in enumerate(names)}
