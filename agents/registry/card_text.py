"""Reads the text of a schema file into plain data that knows its lines. Called by ``card_files``.

YAML is read as data only: no tags, no aliases, no duplicate keys, bounded depth and size. JSON goes the same way, and
through its own parser when it is not also YAML (a tab, an escaped slash).
"""

import json
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

MOST_BYTES = 1024 * 1024
MOST_NODES = 50_000
DEEPEST = 24

Path = tuple[str | int, ...]

_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}
_TAGS = _PLAIN | {None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}
_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float")}
LONGEST_NUMBER = 100
"""In characters."""


class TextRefused(Exception):
    """The text is no card at all: at which line, what is wrong, what was expected, an example."""

    def __init__(self, line: int, problem: str, expected: str, example: str, path: Path = ()) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem
        self.expected = expected
        self.example = example
        self.path = path


@dataclass(slots=True)
class CardText:
    """Plain data with the line of every field."""

    data: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """The line of the field, or of the nearest mapping around it when it is missing."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def decode(content: bytes) -> str:
    """The text of a file. Raises TextRefused."""
    if len(content) > MOST_BYTES:
        raise TextRefused(
            1, f"the file has {len(content)} bytes", "a card of at most 1 MiB", "one card per file, short examples"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"byte {content[error.start]:#04x} at position {error.start} is not UTF-8"
        raise TextRefused(line, problem, "a text file in UTF-8", "save the file with encoding UTF-8") from error


def read(text: str) -> CardText:
    """Plain data with lines. Raises TextRefused."""
    if len(text) > MOST_BYTES:
        raise TextRefused(1, f"the text has {len(text)} characters", "a card of at most 1 MiB", "shorter examples")
    if not text.lstrip().startswith("{"):
        return _read_yaml(text)
    try:
        data = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # Either YAML in braces, or broken: the YAML reader says where.
        return _read_yaml(text)
    return CardText(data, _lines_when_yaml(text))


def _lines_when_yaml(text: str) -> dict[Path, int]:
    """Nearly all JSON is YAML; the rest (a tab before a value, an escaped surrogate) goes without lines."""
    try:
        return _read_yaml(text).lines
    except TextRefused:
        return {}


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _read_yaml(text: str) -> CardText:
    try:
        _guard(text)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TextRefused(line, str(error.reason), "printable characters", "name: Picture reader") from error
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise TextRefused(line, "half of a character pair", "text in UTF-8", "name: Picture reader") from error
    if root is None:
        raise TextRefused(1, "there is nothing in it", "a mapping with the fields of one card", "id: ocr")
    if not isinstance(root, yaml.MappingNode):
        raise TextRefused(_line(root), f"it is {_kind(root)}", "a mapping with the fields of one card", "id: ocr")
    lines: dict[Path, int] = {}
    return CardText(_mapping(root, (), lines), lines)


def _guard(text: str) -> None:
    """Look at the stream of events before anything is built from it."""
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise TextRefused(line, f"the alias *{event.anchor}", "every value written out", "inputs: [text]")
        if documents > 1:
            raise TextRefused(line, "a second document begins", "one card per file", "a file for each agent")
        if depth > DEEPEST or nodes > MOST_NODES:
            raise TextRefused(line, "it is nested too deep or too long", "a card of the usual size", "id: ocr")
        if _has_foreign_tag(event):
            raise TextRefused(line, "a tag, such as !name", "plain texts, numbers, lists and mappings", "id: ocr")


def _has_foreign_tag(event: yaml.Event) -> bool:
    if not isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent):
        return False
    return event.tag not in _TAGS


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int]) -> object:
    lines.setdefault(path, _line(node))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, place), lines) for place, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise TextRefused(_line(key_node), f"a key is {_kind(key_node)}", "field names as keys", "id: ocr", path)
        key = key_node.value
        if key in values:
            problem = f"the field appears twice (first in line {lines[(*path, key)]})"
            raise TextRefused(_line(key_node), problem, "every field once", f"{key}: …", (*path, key))
        lines[(*path, key)] = _line(key_node)
        values[key] = _plain(value_node, (*path, key), lines)
    return values


def _scalar(node: yaml.Node) -> object:
    if node.tag not in _PLAIN or (node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER):
        # Dates and the like are texts to a card. So are numbers of thousands of digits: building one takes seconds.
        return node.value
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)  # one that stays keeps every node it ever saw
    except ValueError:
        return node.value


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a mapping" if isinstance(node, yaml.MappingNode) else f"the text {str(node.value)[:40]!r}"


def _not_yaml(error: yaml.MarkedYAMLError, text: str) -> TextRefused:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be read"
    expected, example = "YAML or JSON", "description: Reads the printed text in pictures."
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""  # what is missing at the end has no line
    if "\t" in line[: len(line) - len(line.lstrip())]:
        problem, expected, example = "the line begins with a tab", "spaces before fields", "  - id: read_picture"
    elif "mapping values are not allowed" in problem:
        expected, example = "quotes around a text that contains ': '", 'description: "Reads: pictures"'
    return TextRefused(mark.line + 1 if mark else 1, problem, expected, example)
