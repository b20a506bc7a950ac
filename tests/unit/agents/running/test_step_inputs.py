"""What flows into a step: the words first and without a name, all else with one."""

import pytest
from running_story import card, network

from agents.errors import BadReply
from agents.running.inputs import inputs_of, instruction_of, named, typed
from schemas.network import Edge, Network, Node
from schemas.parts import Modality, Part, data_part, text_part

PICTURE = data_part(b"png", Modality.IMAGE, "image/png", "scan.png")
NOTES = text_part("some notes", "notes.txt")
WORDS = text_part("read it")


def one_node(*modalities: Modality, source: str = "task") -> Network:
    nodes = [Node(id="b", agent_id="b", skill_id="work")]
    edges = [Edge(source=source, target="b", modalities=modalities)]
    if source != "task":
        nodes.append(Node(id=source, agent_id=source, skill_id="work"))
        edges.append(Edge(source="task", target=source, modalities=(Modality.TEXT,)))
    return Network(nodes=tuple(nodes), edges=tuple(edges))


def skill(**more):
    return card("b", **more).skills[0]


def test_attachments_flow_by_modality_and_the_words_always():
    net = one_node(Modality.IMAGE)
    assert inputs_of(net, "b", skill(), (WORDS, NOTES, PICTURE), {}) == (WORDS, PICTURE)


def test_named_text_is_an_attachment():
    net = one_node(Modality.TEXT)
    assert inputs_of(net, "b", skill(), (NOTES, WORDS), {}) == (WORDS, NOTES)


def test_words_in_several_parts_are_one_instruction():
    assert instruction_of((WORDS, PICTURE, text_part("aloud"))) == (text_part("read it\naloud"),)


def test_a_task_without_words_has_no_instruction():
    assert inputs_of(one_node(Modality.IMAGE), "b", skill(), (PICTURE,), {}) == (PICTURE,)


def test_answers_get_the_name_of_their_node():
    table = Part(modality=Modality.TABLE, media_type="text/csv", text="a,b")
    parts = (text_part("x"), table, text_part("y"), PICTURE)
    assert [part.name for part in named(parts, "ocr")] == ["ocr.txt", "ocr.csv", "ocr-2.txt", "scan.png"]


def test_only_what_the_edge_carries_flows_from_a_step():
    table = Part(modality=Modality.TABLE, media_type="text/csv", text="a,b")
    net = one_node(Modality.TABLE, source="a")
    given = inputs_of(net, "b", skill(inputs=(Modality.TABLE,)), (WORDS,), {"a": (text_part("chatter"), table)})
    assert [part.name for part in given] == [None, "a.csv"]


def test_an_answer_without_what_was_promised_is_a_bad_reply():
    net = one_node(Modality.TABLE, source="a")
    with pytest.raises(BadReply, match="a answered, but without table"):
        inputs_of(net, "b", skill(inputs=(Modality.TABLE,)), (WORDS,), {"a": (text_part("sorry"),)})


def test_a_required_modality_that_nobody_gave_is_a_bad_reply():
    needy = skill(inputs=(Modality.TEXT, Modality.IMAGE), requires=(Modality.IMAGE,))
    net = one_node(Modality.TEXT, Modality.IMAGE, source="a")
    with pytest.raises(BadReply, match="no image"):
        inputs_of(net, "b", needy, (WORDS,), {"a": (text_part("text only"),)})


def test_the_same_attachment_along_two_edges_comes_once():
    net = network("task>a", "task>b", "a>c", "b>c")
    given = inputs_of(net, "c", skill(), (WORDS,), {"a": (NOTES,), "b": (NOTES,)})
    assert given == (WORDS, NOTES)


@pytest.mark.timeout(60)
def test_an_agent_that_answers_line_by_line_does_not_stop_the_worker():
    """All other tasks of the worker wait while this is computed: comparing each with each took minutes."""
    lines = tuple(text_part(f"line {number}") for number in range(20_000))
    given = inputs_of(one_node(Modality.TEXT, source="a"), "b", skill(), (WORDS,), {"a": lines})
    assert len(given) == 1 + len(lines)


@pytest.mark.parametrize(
    ("part", "modality"),
    [
        (Part(text="a,b", media_type="text/csv"), Modality.TABLE),
        (Part(text="hi", media_type="text/plain; charset=utf-8"), Modality.TEXT),
        (Part(data="aGk=", media_type="image/webp"), Modality.IMAGE),
        (Part(data="aGk=", media_type="application/pdf"), Modality.DOCUMENT),
        (Part(data="aGk="), Modality.FILE),
        (Part(text="hi"), Modality.TEXT),
        (Part(text="hi", modality=Modality.DATA), Modality.DATA),
    ],
)
def test_outputs_get_their_modality(part, modality):
    two = skill(outputs=(Modality.TEXT, Modality.TABLE))
    assert typed(part, two).modality is modality


def test_an_untyped_output_is_what_a_skill_of_one_output_promises():
    assert typed(Part(data="aGk="), skill(outputs=(Modality.AUDIO,))).modality is Modality.AUDIO
