"""One behavioural suite over every adapter of ports.SkillIndex. A Qdrant server joins when AOS_QDRANT_URL names one."""

import asyncio
import os
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient

from agents.errors import FilterContradiction, IndexUnavailable
from agents.ports.skill_index import IndexFilter, SkillIndex, SkillPoint, WordQuery
from agents.registry.skill_index.client import ClientSkillIndex, collection_of
from agents.registry.skill_index.edge import INLINE_SEARCH_POINTS, INLINE_WRITE_POINTS, EdgeSkillIndex
from schemas.parts import Modality
from tensor_layer.ports import Vector

DIMENSION = 8
QDRANT_URL = os.environ.get("AOS_QDRANT_URL")


def direction(*weights: float) -> Vector:
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[: len(weights)] = weights
    return vector / np.float32(np.linalg.norm(vector))


EAST, NORTH, UP = direction(1), direction(0, 1), direction(0, 0, 1)


TEXT, IMAGE, AUDIO = (frozenset({modality}) for modality in (Modality.TEXT, Modality.IMAGE, Modality.AUDIO))


def a_point(
    agent_id: str,
    skill_id: str,
    vector: Vector,
    tenant: str = "default",
    inputs: frozenset[Modality] = TEXT,
    **more: object,
) -> SkillPoint:
    return SkillPoint(tenant, agent_id, skill_id, vector, inputs, **more)  # type: ignore[arg-type]


MEMORY = Path("/dev/shm")
FOLDER = MEMORY if MEMORY.is_dir() else None
"""The engine syncs each file it makes: on a busy disk, a second an index."""

ADAPTERS = ["edge", "client-local", *(["client-server"] if QDRANT_URL else [])]


@pytest.fixture(params=ADAPTERS)
async def index(request: pytest.FixtureRequest) -> AsyncIterator[SkillIndex]:
    opened: SkillIndex
    if request.param == "edge":
        opened = await EdgeSkillIndex.open(FOLDER, dimension=DIMENSION)
    elif request.param == "client-local":
        opened = await ClientSkillIndex.over(AsyncQdrantClient(":memory:"), dimension=DIMENSION)
    else:
        assert QDRANT_URL
        opened = await ClientSkillIndex.connect(QDRANT_URL, collection=f"test_{uuid.uuid4().hex}", dimension=DIMENSION)
    yield opened
    await opened.close()


async def found(index: SkillIndex, vector: Vector, limit: int = 10, **where: object) -> list[tuple[str, str]]:
    hits = await index.search(vector, IndexFilter(**{"tenant": "default", **where}), limit)  # type: ignore[arg-type]
    return [(hit.agent_id, hit.skill_id) for hit in hits]


async def test_the_nearest_skill_comes_first_with_its_cosine(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "east", EAST), a_point("a", "north", NORTH)])
    await index.replace("default", "b", [a_point("b", "between", direction(1, 1))])
    hits = await index.search(EAST, IndexFilter("default"), 10)
    assert [hit.skill_id for hit in hits] == ["east", "between", "north"]
    assert [hit.similarity for hit in hits] == pytest.approx([1.0, 2**-0.5, 0.0], abs=1e-6)


async def test_what_was_written_is_visible_to_the_next_search(index: SkillIndex):
    for number in range(5):
        await index.replace("default", f"a{number}", [a_point(f"a{number}", "s", EAST)])
        assert (f"a{number}", "s") in await found(index, EAST)
        assert await index.count() == number + 1


async def test_replacing_leaves_only_the_new_points_of_that_agent(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "old", EAST), a_point("a", "kept", EAST)])
    await index.replace("default", "b", [a_point("b", "other", EAST)])
    await index.replace("default", "a", [a_point("a", "kept", NORTH), a_point("a", "new", UP)])
    assert sorted(await found(index, EAST)) == [("a", "kept"), ("a", "new"), ("b", "other")]
    assert (await found(index, NORTH))[0] == ("a", "kept")
    assert await index.count() == 3


