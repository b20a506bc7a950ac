"""``aos bench network`` and ``aos bench graph``: how good the evolved networks are. Nothing here talks to a gateway."""

from pathlib import Path
from typing import Annotated

import typer

from agents.matching.evaluation.rows import read_catalogue
from gateway.cli.bench.screen import TextDtype, TextEncoder, bar, print_figures, read, run, vectors
from gateway.cli.terminal.bar import say
from gateway.cli.terminal.session import Json
from tensor_layer.ports import Vector


def network(
    agents: Annotated[int, typer.Option(help="How many agents the synthetic fleets have.", min=1, max=1000)] = 12,
    seeds: Annotated[int, typer.Option(help="How many fleets, made up from seeds first, first + 1, …", min=1)] = 20,
    first_seed: Annotated[int, typer.Option(help="The first seed.", min=0)] = 0,
    policy: Annotated[str, typer.Option(help="What the tenant puts first: quality, cost or latency.")] = "quality",
    evaluations: Annotated[
        int | None,
        typer.Option(help="Networks that each search may score; default by fleet size.", min=50),
    ] = None,
    as_json: Json = False,
) -> None:
    """Genetic search against greedy, random, policy gradient and, up to 6 agents, the true optimum."""
    # lazy: scipy and the searches take half a second that --help need not pay
    from agents.evolving.evaluation import networks
    from agents.evolving.objectives import Preference

    try:
        preference = Preference(policy)
    except ValueError:
        raise typer.BadParameter(f"{policy!r} is none of quality, cost, latency", param_hint="--policy") from None
    figures = networks.report(
        agents,
        range(first_seed, first_seed + seeds),
        preference,
        evaluations or networks.budget_for(agents),
        bar("fleets"),
    )
    print_figures(figures, as_json=as_json)


def graph(
    catalogue: Annotated[Path, typer.Option(help="Agents, one a line: {id, name, description}.", dir_okay=False)],
    experience: Annotated[
        Path, typer.Option(help="Past tasks: {query, nodes, edges}; steps: [text] too, if known.", dir_okay=False)
    ],
    tasks: Annotated[Path, typer.Option(help="Tasks to predict, same form.", dir_okay=False)],
    text: TextEncoder = "shipped",
    dtype: TextDtype = None,
    as_json: Json = False,
) -> None:
    """How well the graphs of new tasks are predicted from those of past ones: micro F1 of nodes and of edges."""
    # lazy: scikit-learn takes a second that --help need not pay
    from agents.evolving.evaluation import graph_bench
    from agents.evolving.evaluation.graph_rows import read_graphs

    agents = read(lambda: read_catalogue(catalogue))
    past = read(lambda: read_graphs(experience, agents, may_be_empty=True))
    asked = read(lambda: read_graphs(tasks, agents))

    texts = tuple(f"{name}: {words}" for name, words in zip(agents.names, agents.descriptions, strict=True))
    needed = graph_bench.looked_at(past, len(texts))

    async def encoded() -> tuple[str, list[Vector]]:
        encoder = vectors(text, dtype)  # gone before learning starts: both are large
        of_agents = await encoder.encode([texts[row] for row in needed], bar("agents"))
        of_past = await encoder.encode(past.queries, bar("experience"))
        return encoder.name, [of_agents, of_past, await encoder.encode(asked.queries, bar("tasks"))]

    async def work() -> dict[str, object]:
        encoder, (of_agents, of_past, of_tasks) = await encoded()
        cards = graph_bench.cards_of(texts, needed, of_agents)
        say("learning and predicting …")
        figures = graph_bench.measure(cards, past, of_past, asked, of_tasks)
        notes = [*agents.notes, *past.notes, *asked.notes, *figures.notes]
        return {**figures.as_json(), "encoder": encoder, "notes": notes}

    print_figures(run(work), as_json=as_json)
