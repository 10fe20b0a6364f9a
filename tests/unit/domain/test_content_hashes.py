"""Hashes agree with those the clients compute, so that both sides see the same changes (semantics J2, J3)."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.jobs import hash_definition
from runtime.domain.packages import content_digest, package_hash
from tests import oracle
from tests.factories import make_file, make_raw_definition

plain_floats = st.floats(1e-4, 1e15) | st.floats(-1e15, -1e-4) | st.just(0.0)
texts = st.text(st.characters(codec="utf-8"), max_size=6)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | plain_floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(texts, json_values, max_size=4))
def test_a_definition_hashes_as_in_the_sdk(raw: dict[str, Any]) -> None:
    """Semantics J3: any Unicode, any key order, and numbers as people write them."""
    assert hash_definition(raw) == oracle.manifest.hash_job_definition(raw)


@pytest.mark.parametrize("number", [1e-5, -2.5e-7])
def test_tiny_numbers_hash_differently(number: float) -> None:
    """Semantics J3: known difference (`1e-05` here, `1e-5` there), harmless: only our own hashes are compared."""
    raw = make_raw_definition(execute={"timeout": {"timeout": number}})
    assert hash_definition(raw) != oracle.manifest.hash_job_definition(raw)


def test_key_order_does_not_matter_and_content_does() -> None:
    """Semantics J3."""
    raw = make_raw_definition(description="Früchte 🍎")
    assert hash_definition(raw) == hash_definition(dict(reversed(raw.items())))
    assert hash_definition(raw) != hash_definition({**raw, "description": "Fruchte"})


def test_a_package_hashes_over_path_and_digest_sorted_by_path() -> None:
    """Semantics J2: the hash is not that of any order in which files came."""
    files = [make_file("b.py", b"b"), make_file("a/ü.py", b"a"), make_file("B.py", b"")]
    expected = hashlib.sha3_256()
    for path, content in (("B.py", b""), ("a/ü.py", b"a"), ("b.py", b"b")):
        expected.update(path.encode())
        expected.update(base64.b64encode(hashlib.sha3_256(content).digest()))
    assert package_hash(files) == base64.b64encode(expected.digest()).decode()
    assert package_hash(reversed(files)) == package_hash(files)


@given(st.binary())
def test_a_content_is_named_by_its_sha3(content: bytes) -> None:
    """Semantics J2."""
    assert base64.b64decode(content_digest(content)) == hashlib.sha3_256(content).digest()