async def test_replacing_by_nothing_removes_the_agent(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    await index.replace("default", "a", [])
    assert await found(index, EAST) == []
    assert await index.count() == 0
    await index.replace("default", "never-there", [])


async def test_tenants_do_not_see_each_other_even_under_the_same_names(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    await index.replace("acme", "a", [a_point("a", "s", NORTH, tenant="acme")])
    assert await found(index, EAST, tenant="acme") == [("a", "s")]
    await index.replace("acme", "a", [])
    assert await found(index, EAST) == [("a", "s")]
    assert await found(index, EAST, tenant="acme") == []


async def test_the_limit_counts_after_the_filters(index: SkillIndex):
    for number in range(30):
        await index.replace("default", f"near{number}", [a_point(f"near{number}", "s", EAST)])
    await index.replace("default", "far", [a_point("far", "s", NORTH, tags=frozenset({"gpu"}))])
    assert await found(index, EAST, limit=3, tags=frozenset({"gpu"})) == [("far", "s")]
    assert await found(index, EAST, limit=3, agents=frozenset({"far"})) == [("far", "s")]
    others = frozenset(f"near{number}" for number in range(30))
    assert await found(index, EAST, limit=3, without_agents=others) == [("far", "s")]
    assert len(await found(index, EAST, limit=3)) == 3


async def test_every_tag_asked_for_must_be_there(index: SkillIndex):
    await index.replace("default", "one", [a_point("one", "s", EAST, tags=frozenset({"x"}))])
    await index.replace("default", "two", [a_point("two", "s", EAST, tags=frozenset({"x", "y"}))])
    assert await found(index, EAST, tags=frozenset({"x", "y"})) == [("two", "s")]
    assert await found(index, EAST, tags=frozenset({"z"})) == []


async def test_a_tag_that_is_excluded_must_not_be_there(index: SkillIndex):
    await index.replace("default", "slow", [a_point("slow", "s", EAST, tags=frozenset({"x", "slow"}))])
    await index.replace("default", "fast", [a_point("fast", "s", NORTH, tags=frozenset({"x"}))])
    assert await found(index, EAST, tags=frozenset({"x"}), without_tags=frozenset({"slow"})) == [("fast", "s")]


async def test_skills_can_be_asked_for_by_name(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "read", EAST), a_point("a", "write", NORTH)])
    await index.replace("default", "b", [a_point("b", "write", UP)])
    assert await found(index, EAST, skills=frozenset({"write"})) == [("a", "write"), ("b", "write")]


async def test_a_skill_reads_one_of_the_modalities_asked_for(index: SkillIndex):
    await index.replace("default", "eye", [a_point("eye", "s", EAST, inputs=TEXT | IMAGE)])
    await index.replace("default", "ear", [a_point("ear", "s", EAST, inputs=AUDIO)])
    assert await found(index, EAST, inputs=IMAGE) == [("eye", "s")]
    assert await found(index, EAST, inputs=IMAGE | AUDIO) == [("ear", "s"), ("eye", "s")]


async def test_a_skill_needs_nothing_that_the_task_does_not_carry(index: SkillIndex):
    await index.replace("default", "eye", [a_point("eye", "s", EAST, inputs=IMAGE, needs=IMAGE)])
    await index.replace("default", "any", [a_point("any", "s", EAST, inputs=IMAGE)])
    assert await found(index, EAST, carried=TEXT) == [("any", "s")]
    assert await found(index, EAST, carried=TEXT | IMAGE) == [("any", "s"), ("eye", "s")]
    assert await found(index, EAST) == [("any", "s"), ("eye", "s")]


async def test_an_agent_costs_no_more_than_asked_for(index: SkillIndex):
    for cost in (0.0, 0.5, 2.0):
        await index.replace("default", f"a{cost}", [a_point(f"a{cost}", "s", EAST, cost=cost)])
    assert await found(index, EAST, cost_max=0.5) == [("a0.0", "s"), ("a0.5", "s")]
    assert await found(index, EAST, cost_max=0.0) == [("a0.0", "s")]


