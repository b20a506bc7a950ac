"""Every mistake in a card is told with file, line, field, expectation and example; good cards still load."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import CardInvalid, CardProblem
from agents.registry.card_files import load_card, load_folder, parse_card
from agents.registry.card_guide import GUIDE
from schemas.card import AgentCard, HttpEndpoint, NatsEndpoint, OpenAIEndpoint, PythonEndpoint

GOOD = """\
id: ocr
version: 1.0.0
description: Reads the printed text in pictures.
skills:
  - id: read
    description: Read the printed text in a picture.
    inputs: [text, image]
    requires: [image]
    outputs: [text]
endpoint:
  kind: nats
tags: [pictures]
"""


def problems_of(text: str | bytes, tmp_path: Path) -> list[CardProblem]:
    file = tmp_path / "card.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CardInvalid) as refusal:
        load_card(file)
    assert refusal.value.problems
    for problem in refusal.value.problems:
        assert problem.file == str(file)
        assert problem.line >= 1
        assert problem.expected
        assert problem.example
        assert str(problem) in str(refusal.value)
    return list(refusal.value.problems)


def only_problem(text: str | bytes, tmp_path: Path) -> CardProblem:
    found = problems_of(text, tmp_path)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def with_line(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_card_loads_from_yaml_and_the_same_from_json(tmp_path: Path):
    (tmp_path / "card.yaml").write_text(GOOD)
    (tmp_path / "card.json").write_text(json.dumps(yaml.safe_load(GOOD), indent="\t"))
    card = load_card(tmp_path / "card.yaml")
    assert card.id == "ocr"
    assert card.endpoint == NatsEndpoint()
    assert load_card(tmp_path / "card.json") == card


def test_a_card_with_a_byte_order_mark_loads(tmp_path: Path):
    (tmp_path / "card.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_card(tmp_path / "card.yaml").id == "ocr"


def test_json_may_be_more_than_yaml_understands():
    card = json.dumps({**yaml.safe_load(GOOD), "name": "Reader \U0001f4f7"}).replace('"id": "ocr"', '"id":\t"ocr"')
    assert parse_card(card, "door").name == "Reader \U0001f4f7"


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "problem", "expected"),
    [
        ("id: ocr\n", "id: o c r\n", 1, "id", "'o c r'", "letters, digits"),
        ("version: 1.0.0", "version: 1.0", 2, "version", "write it in quotes", "three numbers with dots"),
        ("version: 1.0.0", "version: one", 2, "version", "'one'", "three numbers"),
        ("id: ocr\n", "id: no\n", 1, "id", "write it in quotes", "letters, digits"),
        ("description: Reads the printed text in pictures.\n", "", 1, "description", "is missing", "8 to 4000"),
        ("    outputs: [text]\n", "", 5, "skills[0].outputs", "is missing", "modality it produces"),
        ("inputs: [text, image]", "inputs: [text, picture, image]", 7, "skills[0].inputs[1]", "'picture'", "image"),
        ("inputs: [text, image]", "inputs: image", 7, "skills[0].inputs", "'image'", "a list of"),
        ("requires: [image]", "requires: [audio]", 5, "skills[0]", "not among its inputs", "one skill"),
        ("  kind: nats", "  kind: carrier-pigeon", 11, "endpoint.kind", "'carrier-pigeon'", "nats, python, http"),
        ("  kind: nats", "  command: [a]", 10, "endpoint.kind", "is missing", "nats, python, http"),
        ("endpoint:\n  kind: nats", "endpoint: nats", 10, "endpoint", "'nats'", "a mapping whose kind"),
        ("  kind: nats", "  kind: http", 10, "endpoint.url", "is missing", "http://"),
        ("  kind: nats", "  kind: http\n  url: ftp://x", 12, "endpoint.url", "ftp", "http://"),
        ("  kind: nats", "  kind: python", 10, "endpoint.target", "is missing", "a Python file"),
        ("  kind: nats", "  kind: python\n  target: run", 12, "endpoint.target", "'run'", "a Python file"),
        ("  kind: nats", "  kind: nats\n  url: http://x", 12, "endpoint.url", "no field here", "kind, command"),
        ("tags: [pictures]", "tags: [Pictures]", 12, "tags[0]", "'Pictures'", "lower-case"),
        ("tags: [pictures]", "concurency: 3", 12, "concurency", "did you mean 'concurrency'", "concurrency"),
        ("tags: [pictures]", "concurrency: 0", 12, "concurrency", "0", "1 to 10000"),
        ("tags: [pictures]", "cost:\n  per_cal: 1", 13, "cost.per_cal", "did you mean 'per_call'", "per_second"),
        ("tags: [pictures]", "timeouts: {step_s: -1}", 12, "timeouts.step_s", "-1", "seconds"),
        ("tags: [pictures]", "tenant: a.b", 12, "tenant", "'a.b'", "letters, digits"),
        ("tags: [pictures]", "tenant: '*'", 12, "tenant", "'*'", "letters, digits"),
        ("tags: [pictures]", "id: again", 12, "id", "appears twice (first in line 1)", "every field once"),
    ],
)
def test_each_mistake_names_its_line_and_its_cure(
    tmp_path: Path, old: str, new: str, line: int, field: str, problem: str, expected: str
):
    told = only_problem(with_line(old, new), tmp_path)
    assert (told.line, told.field) == (line, field)
    assert problem in told.problem
    assert expected in told.expected


def test_doubled_skills_are_refused(tmp_path: Path):
    skill = GOOD[GOOD.index("  - id: read") : GOOD.index("endpoint:")]
    told = only_problem(GOOD.replace(skill, skill * 2), tmp_path)
    assert "['read'] appear twice" in told.problem


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(tmp_path: Path):
    text = with_line("id: ocr\n", "id: o c r\n").replace("[text, image]", "[txt]").replace("kind: nats", "kind: http")
    told = problems_of(text, tmp_path)
    assert {"id", "skills[0].inputs[0]", "endpoint.url"} <= {problem.field for problem in told}
    assert [problem.line for problem in told] == sorted(problem.line for problem in told)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "nothing in it"),
        ("# only a comment\n", 1, "nothing in it"),
        ("- id: ocr\n", 1, "a list"),
        ("just words\n", 1, "'just words'"),
        (GOOD + "---\nid: two\n", 13, "a second document"),
        ("id: ocr\n\tversion: 1.0.0\n", 2, "tab"),
        ("id: ocr\ndescription: Reads: pictures\n", 2, "mapping values"),
        ("id: [ocr\nversion: 1\n", 2, ""),
        ("id: !!python/object/apply:os.system [ls]\n", 1, "tag"),
        ("id: !secret x\n", 1, "tag"),
        ("base: &b [text]\ninputs: *b\n", 2, "alias *b"),
        ("a: &a [x]\n<<: *a\n", 2, "alias"),
        ("? [a, b]\n: c\n", 1, "a key is a list"),
        ("id: a\x07b\n", 1, "not allowed"),
        ('{"id": "ocr",}x', 1, ""),
        (b"id: ocr\nname: caf\xe9\n", 2, "UTF-8"),
        ("id: ocr\n".encode("utf-16"), 1, "UTF-8"),
        (b"id: ocr\x00\n", 1, ""),
        ("[" * 100_000, 1, "nested too deep"),
        ("{" * 100_000, 1, "nested too deep"),
        ("? " * 100_000, 1, "nested too deep"),
        ("a: [" + "x, " * 60_000 + "]", 1, "too long"),
        ("x" * (10 * 1024 * 1024), 1, "10485760 bytes"),
    ],
)
def test_hostile_and_broken_files_are_refused_with_their_line(
    tmp_path: Path, text: str | bytes, line: int, problem: str
):
    told = only_problem(text, tmp_path)
    assert told.line == line
    assert problem in told.problem


def test_an_alias_bomb_is_refused_before_it_grows(tmp_path: Path):
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    )
    assert "alias" in only_problem(bomb, tmp_path).problem


def test_missing_files_and_folders_are_refused(tmp_path: Path):
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(CardInvalid, match="no such file"):
            load_card(path)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_card_or_a_refusal(text: str):
    with pytest.raises(CardInvalid):
        parse_card(text, "fuzz")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from(sorted(AgentCard.model_fields)), value=_VALUES)
def test_any_value_in_any_field_is_taken_or_told(field: str, value: object):
    text = json.dumps({**yaml.safe_load(GOOD), field: value})
    problems: tuple[CardProblem, ...] | None = None
    try:
        assert isinstance(parse_card(text, "fuzz"), AgentCard)
    except CardInvalid as refusal:
        problems = refusal.problems
    assert problems is None or (problems and all(problem.expected and problem.example for problem in problems))


def test_every_field_of_a_card_is_in_the_guide_and_the_guide_knows_no_other():
    told = set(GUIDE) - {""}
    schema = AgentCard.model_json_schema()
    fields: set[str] = set()

    def collect(node: dict[str, object], path: str) -> None:
        if "$ref" in node:
            node = schema["$defs"][str(node["$ref"]).rsplit("/", 1)[1]]
        for option in node.get("oneOf", node.get("anyOf", [])):  # type: ignore[attr-defined]
            collect(option, path)
        for name, inner in node.get("properties", {}).items():  # type: ignore[attr-defined]
            fields.add(f"{path}.{name}".removeprefix("."))
            collect(inner, f"{path}.{name}".removeprefix("."))
        for items in (node.get("items"), node.get("additionalProperties")):
            if isinstance(items, dict):
                fields.add(f"{path}.*")
                collect(items, f"{path}.*")

    collect(schema, "")
    assert told == fields


def test_the_examples_of_the_guide_are_good_yaml():
    for guide in GUIDE.values():
        yaml.safe_load(guide.example.replace("…", "x"))


# Files that a card names.


def python_card(target: str) -> str:
    return with_line("  kind: nats", f'  kind: python\n  target: "{target}"')


def test_a_python_file_beside_the_card_becomes_absolute(tmp_path: Path):
    folder = tmp_path / "my agents (new)"
    folder.mkdir()
    (folder / "ocr.py").write_text("def run(): ...")
    (folder / "ocr.yaml").write_text(python_card("ocr.py:run"))
    card = load_card(folder / "ocr.yaml")
    assert card.endpoint == PythonEndpoint(target=f"{folder.resolve()}/ocr.py:run")
    assert AgentCard.model_validate_json(card.model_dump_json()) == card


def test_an_importable_module_stays_as_it_is():
    assert parse_card(python_card("my_package.agents:run"), "x").endpoint == PythonEndpoint(
        target="my_package.agents:run"
    )


def test_a_python_file_that_is_not_there_is_told(tmp_path: Path):
    told = only_problem(python_card("ocr.py:run"), tmp_path)
    assert (told.line, told.field) == (12, "endpoint.target")
    assert "'ocr.py', which is not there" in told.problem


def test_a_relative_file_without_a_folder_is_refused():
    with pytest.raises(CardInvalid, match="an absolute path"):
        parse_card(python_card("ocr.py:run"), "door")


def test_files_of_a_command_beside_the_card_become_absolute_and_its_options_stay(tmp_path: Path):
    (tmp_path / "echo.py").write_text("")
    (tmp_path / "card.yaml").write_text(
        with_line("kind: nats", 'kind: nats\n  command: [python, -u, echo.py, "--echo.py"]')
    )
    endpoint = load_card(tmp_path / "card.yaml").endpoint
    assert isinstance(endpoint, NatsEndpoint)
    assert endpoint.command == ("python", "-u", str((tmp_path / "echo.py").resolve()), "--echo.py")


def test_http_and_openai_cards_load():
    http = with_line("kind: nats", "kind: http\n  url: http://127.0.0.1:9001/invoke\n  headers_from_env: {X-Key: KEY}")
    assert isinstance(parse_card(http, "x").endpoint, HttpEndpoint)
    openai = with_line("kind: nats", "kind: openai\n  base_url: http://127.0.0.1:8000/v1\n  model: tiny")
    assert isinstance(parse_card(openai, "x").endpoint, OpenAIEndpoint)


# Folders.


def test_one_bad_card_does_not_stop_the_others(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("id: [")
    (tmp_path / "c.json").write_text(json.dumps({**yaml.safe_load(GOOD), "id": "third"}))
    (tmp_path / ".hidden.yaml").write_text("id: [")
    (tmp_path / "notes.txt").write_text("no card")
    load = load_folder(tmp_path)
    assert [each.card.id for each in load.cards] == ["ocr", "third"]
    assert [refusal.problems[0].file for refusal in load.refused] == [str(tmp_path / "b.yaml")]


def test_two_files_that_claim_the_same_agent_are_both_refused_by_name(tmp_path: Path):
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "other.yaml").write_text(GOOD.replace("id: ocr", "id: other"))
    (tmp_path / "tenant.yaml").write_text(GOOD + "tenant: acme\n")
    load = load_folder(tmp_path)
    assert {(each.card.tenant, each.card.id) for each in load.cards} == {("default", "other"), ("acme", "ocr")}
    assert len(load.refused) == 1
    assert {problem.file for problem in load.refused[0].problems} == {
        str(tmp_path / "one.yaml"),
        str(tmp_path / "two.yaml"),
    }
    assert "one.yaml and" in str(load.refused[0])
    assert "both describe agent 'ocr'" in str(load.refused[0])


def test_a_folder_that_is_none_is_an_error_of_its_own(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        load_folder(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        load_folder(tmp_path / "file")


def test_the_sample_agents_all_load():
    load = load_folder(Path(__file__).parents[4] / "examples" / "agents")
    assert load.refused == ()
    assert len(load.cards) >= 10


@pytest.mark.parametrize("end", ["tags: [\n", "tags: {a: b\n\n", "description: 'it ends nowhere\n", "tags: [a\x85"])
def test_what_is_missing_at_the_end_of_the_file_is_told_there(end: str, tmp_path: Path):
    problem = only_problem(GOOD.removesuffix("tags: [pictures]\n") + end, tmp_path)
    assert problem.line >= GOOD.count("\n")
    assert problem.expected == "YAML or JSON"
