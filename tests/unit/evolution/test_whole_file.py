"""A file appears once it is whole."""

import os
import subprocess
import sys

import pytest

from evolution.whole_file import whole_file


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("of yesterday")

    def half_a_page():
        with whole_file(path) as partial:
            partial.write_text("half a pa")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        half_a_page()
    assert path.read_text() == "of yesterday"
    with whole_file(path) as partial:
        partial.write_text("of today")
        assert path.read_text() == "of yesterday"
        assert partial.suffix == ".html"
    assert path.read_text() == "of today"
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_link_keeps_pointing_where_it_did_and_a_device_is_written_to(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    with whole_file(link) as partial:
        partial.write_text("words")
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "words"
    with whole_file(tmp_path) as partial:
        assert partial == tmp_path


def test_what_a_killed_process_had_begun_is_removed_by_the_next(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    gone, ours = int(ended.stdout), os.getppid()
    begun = {
        tmp_path / f".{gone}.partial.e.csv": False,
        tmp_path / f".{ours}.partial.e.csv": True,  # it runs
        tmp_path / f".{gone}.partial.other.csv": True,
        tmp_path / ".notes.partial.e.csv": True,
    }
    for left in begun:
        left.write_text("half")
        os.utime(left, (0, 0))
    young = tmp_path / f".{gone}.partial.f.csv"
    young.write_text("half")
    for name in ("e.csv", "f.csv"):
        with whole_file(tmp_path / name) as partial:
            partial.write_text("whole")
    assert {left: left.exists() for left in begun} == begun
    assert young.exists()  # perhaps of a process on another machine
