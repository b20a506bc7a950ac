"""What flows into a step: the task's words, its attachments, and what earlier steps answered. Pure; called by ``run``.

The words of the task are always the first part and the only text without a name; all else has a name, so that an
agent can tell what is asked from what is given.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from agents.errors import BadReply
from schemas.card import Skill
from schemas.network import TASK, Edge, Network
from schemas.parts import Modality, Part, text_part

_ENDINGS = {
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/html": ".html",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/svg+xml": ".svg",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
}
_ENDING_OF_MODALITY = {Modality.TEXT: ".txt", Modality.TABLE: ".csv", Modality.DATA: ".json"}
_MODALITY_OF_TYPE = {
    "text/csv": Modality.TABLE,
    "text/tab-separated-values": Modality.TABLE,
    "application/json": Modality.DATA,
    "application/pdf": Modality.DOCUMENT,
}
_MODALITY_OF_FAMILY = {"image": Modality.IMAGE, "audio": Modality.AUDIO, "text": Modality.TEXT}


def inputs_of(
    network: Network, node_id: str, skill: Skill, task_parts: Sequence[Part], answers: Mapping[str, Sequence[Part]]
) -> tuple[Part, ...]:
    """All parts for one node. ``answers`` holds the outputs of every node before it.

    Raises BadReply when the steps before it answered nothing that it can use.
    """
    edges = [edge for edge in network.edges if edge.target == node_id]
    attachments = [part for part in task_parts if not _is_words(part)]
    from_task = [part for edge in edges if edge.source == TASK for part in _flowing(attachments, edge)]
    from_steps = [
        part
        for edge in edges
        if edge.source != TASK
        for part in _flowing(named(answers[edge.source], edge.source), edge)
    ]
    given = _distinct([*from_task, *from_steps])
    _check_usable(edges, skill, given, from_steps)
    return (*instruction_of(task_parts), *given)


def instruction_of(task_parts: Sequence[Part]) -> tuple[Part, ...]:
    """The words of the task as one text part without a name; none when the task has no words."""
    words = tuple(part for part in task_parts if _is_words(part) and part.text and part.text.strip())
    if len(words) < 2:
        return words
    return (text_part("\n".join(part.text for part in words if part.text)),)


def named(parts: Sequence[Part], node_id: str) -> tuple[Part, ...]:
    """The parts with a name each: that of the node where they came from, unless they have their own."""
    endings: Counter[str] = Counter()

    def with_name(part: Part) -> Part:
        ending = _ending(part)
        endings[ending] += 1
        count = f"-{endings[ending]}" if endings[ending] > 1 else ""
        return part.model_copy(update={"name": f"{node_id}{count}{ending}"})

    return tuple(part if part.name else with_name(part) for part in parts)


def typed(part: Part, skill: Skill) -> Part:
    """An agent's output with its modality: as said, else by its media type, else what the skill promises."""
    if part.modality is not None:
        return part
    return part.model_copy(update={"modality": _modality(part, skill)})


def _modality(part: Part, skill: Skill) -> Modality:
    media_type = (part.media_type or "").partition(";")[0].strip().lower()
    guess = _MODALITY_OF_TYPE.get(media_type) or _MODALITY_OF_FAMILY.get(media_type.partition("/")[0])
    if guess is None and len(skill.outputs) == 1:
        return skill.outputs[0]
    return guess or (Modality.TEXT if part.text is not None else Modality.FILE)


def _is_words(part: Part) -> bool:
    return part.text is not None and part.name is None and part.modality in (None, Modality.TEXT)


def _flowing(parts: Sequence[Part], edge: Edge) -> list[Part]:
    return [part for part in parts if part.modality in edge.modalities]


def _ending(part: Part) -> str:
    media_type = (part.media_type or "").partition(";")[0]
    return _ENDINGS.get(media_type) or _ENDING_OF_MODALITY.get(part.modality or Modality.FILE, ".bin")


def _distinct(parts: Sequence[Part]) -> list[Part]:
    """Each part once: the same attachment may come along several edges. By hash, for an agent may answer thousands."""
    return list(dict.fromkeys(parts))


def _check_usable(edges: Sequence[Edge], skill: Skill, given: Sequence[Part], from_steps: Sequence[Part]) -> None:
    before = [edge.source for edge in edges if edge.source != TASK]
    if before and not from_steps:
        wanted = sorted({modality.value for edge in edges if edge.source != TASK for modality in edge.modalities})
        raise BadReply(f"{' and '.join(before)} answered, but without {' or '.join(wanted)} for the next step")
    there = {part.modality for part in given} | {Modality.TEXT}
    if lacking := [modality.value for modality in skill.requires if modality not in there]:
        raise BadReply(f"the steps before gave no {' and no '.join(lacking)}, which {skill.id} requires")