async def test_the_dead_are_left_out_when_that_is_asked_for(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    await index.replace("default", "b", [a_point("b", "s", NORTH)])
    await index.note_health("default", "a", dead=True)
    assert await found(index, EAST, alive_only=True) == [("b", "s")]
    assert await found(index, EAST) == [("a", "s"), ("b", "s")]
    await index.replace("default", "a", [a_point("a", "other", EAST)])
    assert await found(index, EAST, alive_only=True) == [("b", "s")], "a new card is no sign of life"
    await index.note_health("default", "a", dead=False)
    assert await found(index, EAST, alive_only=True) == [("a", "other"), ("b", "s")]
    await index.note_health("default", "nobody", dead=True)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"agents": frozenset({"a"}), "without_agents": frozenset({"a", "b"})}, "'a'"),
        ({"tags": frozenset({"gpu", "x"}), "without_tags": frozenset({"gpu"})}, "'gpu'"),
        ({"cost_max": -1.0}, "-1"),
        ({"cost_max": float("nan")}, "nan"),
        ({"tenant": ""}, "tenant"),
    ],
)
async def test_filters_that_exclude_each_other_are_refused_by_name(
    index: SkillIndex, where: dict[str, object], said: str
):
    with pytest.raises(FilterContradiction, match=said):
        await found(index, EAST, **where)


async def test_a_limit_of_nothing_and_a_weight_beyond_one_are_refused(index: SkillIndex):
    with pytest.raises(ValueError, match="limit 0"):
        await found(index, EAST, limit=0)
    with pytest.raises(ValueError, match="weight"):
        await index.search(EAST, IndexFilter("default"), 1, WordQuery("x", weight=1.5))


async def test_a_skill_found_by_several_of_its_examples_is_one_hit_with_both_similarities(index: SkillIndex):
    near = [a_point("a", "s", direction(1, 0.1 * n), example=n) for n in range(12)]
    await index.replace("default", "a", [a_point("a", "s", NORTH), *near, a_point("a", "t", direction(1, 1))])
    await index.replace("default", "b", [a_point("b", "s", direction(1, 2))])
    hits = await index.search(EAST, IndexFilter("default"), 3)
    assert {(hit.agent_id, hit.skill_id) for hit in hits} == {("a", "s"), ("a", "t"), ("b", "s")}
    [hit] = [hit for hit in hits if (hit.agent_id, hit.skill_id) == ("a", "s")]
    assert hit.similarity == pytest.approx(0.0, abs=1e-6)
    assert (hit.example, hit.example_similarity) == (0, pytest.approx(1.0, abs=1e-6))
    assert all(hit.example is None and hit.example_similarity is None for hit in hits if hit.skill_id == "t")


