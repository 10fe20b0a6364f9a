"""What the documents say about settings and commands is what the program has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runtime.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTED = {
    row[1]: row[2]
    for row in re.finditer(r"^\| `([a-z_.]+)` \| (.+?) \|", (ROOT / "docs/configuration.md").read_text(), re.M)
}


def every_setting(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from every_setting(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def as_documented(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{list(default) if isinstance(default, tuple) else default}`"


@pytest.mark.parametrize(("name", "field"), [pytest.param(*setting, id=setting[0]) for setting in every_setting()])
def test_every_setting_is_documented_with_its_default(name: str, field: FieldInfo) -> None:
    assert name in DOCUMENTED, f"`{name}` is missing in docs/configuration.md"
    if field.default_factory is None:
        assert DOCUMENTED[name] == as_documented(field.default)


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(DOCUMENTED) == {name for name, _ in every_setting()}


def test_the_settings_file_that_is_installed_names_only_settings_that_exist() -> None:
    table, named = "", set()
    for line in (ROOT / "systemd/config.toml").read_text().splitlines():
        if heading := re.match(r"#? ?\[([\w.]+)\]", line):
            table = f"{heading[1]}."
        elif key := re.match(r"#? ?(\w+) = ", line):
            named.add(f"{table}{key[1]}")
    assert named
    assert named <= {name for name, _ in every_setting()}


@pytest.mark.parametrize(
    "document", ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text()):
        assert ((ROOT / document).parent / target).exists(), f"{document} links to `{target}`"
