"""What belongs into each field of a card, with an example: the words of a refusal.

Called by ``card_files`` and ``card_refusal``. The keys are dotted fields with ``*`` for any item. A test fails
when the card gains a field that is not told here.
"""

from dataclasses import dataclass

from schemas.parts import Modality


@dataclass(frozen=True, slots=True)
class FieldGuide:
    """What is expected in a field, and an example as one would write it in YAML."""

    expected: str
    example: str


_KINDS = "one of nats, python, http, openai"
_MODALITIES = "a list of " + ", ".join(modality.value for modality in Modality)
_COMMAND = FieldGuide("the program and its arguments as a list of texts", 'command: ["python", "echo_agent.py"]')
_URL = "an http:// or https:// address"

CARD_EXAMPLE = "{id: ocr, version: 1.0.0, description: …, skills: [ … ], endpoint: { … }}"
SKILL_EXAMPLE = "{id: read, description: Read the text in a picture, inputs: [image], outputs: [text]}"
ENDPOINT_EXAMPLE = 'endpoint: {kind: python, target: "ocr.py:run"}'

GUIDE: dict[str, FieldGuide] = {
    "": FieldGuide("a mapping with the fields of one card", CARD_EXAMPLE),
    "id": FieldGuide("1 to 64 letters, digits, '_' and '-'", "id: ocr"),
    "version": FieldGuide("three numbers with dots", "version: 1.0.0"),
    "name": FieldGuide("a text of at most 120 characters", "name: Picture reader"),
    "description": FieldGuide("a text of 8 to 4000 characters", "description: Reads the printed text in pictures."),
    "skills": FieldGuide("a list of 1 to 200 skills", f"skills: [{SKILL_EXAMPLE}]"),
    "skills.*": FieldGuide("a mapping with the fields of one skill", SKILL_EXAMPLE),
    "skills.*.id": FieldGuide("1 to 64 letters, digits, '_' and '-'", "id: read_picture"),
    "skills.*.description": FieldGuide(
        "a text of 8 to 2000 characters", "description: Read the printed text in a picture"
    ),
    "skills.*.examples": FieldGuide(
        "a list of at most 50 requests that the skill answers well", "examples: [Read this receipt]"
    ),
    "skills.*.examples.*": FieldGuide("a text", '"Read this receipt"'),
    "skills.*.inputs": FieldGuide(f"every modality it can read: {_MODALITIES}", "inputs: [text, image]"),
    "skills.*.inputs.*": FieldGuide(_MODALITIES.replace("a list", "one"), "image"),
    "skills.*.requires": FieldGuide(
        f"modalities of its inputs that it cannot do without: {_MODALITIES}", "requires: [image]"
    ),
    "skills.*.requires.*": FieldGuide(_MODALITIES.replace("a list", "one"), "image"),
    "skills.*.outputs": FieldGuide(f"every modality it produces: {_MODALITIES}", "outputs: [text]"),
    "skills.*.outputs.*": FieldGuide(_MODALITIES.replace("a list", "one"), "text"),
    "requires_modalities": FieldGuide(f"modalities a task must carry: {_MODALITIES}", "requires_modalities: [image]"),
    "requires_modalities.*": FieldGuide(_MODALITIES.replace("a list", "one"), "image"),
    "endpoint": FieldGuide(f"how the agent is reached: a mapping whose kind is {_KINDS}", ENDPOINT_EXAMPLE),
    "endpoint.kind": FieldGuide(_KINDS, "kind: python"),
    "endpoint.command": _COMMAND,
    "endpoint.command.*": FieldGuide("a text", '"echo_agent.py"'),
    "endpoint.target": FieldGuide(
        "a Python file beside the card (or an importable module), a colon, and the function", 'target: "ocr.py:run"'
    ),
    "endpoint.url": FieldGuide(_URL, "url: http://127.0.0.1:9001/invoke"),
    "endpoint.health_url": FieldGuide(_URL, "health_url: http://127.0.0.1:9001/healthz"),
    "endpoint.headers_from_env": FieldGuide(
        "for each header the environment variable that holds its value", "headers_from_env: {Authorization: MY_TOKEN}"
    ),
    "endpoint.headers_from_env.*": FieldGuide("the name of an environment variable", "MY_TOKEN"),
    "endpoint.base_url": FieldGuide(_URL, "base_url: http://127.0.0.1:8000/v1"),
    "endpoint.model": FieldGuide("the name of the model", "model: gpt-4o-mini"),
    "endpoint.api_key_env": FieldGuide("the environment variable that holds the key", "api_key_env: OPENAI_API_KEY"),
    "endpoint.system_prompt": FieldGuide("a text", "system_prompt: You answer briefly."),
    "endpoint.temperature": FieldGuide("a number from 0 to 2", "temperature: 0.2"),
    "timeouts": FieldGuide("a mapping with step_s and attempts", "timeouts: {step_s: 30, attempts: 3}"),
    "timeouts.step_s": FieldGuide("seconds, more than 0 and at most 86400", "step_s: 30"),
    "timeouts.attempts": FieldGuide("a whole number from 1 to 10", "attempts: 3"),
    "concurrency": FieldGuide("a whole number from 1 to 10000", "concurrency: 4"),
    "cost": FieldGuide("a mapping with per_call and per_second", "cost: {per_call: 0.01}"),
    "cost.per_call": FieldGuide("a number, 0 or more", "per_call: 0.01"),
    "cost.per_second": FieldGuide("a number, 0 or more", "per_second: 0.001"),
    "owner": FieldGuide("a text of at most 200 characters", "owner: data-team"),
    "tenant": FieldGuide("1 to 64 letters, digits, '_' and '-'", "tenant: default"),
    "tags": FieldGuide("a list of short lower-case words", "tags: [pictures, gpu]"),
    "tags.*": FieldGuide("lower-case letters, digits and . _ : - (64 at most)", "pictures"),
    "requires_approval": FieldGuide("true or false", "requires_approval: true"),
}


def guide_of(path: tuple[str | int, ...]) -> FieldGuide:
    """The guide of a field; of the nearest field around it when it is not told itself."""
    generic = ["*" if isinstance(part, int) else part for part in path]
    while generic:
        found = GUIDE.get(".".join(generic)) or GUIDE.get(".".join([*generic[:-1], "*"]))
        if found is not None:
            return found
        generic.pop()
    return GUIDE[""]
