"""Groups of commands: the root, which imports a command's module when it is called, and those with operations."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command

from cli.exit_codes import ExitCode, exit_code_for
from cli.grammar import hoist, is_option, operation_first
from cli.output.console import Output
from runtime.errors import JobRuntimeError, UnauthenticatedError

_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""Click's `UsageError`, which Typer does not name but whose best known child it does."""

GLOBAL_OPTIONS = {
    "--url": True,
    "--ca-file": True,
    "--workspace": True,
    "-w": True,
    "--timestamps": False,
    "--debug": False,
    "--non-interactive": False,
}
_WORKSPACE_OPTIONS = frozenset({"--workspace", "-w"})
_HELP = frozenset({"--help", "-h"})


@dataclass(frozen=True)
class Entry:
    """A command of the root: where it is, and whether the list of commands shows it."""

    name: str
    module: str
    attribute: str = "app"
    is_hidden: bool = False
    has_own_workspace_option: bool = False


class DefaultGroup(TyperGroup):
    """A group that runs one of its operations when none is named."""

    default_operation: ClassVar[str] = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the default operation when there is no word at all, and let Click go on."""
        if not any(not is_option(word) for word in args) and not _HELP.intersection(args):
            args = [self.default_operation, *args]
        return super().parse_args(ctx, args)


class OperationGroup(DefaultGroup):
    """A group whose values stand before the operation; see `cli.grammar`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bring the words into Click's order; a call for help without an operation is about the group."""
        operations = self.list_commands(ctx)
        asks_about_group = _HELP.intersection(args) and not any(word in operations for word in args)
        if not asks_about_group:
            args = operation_first(args, operations, self.default_operation, self._valued_options())
        return super().parse_args(ctx, args)

    def _valued_options(self) -> set[str]:
        return {
            spelling
            for command in self.commands.values()
            for parameter in command.params
            if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False)
            for spelling in parameter.opts
        }


class RootGroup(TyperGroup):
    """The root: finds commands by name, imports them late, and turns every error into a line and a status."""

    entries: ClassVar[Sequence[Entry]] = ()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Click's signature
        """The names of the commands that are shown."""
        return [entry.name for entry in self.entries if not entry.is_hidden]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Click's signature
        """Import a command."""
        entry = next((entry for entry in self.entries if entry.name == cmd_name), None)
        return None if entry is None else load_command(entry)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bring the options of every command to the front."""
        command = next((word for word in args if any(word == entry.name for entry in self.entries)), None)
        own = any(entry.name == command and entry.has_own_workspace_option for entry in self.entries)
        options = {name: value for name, value in GLOBAL_OPTIONS.items() if not (own and name in _WORKSPACE_OPTIONS)}
        return super().parse_args(ctx, hoist(args, options))

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]
        """Run and, unless the caller wants the value, exit with the status that fits."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        words = list(sys.argv[1:] if args is None else args)
        sys.exit(self._run(words, extra))

    def _run(self, words: list[str], extra: dict[str, Any]) -> int:
        try:
            return int(super().main(words, standalone_mode=False, **extra) or ExitCode.DONE)
        except _USAGE_ERROR as error:
            return _usage(error)
        except typer.Abort:
            return ExitCode.INTERRUPTED
        except JobRuntimeError as error:
            if "--debug" in words:
                raise
            Output().error(error.message, error.hint or _way_out(error))
            return exit_code_for(error)
        except OSError as error:  # a full disk below stdout, say, which is nobody's bug
            if "--debug" in words:
                raise
            _drop_output()
            where = f" (`{error.filename}`)" if error.filename else ""
            Output().error(f"the system refuses: {error.strerror or error}{where}", "`--debug` shows where it happened")
            return ExitCode.FAILED
        except Exception as error:  # whatever else it is, it is a bug of ours, and a traceback helps only us
            if "--debug" in words:
                raise
            Output().error(
                f"unexpected {type(error).__name__}: {error}",
                "this is a bug in dlt-runtime; `--debug` shows where it happened",
            )
            return ExitCode.FAILED


def new_group(summary: str, kind: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A group of operations, to be filled with commands."""
    return typer.Typer(cls=kind, help=summary, add_completion=False, rich_markup_mode="markdown")


def load_command(entry: Entry) -> Any:
    """The Click command of an entry: a group's `Typer`, or one function."""
    loaded = getattr(import_module(entry.module), entry.attribute)
    if not isinstance(loaded, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        single.command(entry.name)(loaded)
        loaded = single
    loaded.info.name = entry.name
    command = get_command(loaded)
    command.name = entry.name
    return command


def _way_out(error: JobRuntimeError) -> str | None:
    """What there is to do about an error of which the daemon cannot know: where a token comes from."""
    from cli.credentials import TOKEN_VARIABLE, is_machine

    if not isinstance(error, UnauthenticatedError):
        return None
    if is_machine():
        return f"it is the token in {TOKEN_VARIABLE}; `dlt-runtime token create` on the daemon's machine makes another"
    return "`dlt-runtime login` makes you known again"


def _drop_output() -> None:
    """Forget what stdout does not take: else Python tries once more when it ends, and complains."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _usage(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    path = context.command_path if context is not None else "dlt-runtime"
    message = message.replace("Value error, ", "")  # pydantic's, before what a validator of ours or Typer's has said
    text = message[:1].lower() + message[1:].rstrip(".")
    Output().error(text, f"`{path} --help` shows how it is used")
    return ExitCode.USAGE
