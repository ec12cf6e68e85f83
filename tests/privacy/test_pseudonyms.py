"""Pseudonyms: one for one thing in any spelling, none for two things, and names that open with the key alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.privacy import keys
from agents.privacy.pseudonyms import PATTERN, Kind, Pseudonymiser, pseudonym, seal, spelled, unseal
from schemas.errors import ConfigError

KEY, OTHER = keys.Key(b"k" * 32), keys.Key(b"o" * 32)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (Kind.USER, "Anna.Weber ", "anna.weber"),
        (Kind.MAIL, "Anna@Schools.Example", "anna@schools.example"),
        (Kind.DEVICE, "AA-BB-CC-00-11-22", "aabb.cc00.1122"),
        (Kind.DEVICE, "Annas-Laptop.", "annas-laptop"),
        (Kind.ADDRESS, "2001:DB8:0::1", "2001:db8::1"),
        (Kind.ADDRESS, "::ffff:10.1.2.3", "10.1.2.3"),
    ],
)
def test_a_thing_in_another_spelling_has_the_same_pseudonym(kind: Kind, one: str, other: str) -> None:
    names = Pseudonymiser(keys.Keyring((KEY,)))
    assert names.of(kind, one) == names.of(kind, other)
    assert PATTERN.fullmatch(names.of(kind, one))
    assert len(names.take_new()) == 1


def test_kinds_and_keys_have_pseudonyms_of_their_own() -> None:
    made = {pseudonym(key, kind, "anna") for key in (KEY, OTHER) for kind in Kind}
    assert len(made) == 8
    assert {name.partition("-")[2].partition("-")[0] for name in made} == {KEY.id, OTHER.id}


@given(st.sampled_from(Kind), st.text(min_size=1))
def test_a_name_opens_with_its_key_and_with_nothing_else(kind: Kind, text: str) -> None:
    spelling = spelled(kind, text)
    name = pseudonym(KEY, kind, spelling)
    sealed = seal(KEY, name, spelling)
    assert unseal(keys.Keyring((OTHER, KEY)), name, sealed) == spelling
    assert unseal(keys.Keyring((OTHER,)), name, sealed) is None
    elsewhere = pseudonym(KEY, kind, spelling + "x")
    assert unseal(keys.Keyring((KEY,)), elsewhere, sealed) is None, "moved to another pseudonym"
    assert unseal(keys.Keyring((KEY,)), name, sealed[:-4] + "AAA=") is None or not sealed


def test_keys_are_made_once_for_their_owner_and_rotation_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys"
    first = keys.ensure(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.ensure(path) == first
    second = keys.rotate(path)
    assert (second.keys[:-1], second.newest != first.newest) == (first.keys, True)
    assert keys.read(path) == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["keys"], "no key in a forgotten file"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p.chmod(0o640), "others may use"),
        (lambda p: p.write_text("# nothing\n"), "no key"),
        (lambda p: p.write_text(p.read_text() + "9c41 " + "a" * 64 + " x\n"), "3: this line is no key"),
        (lambda p: p.unlink(), "no file with the keys"),
    ],
)
def test_a_key_file_that_is_wrong_is_named(tmp_path: Path, change: object, told: str) -> None:
    path = tmp_path / "keys"
    keys.ensure(path)
    assert callable(change)
    change(path)
    with pytest.raises(ConfigError) as caught:
        keys.read(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "hint" not in str(caught.value)
