"""Keys are never lost: not to two who change the file at once, not to whoever may read it, not to odd words."""

import multiprocessing
import os

from evolution.privacy.keys import SEALED, KeyRing


def _add(path, tenant, ready):
    ready.wait()
    KeyRing(path).add(tenant)


def test_many_that_add_keys_at_once_lose_none(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(8)
    adding = [context.Process(target=_add, args=(tmp_path / "keys", f"t{n % 4}", ready)) for n in range(8)]
    for process in adding:
        process.start()
    for process in adding:
        process.join(60)
    lines = [line.split()[0] for line in (tmp_path / "keys").read_text().splitlines()[1:]]
    assert sorted(lines) == sorted(f"t{n % 4}" for n in range(8))


def test_who_may_read_the_file_stays_as_it_was_and_a_link_keeps_pointing(tmp_path):
    real = tmp_path / "real"
    real.touch()
    real.chmod(0o640)
    (tmp_path / "keys").symlink_to(real)
    ring = KeyRing(tmp_path / "keys")
    ring.add("acme")
    assert (tmp_path / "keys").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert ring.open("acme", ring.seal("acme", "words")) == "words"
    assert sorted(os.listdir(tmp_path)) == [".real.lock", "keys", "real"]


def test_a_new_file_is_its_owners_alone(tmp_path):
    KeyRing(tmp_path / "keys").add("acme")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


def test_words_that_look_sealed_are_sealed_and_come_back_as_they_were(tmp_path):
    ring = KeyRing(tmp_path / "keys")
    ring.add("acme")
    words = f"{SEALED}my secret"
    sealed = ring.seal("acme", words)
    assert "secret" not in sealed
    assert ring.open("acme", sealed) == words
