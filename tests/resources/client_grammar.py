"""Runs inside the public client's environment, in a workspace: prints the grammar of `dlt runtime` as JSON."""

import argparse
import json
from typing import Any

from dlt._workspace.cli._dlt import _create_parser


def grammar(parser: argparse.ArgumentParser) -> dict[str, Any]:
    options: list[dict[str, Any]] = []
    positionals: dict[str, Any] = {}
    commands: dict[str, Any] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands = {name: grammar(sub) for name, sub in action.choices.items()}
        elif isinstance(action, argparse._HelpAction):
            pass
        elif action.option_strings:
            options.append({"names": action.option_strings, "takes_value": action.nargs != 0})
        else:
            positionals[action.dest] = action.nargs or ""
    return {"options": options, "positionals": positionals, "commands": commands}


if __name__ == "__main__":
    (action,) = (one for one in _create_parser()[0]._actions if isinstance(one, argparse._SubParsersAction))
    print(json.dumps(grammar(action.choices["runtime"])))
