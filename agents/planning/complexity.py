"""How many goals a task has, in which order, and what each reads and wants. Pure; called by the planner first.

Rules, not a model, so that every answer can be explained and tested:

1. ``instruction`` finds the request and leaves bodies out ("Summarise the following: …", a long second paragraph).
2. ``splitting`` cuts it into goals at list items, sentences, "then", ";", "→" and a comma or "and" before a verb.
3. Here each goal is read for what it wants ("draw a chart" wants an image), which attachment it speaks about, and
   whether it builds on the goal before ("it", "the result", "them", "the text").
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from agents.planning import wording
from agents.planning.instruction import request_of
from agents.planning.offers import Kinds
from agents.planning.splitting import Clause, split
from schemas.parts import Modality, Part

MAX_GOALS = 8
"""More clauses than this are one sentence too many: the rest joins the last goal."""

WHOLE_PART_CHARS = 400
"""An unnamed text part up to this length is part of the request; a longer one beside it is content."""

REMEMBERED_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing the task asks for, in its own words."""

    text: str
    wants: Modality | None = None
    """The kind of answer its words ask for, when they say it."""
    depends_on_previous: bool = False
    gathers: bool = False
    """Builds on everything done so far ("put them together in a report"), not only on the goal before."""
    about: Kinds = frozenset()
    """The attachments it speaks about."""


@dataclass(frozen=True, slots=True)
class TaskAnalysis:
    """What a task asks for. ``complexity`` is 1.0 for one goal over one kind of content and grows with both."""

    goals: tuple[Goal, ...]
    modalities: Kinds
    content: Kinds
    """What the first goals read: the attachments, or the words themselves when there are none."""
    complexity: float

    @property
    def wants(self) -> Modality | None:
        """The kind of answer the whole task ends in."""
        return self.goals[-1].wants

    def whole(self) -> "TaskAnalysis":
        """The same task, read as one goal."""
        text = " and ".join(goal.text for goal in self.goals)
        return replace(self, goals=(Goal(text, self.wants),), complexity=1.0)


def analyse(parts: Iterable[Part]) -> TaskAnalysis:
    """Read a perceived task (its parts carry their modality)."""
    listed = tuple(parts)
    words = request_words(listed)
    content = _content(listed, words)
    goals = goals_of(words, content) if words else (_unspoken(listed),)
    kinds = {goal.wants for goal in goals if goal.wants} | content
    complexity = len(goals) + 0.5 * (len(kinds) - 1 if kinds else 0)
    return TaskAnalysis(goals, content | {Modality.TEXT}, content, complexity)


def goals_of(words: str, content: Kinds = frozenset()) -> tuple[Goal, ...]:
    """The goals of a request, in order. Short requests are read once."""
    return _goals_read_before(words, content) if len(words) <= REMEMBERED_CHARS else _goals_read(words, content)


def _goals_read(words: str, content: Kinds) -> tuple[Goal, ...]:
    clauses = split(request_of(words))
    first = clauses[0].text
    goals: list[Goal] = []
    for clause in _bounded(clauses):
        previous = goals[-1] if goals else None
        goals.append(_read(clause, previous, first, content))
    return tuple(goals)


_goals_read_before = lru_cache(maxsize=1_024)(_goals_read)


def request_words(parts: Iterable[Part]) -> str:
    """The words that ask: unnamed inline text. Named text and tables are attachments."""
    spoken = [part.text for part in parts if part.text and part.name is None and _is_text(part)]
    short = [text for text in spoken if len(text) <= WHOLE_PART_CHARS]
    return "\n".join(short or spoken[:1]).strip()


def _read(clause: Clause, previous: Goal | None, first: str, content: Kinds) -> Goal:
    words, wants = clause.text, wording.wanted(clause.text)
    about = wording.spoken_about(wording.without_product(words)) & content
    if previous is None:
        return Goal(words, wants, about=about)
    gathers = wording.gathers(words) or (wants is Modality.DOCUMENT and not about)
    depends = gathers or _builds_on(clause, previous, first, about, content)
    return Goal(words, wants, depends, gathers, frozenset() if depends else about)


def _builds_on(clause: Clause, previous: Goal, first: str, about: Kinds, content: Kinds) -> bool:
    words = clause.text
    if wording.names_result(words, content) or wording.names_what_was_made(words, previous.text):
        return True
    if wording.owns(words, previous.text) and not about:
        return True
    if previous.wants in wording.spoken_about(words) - about:
        return True
    if clause.follows:
        return not about
    # "Summarise it and list the keywords of it": both pronouns mean the attachment, so neither goal needs the other.
    return wording.has_pronoun(words) and not about and not wording.has_pronoun(first)


def _bounded(clauses: tuple[Clause, ...]) -> tuple[Clause, ...]:
    if len(clauses) <= MAX_GOALS:
        return clauses
    kept, rest = clauses[: MAX_GOALS - 1], clauses[MAX_GOALS - 1 :]
    return (*kept, Clause(" and ".join(clause.text for clause in rest), rest[0].follows))


def _content(parts: tuple[Part, ...], words: str) -> Kinds:
    attached = {part.modality or Modality.FILE for part in parts if not (_is_text(part) and _speaks(part, words))}
    return frozenset(attached) or frozenset({Modality.TEXT})


def _speaks(part: Part, words: str) -> bool:
    return part.text is not None and part.name is None and part.text.strip() in words


def _is_text(part: Part) -> bool:
    return part.modality in (None, Modality.TEXT)


def _unspoken(parts: tuple[Part, ...]) -> Goal:
    """A task without words: its goal is to find out what its attachments say."""
    part = parts[0]
    kind = part.modality or Modality.FILE
    name = f" {part.name}" if part.name else ""
    return Goal(_UNSPOKEN.get(kind, f"Describe what is in this {kind.value}") + name, about=frozenset({kind}))


_UNSPOKEN = {
    Modality.IMAGE: "Describe what is in this picture",
    Modality.AUDIO: "Describe what is heard in this recording",
    Modality.TABLE: "Describe and summarise the rows of this table",
    Modality.DOCUMENT: "Summarise this document",
    Modality.TEXT: "Summarise this text",
}
