"""Reads schema files into agent cards, or says of each wrong field where it is and what to write instead.

Called by the card folder, by ``aos agents register`` and by the HTTP door.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agents.errors import CardInvalid, CardProblem
from agents.registry.card_guide import guide_of
from agents.registry.card_refusal import FieldPath, dotted, of_text, of_validation, refused, unreadable
from agents.registry.card_text import CardText, TextRefused, decode, read
from schemas.card import AgentCard, PythonEndpoint

SUFFIXES = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True)
class LoadedCard:
    """A card and the file it came from."""

    path: Path
    card: AgentCard


@dataclass(frozen=True, slots=True)
class FolderLoad:
    """What a folder holds: the good cards in the order of their files, and one refusal for each bad file."""

    cards: tuple[LoadedCard, ...]
    refused: tuple[CardInvalid, ...]


def load_card(path: Path) -> AgentCard:
    """The card of one file, its relative files made absolute. Blocks on the disk. Raises CardInvalid."""
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise refused(str(path), [unreadable(str(path), error.strerror or str(error))]) from error
    if content is None:
        raise refused(str(path), [unreadable(str(path), "there is no such file")])
    try:
        text = decode(content)
    except TextRefused as refusal:
        raise refused(str(path), [of_text(refusal, str(path))]) from refusal
    return parse_card(text, str(path), folder=path.parent.resolve())


def parse_card(text: str, source: str, folder: Path | None = None) -> AgentCard:
    """The card that a text says. ``source`` names it in refusals. Raises CardInvalid.

    Files that the card names relatively are looked up in ``folder``; without one they are refused, because nobody
    could say later where they are.
    """
    try:
        written = read(text)
    except TextRefused as refusal:
        raise refused(source, [of_text(refusal, source)]) from refusal
    try:
        card = AgentCard.model_validate(written.data)
    except ValidationError as error:
        raise refused(source, of_validation(error, written, source)) from error
    return _with_absolute_files(card, written, source, folder)


def load_folder(path: Path) -> FolderLoad:
    """All cards of a folder (not of folders in it). One bad file never stops the others. Blocks on the disk.

    Raises FileNotFoundError or NotADirectoryError when there is no such folder.
    """
    loaded: list[LoadedCard] = []
    refusals: list[CardInvalid] = []
    for file in card_files(path):
        try:
            loaded.append(LoadedCard(file, load_card(file)))
        except CardInvalid as refusal:
            refusals.append(refusal)
    return with_distinct_ids(loaded, refusals)


def card_files(folder: Path) -> list[Path]:
    """The schema files of a folder, in order of their names; hidden files (editors leave them) are none."""
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )


def with_distinct_ids(loaded: Sequence[LoadedCard], refusals: Sequence[CardInvalid] = ()) -> FolderLoad:
    """Refuse all files that claim the same agent: which of them is meant, only their owner knows."""
    files: dict[tuple[str, str], list[Path]] = {}
    for each in loaded:
        files.setdefault((each.card.tenant, each.card.id), []).append(each.path)
    distinct = tuple(each for each in loaded if len(files[each.card.tenant, each.card.id]) == 1)
    doubled = [_doubled(agent_id, paths) for (_, agent_id), paths in files.items() if len(paths) > 1]
    return FolderLoad(distinct, (*refusals, *doubled))


def _doubled(agent_id: str, paths: Sequence[Path]) -> CardInvalid:
    names = " and ".join(str(path) for path in paths)
    problem = (
        f"{names} all describe agent {agent_id!r}" if len(paths) > 2 else f"{names} both describe agent {agent_id!r}"
    )
    problems = [
        CardProblem(str(path), _id_line(path), "id", problem, "an id of its own for each card", f"id: {agent_id}-{n}")
        for n, path in enumerate(paths, start=1)
    ]
    return refused(names, problems)


def _id_line(path: Path) -> int:
    try:
        return read(decode(path.read_bytes())).line_of(("id",))
    except (OSError, TextRefused):
        return 1


def _with_absolute_files(card: AgentCard, written: CardText, source: str, folder: Path | None) -> AgentCard:
    """The same card, runnable from any working folder."""
    endpoint = card.endpoint
    if isinstance(endpoint, PythonEndpoint):
        changed: dict[str, object] = {"target": _absolute_target(endpoint.target, written, source, folder)}
    elif endpoint.command is not None and folder is not None:
        changed = {"command": tuple(_absolute_when_file(argument, folder) for argument in endpoint.command)}
    else:
        return card
    return card.model_copy(update={"endpoint": endpoint.model_copy(update=changed)})


def _absolute_target(target: str, written: CardText, source: str, folder: Path | None) -> str:
    file, _, function = target.rpartition(":")
    if not file.endswith(".py"):
        return target
    found = Path(file) if folder is None else folder / file
    if not found.is_absolute() or not found.is_file():
        raise refused(source, [_missing_file(written, source, file, folder)])
    return f"{found.resolve()}:{function}"


def _missing_file(written: CardText, source: str, file: str, folder: Path | None) -> CardProblem:
    path: FieldPath = ("endpoint", "target")
    guide = guide_of(path)
    problem, expected, example = f"names the file {file!r}, which is not there", guide.expected, guide.example
    if folder is None and not Path(file).is_absolute():
        problem = f"names the relative file {file!r}"
        expected, example = "an absolute path: this card lies in no folder", 'target: "/srv/agents/ocr.py:run"'
    return CardProblem(source, written.line_of(path), dotted(path), problem, expected, example)


def _absolute_when_file(argument: str, folder: Path) -> str:
    """The program or script beside the card, wherever it is started from; other arguments stay as they are."""
    if argument.startswith("-"):
        return argument
    try:
        found = (folder / argument).resolve()
        return str(found) if found.is_file() else argument
    except (OSError, ValueError):
        # Too long or with a NUL: no file, so an argument.
        return argument
