"""User codes and digests."""

import pytest

from runtime.auth.codes import digest, is_same_digest, is_user_code, new_secret, new_user_code, normalise_user_code


def test_a_user_code_avoids_what_is_misread() -> None:
    for _ in range(200):
        code = new_user_code()
        assert is_user_code(code)
        assert not set(code) & set("AEIOU01LY")


@pytest.mark.parametrize("typed", ["BCDF-2345", "bcdf-2345", " bcdf 2345", "bcdf2345", "B C D F 2 3 4 5"])
def test_a_code_may_be_typed_loosely(typed: str) -> None:
    assert normalise_user_code(typed) == "BCDF-2345"
    assert is_user_code(typed)


@pytest.mark.parametrize("typed", ["", "BCDF", "BCDF-234", "AEIO-2345", "BCDF-2345-6", "<b>F-2345", "2345-BCDF"])
def test_other_texts_are_no_code(typed: str) -> None:
    assert not is_user_code(typed)


def test_secrets_differ_and_their_digests_tell_them_apart() -> None:
    one, other = new_secret(), new_secret()
    assert len(one) >= 43  # 256 bits in base64
    assert len(digest(one)) == 32
    assert is_same_digest(digest(one), digest(one))
    assert not is_same_digest(digest(one), digest(other))
