"""What is not there is said with where to look; nothing is started that cannot work."""

from pathlib import Path

import pytest

from gateway.errors import ServerDidNotStart
from gateway.settings import Settings
from gateway.settings.sections import Agents
from gateway.supervision.deployment import Deployment
from tests.integration.http_door import in_process, open_app


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/tasks/nobody", ("GET /v1/tasks", "aos task list", "--tenant")),
        ("/v1/dead/99", ("GET /v1/dead", "aos dead list")),
        ("/v1/agents/nobody", ("GET /v1/agents", "aos agents list")),
    ],
)
async def test_what_is_not_there_says_where_to_look(nc, js, tmp_path, path: str, where: tuple[str, ...]):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert all(words in answer.json()["next_step"] for words in where)


async def test_a_folder_of_cards_that_is_not_there_is_said_before_anything_starts(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data", agents=Agents(cards_dir=tmp_path / "absent"))
    deployment = Deployment(settings.model_copy(update={"http": settings.http.model_copy(update={"port": 0})}), {})
    try:
        with pytest.raises(ServerDidNotStart, match=r"no folder .*absent.* --agents or AOS_AGENTS_DIR"):
            await deployment.start()
        assert deployment.supervisor.statuses() == ()
    finally:
        await deployment.stop()
