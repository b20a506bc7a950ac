"""``aos bench``: how good matching and learning are on your own files. Nothing here talks to a gateway."""

from pathlib import Path
from typing import Annotated

import typer

from agents.matching.evaluation.rows import read_catalogue, read_ids, read_outcomes, read_queries
from gateway.cli.bench import index, network, perceive, tensor
from gateway.cli.bench.screen import TextDtype, TextEncoder, bar, print_figures, read, run, vectors
from gateway.cli.terminal.bar import say
from gateway.cli.terminal.session import Json

app = typer.Typer(help="How good matching, learning and routing are on your own files: JSON lines in, figures out.")

Catalogue = Annotated[Path, typer.Option(help="Agents, one a line: {id, name, description}.", dir_okay=False)]
Seed = Annotated[int, typer.Option(help="Same seed, same figures.", min=0)]

app.command()(index.index)
app.command()(network.network)
app.command()(network.graph)
app.command()(tensor.tensor)
app.command()(perceive.perceive)


@app.callback()
def _group() -> None:
    """Makes these commands a group, however many they are."""


@app.command()
def match(
    catalogue: Catalogue,
    queries: Annotated[Path, typer.Option(help="{query, gold: [ids]}; gold [] is out of scope.", dir_okay=False)],
    experience: Annotated[
        Path | None, typer.Option(help="Past queries to learn from, same form as the queries.", dir_okay=False)
    ] = None,
    seed: Seed = 0,
    text: TextEncoder = "shipped",
    dtype: TextDtype = None,
    as_json: Json = False,
) -> None:
    """How often the right agent comes first, and how well queries that nobody serves are told apart."""
    from agents.matching.evaluation import match_bench  # lazy: scikit-learn takes a second that --help need not pay

    agents = read(lambda: read_catalogue(catalogue))
    asked = read(lambda: read_queries(queries, agents))
    past = None if experience is None else read(lambda: read_queries(experience, agents, may_be_empty=True))

    async def work() -> dict[str, object]:
        encoder = vectors(text, dtype)
        cards = await match_bench.load_cards(agents, encoder, bar("agents"))
        asked_vectors = await encoder.encode(asked.queries, bar("queries"))
        solved = None if past is None else await match_bench.load_solved(past, encoder, bar("experience"))
        say("learning and ranking …")
        figures = match_bench.measure(cards, asked, asked_vectors, solved, seed)
        return figures.as_json() | {
            "encoder": encoder.name,
            "notes": [*agents.notes, *(past.notes if past else ()), *figures.notes],
        }

    print_figures(run(work), as_json=as_json)


@app.command()
def learn(
    catalogue: Catalogue,
    stream: Annotated[Path, typer.Option(help="{query, gold: [ids]}; walked in an order by seed.", dir_okay=False)],
    test: Annotated[Path, typer.Option(help="{query, gold: [ids]}; ranked after the stream, frozen.", dir_okay=False)],
    steps: Annotated[int, typer.Option(help="How many queries of the stream.", min=1)] = 10_000,
    seed: Seed = 0,
    cold: Annotated[
        Path | None, typer.Option(help="JSON list of agents that are never chosen in the stream.", dir_okay=False)
    ] = None,
    explore: Annotated[float, typer.Option(help="Share of choices that explore.", min=0.0, max=1.0)] = 0.05,
    text: TextEncoder = "shipped",
    dtype: TextDtype = None,
    as_json: Json = False,
) -> None:
    """How much is learned when only the chosen agent's success is seen, and what becomes of agents never seen."""
    from agents.matching.evaluation import learn_bench, match_bench  # lazy, as above

    agents = read(lambda: read_catalogue(catalogue))
    walked, asked = read(lambda: read_queries(stream, agents)), read(lambda: read_queries(test, agents))
    newcomers = None if cold is None else read(lambda: read_ids(cold, agents))

    async def work() -> dict[str, object]:
        encoder = vectors(text, dtype)
        cards = await match_bench.load_cards(agents, encoder, bar("agents"))
        past = learn_bench.Asked(walked, await encoder.encode(walked.queries, bar("stream")))
        final = learn_bench.Asked(asked, await encoder.encode(asked.queries, bar("test")))
        figures = learn_bench.measure(cards, past, final, steps, seed, newcomers, explore, bar("steps"))
        return figures.as_json() | {
            "encoder": encoder.name,
            "notes": [*agents.notes, *walked.notes, *asked.notes, *figures.notes],
        }

    print_figures(run(work), as_json=as_json)


@app.command()
def route(
    train: Annotated[Path, typer.Option(help="{prompt, outcomes: {agent: score}}, to learn from.", dir_okay=False)],
    test: Annotated[Path, typer.Option(help="The same form, to be measured on.", dir_okay=False)],
    seed: Seed = 0,
    text: TextEncoder = "shipped",
    dtype: TextDtype = None,
    as_json: Json = False,
) -> None:
    """The best of interchangeable agents for each prompt, against always the best one; and what thrift costs."""
    from agents.matching.evaluation import route_bench  # lazy, as above

    past, asked = read(lambda: read_outcomes(train)), read(lambda: read_outcomes(test))

    async def work() -> dict[str, object]:
        encoder = vectors(text, dtype)
        past_vectors = await encoder.encode(past.prompts, bar("train"))
        asked_vectors = await encoder.encode(asked.prompts, bar("test"))
        figures = read(lambda: route_bench.measure(past, asked, (past_vectors, asked_vectors), seed))
        return figures.as_json() | {"encoder": encoder.name}

    print_figures(run(work), as_json=as_json)
