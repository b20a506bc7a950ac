"""A network while it is being woven: nodes with the kinds they make, and edges. Used by ``greedy`` and ``joining``."""

from agents.planning.bridge import phrase
from agents.planning.feeding import Feed, Link
from agents.planning.offers import Kinds, Offer
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality

MAX_NODE_ID_CHARS = 60


class Draft:
    """Grows one skill at a time; ``network`` is the finished value."""

    def __init__(self) -> None:
        self._goals: dict[str, str] = {}
        self._offers: dict[str, Offer] = {}
        self._edges: dict[tuple[str, str], set[Modality]] = {}

    def __len__(self) -> int:
        return len(self._offers)

    def add(self, offer: Offer, goal: str, feed: Feed) -> str:
        """A new node for the skill, with its bridges; returns its id."""
        node = self._new_node(offer, goal)
        for link in feed.links:
            self._connect(self._bridged(link), node, link.kinds)
        return node

    def extend(self, node: str, words: str) -> None:
        """Let a node do one more goal."""
        self._goals[node] = f"{self._goals[node]} and {words}"

    def offer(self, node: str) -> Offer:
        """The skill at work in that node."""
        return self._offers[node]

    def goal(self, node: str) -> str:
        """The words that node answers."""
        return self._goals[node]

    def kinds(self, node: str) -> Kinds:
        """What the node makes."""
        return self._offers[node].outputs

    def incoming(self, node: str) -> frozenset[tuple[str, frozenset[Modality]]]:
        """What flows into the node, and from where."""
        return frozenset((source, frozenset(kinds)) for (source, to), kinds in self._edges.items() if to == node)

    def sinks(self) -> tuple[str, ...]:
        """Nodes that nobody reads yet, in order of making."""
        read = {source for source, _ in self._edges}
        return tuple(node for node in self._offers if node not in read)

    def drop(self, node: str) -> None:
        """Take out a node that nobody reads."""
        del self._offers[node], self._goals[node]
        self._edges = {ends: kinds for ends, kinds in self._edges.items() if ends[1] != node}

    def network(self) -> Network:
        """The finished network. Raises pydantic.ValidationError when it is not well formed."""
        nodes = tuple(
            Node(id=node, agent_id=offer.agent_id, skill_id=offer.skill_id, goal=self._goals[node])
            for node, offer in self._offers.items()
        )
        edges = tuple(
            Edge(source=source, target=target, modalities=tuple(kind for kind in Modality if kind in kinds))
            for (source, target), kinds in self._edges.items()
        )
        return Network(nodes=nodes, edges=edges)

    def _bridged(self, link: Link) -> str:
        """The node that hands over the link's content: its source, or the last agent of its bridge."""
        here = link.source
        for hop in link.hops:
            here = self._hop_node(here, hop.offer, hop.reads, phrase((hop.reads, hop.gives)))
        return here

    def _hop_node(self, source: str, offer: Offer, reads: Modality, words: str) -> str:
        for node, present in self._offers.items():
            # Two goals that need the same conversion of the same content share one node.
            if present.key == offer.key and self._reads_only(node, source):
                return node
        node = self._new_node(offer, words)
        self._connect(source, node, (reads,))
        if Modality.TEXT in offer.requires and reads is not Modality.TEXT:
            self._connect(TASK, node, (Modality.TEXT,))
        return node

    def _reads_only(self, node: str, source: str) -> bool:
        return {origin for origin, target in self._edges if target == node} == {source}

    def _connect(self, source: str, target: str, kinds: tuple[Modality, ...]) -> None:
        self._edges.setdefault((source, target), set()).update(kinds)

    def _new_node(self, offer: Offer, goal: str) -> str:
        """Ids are the agents' names, numbered when one works twice: they show in events, step ids and approvals."""
        base = offer.agent_id[:MAX_NODE_ID_CHARS]
        names = (base if count == 1 else f"{base}-{count}" for count in range(1, len(self._offers) + 3))
        node = next(name for name in names if name != TASK and name not in self._offers)
        self._offers[node] = offer
        self._goals[node] = goal
        return node
