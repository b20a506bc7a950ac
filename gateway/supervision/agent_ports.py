"""Where agents that `aos up` starts listen: at the port of their card, or at a free one when somebody else is there.

Two stacks on one machine may follow the same cards. An agent is told its port by ``PORT``, and the registered card says
where it really listens; the file stays as it is. Used by the agent folder, before cards are registered.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from pydantic import HttpUrl

from agents.registry.card_files import LoadedCard
from gateway.embedded.nats_server import free_port
from gateway.supervision.looking import is_free
from schemas.card import AgentCard, HttpEndpoint, OpenAIEndpoint

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
FIRST_UNPRIVILEGED = 1024

WebEndpoint = HttpEndpoint | OpenAIEndpoint


class AgentPorts:
    """Remembers where each port of the folder's cards went. ``on_moved`` is told every decision once, in words."""

    def __init__(self, on_moved: Callable[[str], None]) -> None:
        self._on_moved = on_moved
        self._chosen: dict[int, int] = {}
        self._warned: set[int] = set()

    def settle(self, cards: Sequence[LoadedCard], down: Collection[tuple[str, str]] = ()) -> tuple[LoadedCard, ...]:
        """The cards with the ports that are used. Agents in ``down`` (tenant, id) do not run and are looked at again.

        Cards of one port move together, also those that leave the starting of their agent to another card.
        """
        started = {port: each.card for each in cards if (port := port_to_give(each.card)) is not None}
        for gone in self._chosen.keys() - started.keys():
            del self._chosen[gone]
        for port, card in started.items():
            if port not in self._chosen or (card.tenant, card.id) in down:
                self._chosen[port] = self._choose(port, card)
        return tuple(replace(each, card=moved(each.card, self._chosen)) for each in cards)

    def _choose(self, port: int, card: AgentCard) -> int:
        before = self._chosen.get(port, port)
        if is_free("127.0.0.1", before):
            return before
        if _fixes_its_port(card, port):
            if port not in self._warned:
                self._warned.add(port)
                self._on_moved(
                    f"agent {card.id}: port {port} is taken, and its command names that port itself; "
                    "free it, or name another in the card's URL and command"
                )
            return port
        chosen = free_port()
        self._on_moved(f"agent {card.id}: port {before} is taken; it is started on {chosen} (PORT={chosen}) instead")
        return chosen


def port_to_give(card: AgentCard) -> int | None:
    """The port of this machine that the card's command is told to listen on; None when there is none to choose."""
    endpoint = card.endpoint
    if not isinstance(endpoint, WebEndpoint) or not endpoint.command:
        return None
    return _local_port(endpoint.url if isinstance(endpoint, HttpEndpoint) else endpoint.base_url)


def moved(card: AgentCard, ports: dict[int, int]) -> AgentCard:
    """The same card with every local URL at the port where its agent is."""
    endpoint = card.endpoint
    if isinstance(endpoint, HttpEndpoint):
        health_url = endpoint.health_url and _at(endpoint.health_url, ports)
        changed: WebEndpoint = endpoint.model_copy(update={"url": _at(endpoint.url, ports), "health_url": health_url})
    elif isinstance(endpoint, OpenAIEndpoint):
        changed = endpoint.model_copy(update={"base_url": _at(endpoint.base_url, ports)})
    else:
        return card
    return card if changed == endpoint else card.model_copy(update={"endpoint": changed})


def _local_port(url: HttpUrl) -> int | None:
    """Written in the URL and of this machine; ports that only root may open are nobody's to choose."""
    port = urlsplit(str(url)).port
    return port if url.host in LOCAL and port is not None and port >= FIRST_UNPRIVILEGED else None


def _at(url: HttpUrl, ports: dict[int, int]) -> HttpUrl:
    port = _local_port(url)
    if port is None or ports.get(port, port) == port:
        return url
    parts = urlsplit(str(url))
    host = parts.netloc.removesuffix(f":{port}")
    return HttpUrl(parts._replace(netloc=f"{host}:{ports[port]}").geturl())


def _fixes_its_port(card: AgentCard, port: int) -> bool:
    """Whether the command says the port by itself, so that telling it another would be in vain."""
    endpoint = card.endpoint
    return isinstance(endpoint, WebEndpoint) and any(str(port) in word for word in endpoint.command or ())
