"""Reading cards leaves nothing behind: a gateway reads them for months, a folder with a bad file is read every 5 s."""

import gc
from pathlib import Path

import yaml

from agents.errors import CardInvalid
from agents.registry.card_files import load_card
from agents.registry.folder_watch import FolderWatch
from agents.registry.memory_registry import MemoryRegistry

ECHO = Path("examples/echo/echo.yaml")


def alive(kind: type) -> int:
    gc.collect()
    return sum(issubclass(type(one), kind) for one in gc.get_objects())


def test_what_a_card_was_read_from_is_not_kept():
    load_card(ECHO)
    before = alive(yaml.Node)
    for _ in range(20):
        load_card(ECHO)
    assert alive(yaml.Node) == before


async def test_a_file_that_stays_bad_is_refused_anew_without_keeping_the_refusals_before(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("id: bad\nversion: nonsense\n")
    (tmp_path / "broken.yaml").write_text("id: [\n")
    watch = FolderWatch(tmp_path, MemoryRegistry(), on_refused=lambda _: None)
    await watch.synchronise()
    before = alive(CardInvalid)
    for _ in range(20):
        assert len((await watch.synchronise()).refused) == 2
    assert alive(CardInvalid) <= before
