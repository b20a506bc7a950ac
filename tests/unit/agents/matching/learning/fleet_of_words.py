"""A made-up fleet whose agents and queries live in a small space: quick to learn, and with known answers."""

import numpy as np

from agents.matching.learning.cards import Cards, card_texts
from agents.matching.learning.solved import Solved

WIDTH = 24
TOPICS = (
    "weather", "music", "travel", "cooking", "football", "banking",
    "poetry", "chess", "gardening", "law", "medicine", "physics",
)  # fmt: skip


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class FleetOfWords:
    """Agents claim one thing (their card) and do another (their work): only experience tells."""

    def __init__(self, seed: int = 0, honest: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        claims = unit(self.rng.normal(size=(len(TOPICS), WIDTH)))
        off = unit(self.rng.normal(size=claims.shape))
        self.work = claims if honest else unit(claims + 1.4 * off)
        texts = [card_texts(topic, f"answers questions on {topic}") for topic in TOPICS]
        self.cards = Cards.of(texts, np.repeat(claims, 3, axis=0))

    def solved(self, rows: int, agents: tuple[int, ...] = tuple(range(len(TOPICS))), noise: float = 0.9) -> Solved:
        """Queries near the agents' work, each with the agent that it was made for. Their words say nothing."""
        who = self.rng.choice(agents, rows)
        spread = noise * self.rng.normal(size=(rows, WIDTH)) / np.sqrt(WIDTH)
        texts = ("please do it",) * rows
        return Solved(unit(self.work[who] + spread), texts, tuple((int(one),) for one in who))

    def strange(self, rows: int) -> Solved:
        """Queries that nobody serves."""
        vectors = unit(self.rng.normal(size=(rows, WIDTH)))
        return Solved(vectors, tuple(f"strange{number}" for number in range(rows)), ((),) * rows)


def together(first: Solved, second: Solved) -> Solved:
    return Solved(
        np.vstack([first.vectors, second.vectors]), first.texts + second.texts, first.solved_by + second.solved_by
    )


def first_right(ranked, asked: Solved) -> float:
    return float(np.mean([agents[0] in right for agents, right in zip(ranked.agents, asked.solved_by, strict=True)]))
