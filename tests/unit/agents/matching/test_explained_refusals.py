"""A task that is refused is explained as fully as one that is planned: what was seen of whom, under which policy."""

from collections.abc import Sequence

from agents.answers import Answers
from agents.errors import NoAgentFits
from agents.ports.planning import Planned
from schemas.parts import Part, text_part
from schemas.percept import Percept
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived, Vector
from tests.unit.agents.matching.test_matcher import TEXT, World, at_angle
from tests.unit.agents.matching.test_matcher_with_policy import world  # noqa: F401 - the fixture


class OneSense:
    """Everything lies at the same place."""

    async def perceive(self, parts: Sequence[Part]) -> Perceived:
        return Perceived(Percept(parts=(), modalities=tuple(TEXT)), at_angle(0), tuple(parts))

    async def encode_texts(self, texts: Sequence[str]) -> Vector:
        raise AssertionError("the task's vector is at hand")


class Refusing:
    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        raise NoAgentFits("nobody does it")


async def test_a_refused_task_is_explained_with_features_and_with_the_policy_that_is_not_used(world: World):  # noqa: F811 - the fixture
    await world.add("far", 80)
    world.policies.teach("far", 80, 1.0)
    answers = Answers(OneSense(), Refusing(), world.matcher, world.fleet, lambda tenant: f"{tenant}: damaged")
    explained = await answers.explain(TaskSubmitted(parts=(text_part("do it"),)))
    assert (explained.failure.code, explained.policy_problem) == ("no_agent_fits", "default: damaged")
    [candidate] = explained.matches[0].candidates
    assert candidate.features["nearness"] < 0
    assert candidate.contributions["reputation"] > 0
