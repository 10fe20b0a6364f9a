"""What dlt's own package builder writes is taken, with the hash it computes (semantics J2)."""

import io
from pathlib import Path

import pytest

from runtime.errors import InvalidError
from runtime.packages.archive import (
    UnpackedPackage,
    check_configuration_paths,
    check_deployment_paths,
    content_path,
    unpack_archive,
)
from runtime.settings import LimitSettings

pytest.importorskip("dlt", reason="dlt is not installed: uv sync --group oracle")

_LONG = "d" * 150 + "/" + "\u00fc" * 120 + ".py"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DLT_PROJECT_DIR", raising=False)
    root = tmp_path / "shop"
    files = {
        "pipeline.py": b"print('hello')\n",
        "package/__init__.py": b"",
        "package/copy.py": b"print('hello')\n",
        "package/\u679c \U0001f34e #1: 'x' \"y\".txt": b"\x00\xff" * 1000,
        "- null: true": b"a name that is YAML",
        "~": b"another",
        "007": b"a number",
        "space at the end ": b"",
        _LONG: b"pass\n" * 50_000,
        "run.sh": b"#!/bin/sh\n",
        ".venv/ignored.py": b"",
        ".dlt/.workspace": b"",
        ".dlt/config.toml": b"a = 1\n",
        ".dlt/secrets.toml": b"b = 'x'\n",
        ".dlt/prod.secrets.toml": b"b = 'y'\n",
        ".dlt/team/config.toml": b"",
    }
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "run.sh").chmod(0o4755)
    (root / "latest.py").symlink_to("package/copy.py")
    (root / "package" / "up.py").symlink_to("../pipeline.py")
    (root / "deep.py").symlink_to(_LONG)
    (root / "folder").symlink_to("package")
    (root / "out.py").symlink_to("/etc/passwd")
    (root / "gone.py").symlink_to("missing.py")
    (root / ".dlt" / "access.secrets.toml").symlink_to("prod.secrets.toml")
    return root


def build(workspace: Path, selector: str, into: Path) -> tuple[UnpackedPackage, str, Path]:
    """What dlt packs from `workspace`, unpacked; dlt's own hash; where the contents are."""
    from dlt._workspace._workspace_context import WorkspaceRunContext
    from dlt._workspace.deployment import file_selector
    from dlt._workspace.deployment.package_builder import PackageBuilder

    context = WorkspaceRunContext("shop", str(workspace), "dev")
    stream = io.BytesIO()
    expected = PackageBuilder(context).write_package_to_stream(getattr(file_selector, selector)(context), stream)
    upload = into.with_name("upload")
    upload.write_bytes(stream.getvalue())
    return unpack_archive(upload, into, LimitSettings(), 1 << 20), expected, into


def assert_equals_disk(package: UnpackedPackage, contents: Path, root: Path) -> None:
    for file in package.files:
        source = root / file.relative_path
        if file.linkname is not None:
            assert str(source.readlink()) == file.linkname
        else:
            assert content_path(contents, file.sha3_256).read_bytes() == source.read_bytes()
            assert file.mode == source.stat().st_mode & 0o777


def test_a_workspace_as_dlt_packs_it_is_taken_with_dlts_hash(workspace: Path, tmp_path: Path) -> None:
    package, expected, contents = build(workspace, "WorkspaceFileSelector", tmp_path / "contents")
    check_deployment_paths(package.files)
    assert package.content_hash == expected
    assert_equals_disk(package, contents, workspace)
    paths = {file.relative_path for file in package.files}
    assert {"pipeline.py", "~", "007", "- null: true", _LONG, "latest.py", "deep.py", "package/up.py"} <= paths
    assert not any(path.startswith(".dlt") for path in paths)


def test_a_configuration_as_dlt_packs_it_is_taken_with_dlts_hash(workspace: Path, tmp_path: Path) -> None:
    package, expected, contents = build(workspace, "ConfigurationFileSelector", tmp_path / "contents")
    check_configuration_paths(package.files)
    assert package.content_hash == expected
    assert_equals_disk(package, contents, workspace / ".dlt")
    assert [file.relative_path for file in package.files] == [
        "access.secrets.toml",
        "config.toml",
        "prod.secrets.toml",
        "secrets.toml",
        "team/config.toml",
    ]


def test_our_hash_changes_when_and_only_when_dlts_does(workspace: Path, tmp_path: Path) -> None:
    hashes: list[tuple[str, str]] = []

    def pack() -> None:
        package, expected, _ = build(workspace, "WorkspaceFileSelector", tmp_path / f"contents{len(hashes)}")
        hashes.append((package.content_hash, expected))

    pack()
    (workspace / "pipeline.py").chmod(0o600)
    pack()
    (workspace / "latest.py").unlink()
    (workspace / "latest.py").symlink_to("pipeline.py")
    pack()
    (workspace / "pipeline.py").write_bytes(b"print('bye')\n")
    pack()
    assert all(ours == theirs for ours, theirs in hashes)
    assert [hashes[0] == hashes[1], hashes[1] == hashes[2], hashes[2] == hashes[3]] == [True, False, False]


def test_an_absolute_link_that_dlt_packs_is_refused_by_name(workspace: Path, tmp_path: Path) -> None:
    """It leads into the tree on the machine that packed it, and out of it on every other."""
    (workspace / "absolute.py").symlink_to(workspace / "pipeline.py")
    with pytest.raises(InvalidError, match=r"`files/absolute\.py` is a symbolic link with an absolute target"):
        build(workspace, "WorkspaceFileSelector", tmp_path / "contents")
