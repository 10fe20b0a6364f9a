"""Run by the public client's own interpreter: reads recorded answers with the client's own code.

Standard input holds a JSON list of `{"module", "status", "body"}`; what cannot be read is printed, one line each.
"""

import importlib
import json
import sys
from typing import Any

import httpx


def failure(answer: dict[str, Any]) -> str | None:
    package = ".".join(answer["module"].split(".")[:3])
    client = importlib.import_module(f"{package}.client").Client(
        base_url="http://runtime", raise_on_unexpected_status=True
    )
    module = importlib.import_module(answer["module"])
    response = httpx.Response(answer["status"], text=answer["body"])
    try:
        parsed = module._parse_response(client=client, response=response)
    except Exception as error:
        return f"{answer['module']}: {type(error).__name__}: {error}"
    if answer["status"] != 204 and parsed is None:
        return f"{answer['module']}: nothing was read from a {answer['status']}"
    if hasattr(parsed, "to_dict"):
        json.dumps(parsed.to_dict())
    return None


for line in filter(None, map(failure, json.load(sys.stdin))):
    print(line)
