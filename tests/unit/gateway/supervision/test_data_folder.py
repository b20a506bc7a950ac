"""A data folder has one owner at a time."""

import os
from pathlib import Path

import pytest

from gateway.errors import ServerDidNotStart
from gateway.supervision.data_folder import owned


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path):
    with owned(tmp_path), pytest.raises(ServerDidNotStart, match=str(os.getpid())), owned(tmp_path):
        pass


def test_a_folder_is_free_again_afterwards(tmp_path: Path):
    for _ in range(2):
        with owned(tmp_path / "new"):
            assert (tmp_path / "new").is_dir()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerDidNotStart, match="cannot be used"), owned(tmp_path / "file"):
        pass
