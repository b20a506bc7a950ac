"""A network's shape becomes a graph once, and serves every plan of that shape."""

from running_story import network

from agents.running.compiler import Graphs, Shape, shape_of
from schemas.network import Network


def test_a_diamond_has_its_shape_whatever_its_nodes_are_called():
    one, order = shape_of(network("task>a", "a>b", "a>c", "b>d", "c>d"))
    two, other_order = shape_of(network("task>w", "w>x", "w>y", "x>z", "y>z"))
    assert one == two == Shape(((), (0,), (0,), (1, 2)), frozenset({0, 3}))
    assert (order, other_order) == (("a", "b", "c", "d"), ("w", "x", "y", "z"))
    assert one.sink == 3


def test_shapes_with_different_edges_differ():
    diamond, _ = shape_of(network("task>a", "a>b", "a>c", "b>d", "c>d"))
    chain, _ = shape_of(network("task>a", "a>b", "b>c", "c>d"))
    assert diamond != chain


def test_the_order_of_writing_edges_down_does_not_matter():
    net = network("task>a", "a>b", "a>c", "b>d", "c>d")
    turned = Network(nodes=net.nodes[::-1], edges=net.edges[::-1])
    assert shape_of(net) == shape_of(turned)


def test_plans_of_one_shape_share_a_graph():
    graphs = Graphs(lambda _: None)
    one, _ = shape_of(network("task>a", "a>b"))
    two, _ = shape_of(network("task>x", "x>y"))
    assert graphs.of(one) is graphs.of(two)


def test_the_least_recently_used_graph_is_dropped():
    graphs = Graphs(lambda _: None, limit=2)
    shapes = [shape_of(network("task>n0", *(f"n{n}>n{n + 1}" for n in range(length))))[0] for length in (1, 2, 3)]
    first, second = graphs.of(shapes[0]), graphs.of(shapes[1])
    assert graphs.of(shapes[0]) is first
    graphs.of(shapes[2])
    assert graphs.of(shapes[0]) is first
    assert graphs.of(shapes[1]) is not second