async def test_an_example_lifts_its_skill_over_one_that_is_a_little_nearer(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", direction(1, 0.5)), a_point("a", "s", EAST, example=3)])
    await index.replace("default", "b", [a_point("b", "s", direction(1, 0.45))])
    assert await found(index, EAST) == [("a", "s"), ("b", "s")]


async def test_many_examples_of_one_skill_do_not_hide_the_others(index: SkillIndex):
    crowd = [a_point("a", "s", EAST, example=n) for n in range(200)]
    await index.replace("default", "a", [a_point("a", "s", EAST), *crowd])
    await index.replace("default", "b", [a_point("b", "s", NORTH)])
    assert await found(index, EAST, limit=2) == [("a", "s"), ("b", "s")]
    assert await index.count() == 202


async def test_words_find_what_meaning_does_not_and_every_hit_has_both_scores(index: SkillIndex):
    others = ("Sums up texts.", "Draws charts of numbers.", "Speaks texts aloud.", "Translates texts.")
    for number, words in enumerate(others):
        await index.replace("default", f"a{number}", [a_point(f"a{number}", "s", EAST, words=words)])
    await index.replace("default", "far", [a_point("far", "s", direction(1, 1), words="getDrugDosage: drug dosages")])
    plain = await index.search(EAST, IndexFilter("default"), 4)
    assert "far" not in {hit.agent_id for hit in plain}
    assert {hit.lexical for hit in plain} == {0.0}
    worded = await index.search(EAST, IndexFilter("default"), 4, WordQuery("drug dosage", weight=0.5))
    assert worded[0].agent_id == "far"
    assert worded[0].similarity == pytest.approx(2**-0.5, abs=1e-6)
    assert worded[0].lexical > 0.5
    assert [hit.lexical for hit in worded[1:]] == [0.0] * 3
    without_weight = await index.search(EAST, IndexFilter("default"), 4, WordQuery("drug dosage", weight=0.0))
    assert [hit.agent_id for hit in without_weight] == ["a0", "a1", "a2", "a3"]


async def test_a_rare_word_counts_more_than_one_that_everybody_has(index: SkillIndex):
    for number in range(8):
        words = "reads plain text" if number else "reads plain parchment"
        await index.replace("default", f"a{number}", [a_point(f"a{number}", "s", EAST, words=words)])
    everywhere = IndexFilter("default")
    rare = (await index.search(EAST, everywhere, 8, WordQuery("parchment")))[0]
    common = (await index.search(EAST, everywhere, 8, WordQuery("text")))[0]
    assert rare.agent_id == "a0"
    assert rare.lexical > 2 * common.lexical > 0


async def test_words_are_filtered_as_meaning_is(index: SkillIndex):
    await index.replace("acme", "a", [a_point("a", "s", EAST, tenant="acme", words="drug dosage")])
    await index.replace("default", "b", [a_point("b", "s", NORTH, words="drug dosage", cost=2.0)])
    await index.replace("default", "c", [a_point("c", "s", UP, words="something else")])
    hits = await index.search(EAST, IndexFilter("default", cost_max=1.0), 5, WordQuery("drug dosage"))
    assert [hit.agent_id for hit in hits] == ["c"]


@pytest.mark.parametrize("words", ["", "???", "...\n", "zzz"])
async def test_words_that_say_nothing_leave_meaning_alone(index: SkillIndex, words: str):
    await index.replace("default", "a", [a_point("a", "s", EAST, words="reads text"), a_point("a", "t", NORTH)])
    hits = await index.search(EAST, IndexFilter("default"), 5, WordQuery(words, weight=1.0 if words != "zzz" else 0.3))
    assert [(hit.skill_id, hit.lexical) for hit in hits] == [("s", 0.0), ("t", 0.0)]


async def test_words_of_any_language_are_words(index: SkillIndex):
    cards = {"de": "Übersetzt Verträge ins Englische", "el": "Μεταφράζει συμβόλαια", "ja": "契約書を翻訳する"}
    for agent_id, words in cards.items():
        await index.replace("default", agent_id, [a_point(agent_id, "s", EAST, words=words)])
    for agent_id, word in {"de": "verträge", "el": "ΣΥΜΒΌΛΑΙΑ", "ja": "契約書を翻訳する"}.items():
        hits = await index.search(EAST, IndexFilter("default"), 3, WordQuery(word))
        assert (hits[0].agent_id, hits[0].lexical > 0) == (agent_id, True)


async def test_the_same_skill_twice_in_one_replacement_is_one_point_the_last(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", NORTH), a_point("a", "s", EAST)])
    assert await index.count() == 1
    assert (await index.search(EAST, IndexFilter("default"), 2))[0].similarity == pytest.approx(1.0, abs=1e-6)


async def test_an_agent_is_marked_by_its_last_replacement_until_it_goes(index: SkillIndex):
    assert await index.marks() == {}
    await index.replace("default", "a", [a_point("a", "s", EAST)], "one")
    await index.replace("acme", "a", [a_point("a", "s", EAST, tenant="acme")])
    await index.replace("default", "a", [a_point("a", "s", EAST)], "two")
    assert await index.marks() == {("default", "a"): "two", ("acme", "a"): ""}
    await index.replace("acme", "a", [])
    assert await index.marks() == {("default", "a"): "two"}


async def test_no_agent_allowed_finds_nothing(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    assert await found(index, EAST, agents=frozenset()) == []


async def test_equally_near_skills_come_in_the_order_of_their_names(index: SkillIndex):
    for agent_id in ("c", "a", "b"):
        await index.replace("default", agent_id, [a_point(agent_id, "z", EAST), a_point(agent_id, "y", EAST)])
    assert await found(index, EAST) == [(a, s) for a in "abc" for s in "yz"]


@pytest.mark.parametrize(
    "vector",
    [
        np.ones(DIMENSION + 1, np.float32),
        np.ones((1, DIMENSION), np.float32),
        np.ones(DIMENSION, np.float64),
        np.zeros(DIMENSION, np.float32),
        np.full(DIMENSION, np.nan, np.float32),
        np.full(DIMENSION, np.inf, np.float32),
    ],
)
async def test_a_vector_that_cannot_be_compared_is_refused_and_changes_nothing(index: SkillIndex, vector: Vector):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    with pytest.raises(ValueError, match="skill vector"):
        await index.replace("default", "a", [a_point("a", "s", NORTH), a_point("a", "bad", vector)])
    with pytest.raises(ValueError, match="skill vector"):
        await index.search(vector, IndexFilter("default"), 3)
    assert await found(index, EAST) == [("a", "s")]


async def test_many_writers_and_readers_at_once_leave_the_last_word_of_each(index: SkillIndex):
    async def write(agent: int) -> None:
        for turn in range(5):
            count = INLINE_WRITE_POINTS + 2 if turn % 2 else 2
            await index.replace(
                "default", f"a{agent}", [a_point(f"a{agent}", f"s{n}", direction(1, n)) for n in range(count)]
            )

    async def read() -> None:
        for _ in range(20):
            await index.search(EAST, IndexFilter("default"), 10)
            await asyncio.sleep(0)

    await asyncio.gather(*(write(agent) for agent in range(6)), read(), read())
    assert await index.count() == 12


async def test_a_search_while_an_agent_is_replaced_always_finds_it(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", f"s{n}", EAST) for n in range(40)])
    stop = asyncio.Event()

    async def replace_again_and_again() -> None:
        for turn in range(20):
            await index.replace("default", "a", [a_point("a", f"t{turn}-{n}", EAST) for n in range(40)])
        stop.set()

    writing = asyncio.create_task(replace_again_and_again())
    while not stop.is_set():
        assert await found(index, EAST, limit=1)
        await asyncio.sleep(0)
    await writing


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
async def test_hits_are_those_of_an_exact_comparison(index: SkillIndex, seed: int):
    randomness = np.random.default_rng(seed)
    vectors = randomness.standard_normal((20, DIMENSION)).astype(np.float32)
    tenant = f"t{seed}"
    for number, vector in enumerate(vectors):
        await index.replace(tenant, f"a{number}", [a_point(f"a{number}", "s", vector, tenant=tenant)])
    query = randomness.standard_normal(DIMENSION).astype(np.float32)
    hits = await index.search(query, IndexFilter(tenant), 5)
    cosines = vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
    assert [hit.similarity for hit in hits] == pytest.approx(sorted(cosines, reverse=True)[:5], abs=1e-5)


# What only the embedded engine can show.


async def test_a_large_index_is_searched_in_a_thread_with_the_same_answer(tmp_path: Path):
    index = await EdgeSkillIndex.open(tmp_path, dimension=DIMENSION)
    vectors = np.random.default_rng(1).standard_normal((INLINE_SEARCH_POINTS + 200, DIMENSION)).astype(np.float32)
    for agent in range(0, len(vectors), 200):
        skills = [a_point(f"a{agent}", f"s{n}", vector) for n, vector in enumerate(vectors[agent : agent + 200])]
        await index.replace("default", f"a{agent}", skills)
    assert await index.count() == len(vectors)
    assert index.graphed == 0
    hits = await index.search(vectors[4_100], IndexFilter("default"), 1)
    assert (hits[0].agent_id, hits[0].skill_id) == ("a4000", "s100")
    await index.close()


async def test_two_indexes_share_a_parent_folder_and_leave_nothing_there(tmp_path: Path):
    one = await EdgeSkillIndex.open(tmp_path / "deep" / "index", dimension=DIMENSION)
    two = await EdgeSkillIndex.open(tmp_path / "deep" / "index", dimension=DIMENSION)
    await one.replace("default", "a", [a_point("a", "s", EAST)])
    assert await two.count() == 0
    await one.close()
    await two.close()
    assert list((tmp_path / "deep" / "index").iterdir()) == []


async def test_a_server_that_does_not_answer_is_said_to_be_unavailable(unused_tcp_port: int):
    with pytest.raises(IndexUnavailable):
        await ClientSkillIndex.connect(f"http://127.0.0.1:{unused_tcp_port}", dimension=DIMENSION)


def test_each_encoder_has_a_collection_of_its_own_on_a_server():
    names = {collection_of(encoder) for encoder in ("", "minilm-1", "minilm-2", "org/model:v 2-1")}
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names)


async def test_a_second_worker_finds_what_the_first_one_wrote():
    client = AsyncQdrantClient(":memory:")
    one = await ClientSkillIndex.over(client, dimension=DIMENSION)
    await one.replace("default", "a", [a_point("a", "s", EAST, words="drug dosage")], "mark")
    two = await ClientSkillIndex.over(client, dimension=DIMENSION)
    assert await two.marks() == {("default", "a"): "mark"}
    assert (await two.search(NORTH, IndexFilter("default"), 1, WordQuery("dosage")))[0].lexical > 0
    await client.close()
