"""A network can be read as a drawing."""

from hypothesis import given
from hypothesis import strategies as st

from agents.planning.drawing import draw
from schemas.network import Edge, Network, Node
from schemas.parts import Modality


def network(edges: str) -> Network:
    pairs = [tuple(edge.split(">")) for edge in edges.split()]
    names = dict.fromkeys(name for pair in pairs for name in pair if name != "task")
    return Network(
        nodes=tuple(Node(id=name, agent_id=name, skill_id="run") for name in names),
        edges=tuple(Edge(source=source, target=target, modalities=(Modality.TEXT,)) for source, target in pairs),
    )


def drawing(edges: str) -> str:
    return draw(network(edges))


def test_a_chain_is_one_line() -> None:
    assert drawing("task>ocr ocr>summary") == " task ───▶ ocr.run ───▶ summary.run"


def test_branches_start_and_end_together() -> None:
    assert drawing("task>csv task>ocr csv>report ocr>report") == (
        " task ─┬─▶ csv.run ─┬─▶ report.run\n"
        "       └─▶ ocr.run ─┘"
    )  # fmt: skip


def test_branches_of_different_length_are_drawn_through() -> None:
    assert drawing("task>ocr ocr>table table>chart ocr>summary chart>report summary>report") == (
        " task ───▶ ocr.run ─┬─▶ summary.run ─────────────────┬─▶ report.run\n"
        "                    └─▶ table.run ──────▶ chart.run ─┘"
    )


def test_branches_that_cross_keep_their_own_lines() -> None:
    assert drawing("task>a task>b task>c a>e b>d c>d d>e") == (
        " task ─┬─▶ a.run ─────────────┬─▶ e.run\n       ├─▶ b.run ──┬─▶ d.run ─┘\n       └─▶ c.run ──┘"
    )


@given(st.data())
def test_every_node_of_any_network_is_drawn_once(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    pairs = [f"task>n{n}" for n in range(count)]
    pairs += [f"n{a}>n{b}" for b in range(count) for a in range(b) if data.draw(st.booleans())]
    pairs += [f"n{n}>last" for n in range(count)]
    drawn = drawing(" ".join(pairs))
    assert all(drawn.count(f" n{n}.run ") == 1 for n in range(count))
    assert drawn.count("last.run") == 1
    assert all(len(line) == len(line.rstrip()) for line in drawn.splitlines())
