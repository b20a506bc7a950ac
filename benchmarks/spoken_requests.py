"""What hearing does for routing: spoken requests over the skills of the sample agents, through perception as it serves.

    python -m benchmarks.spoken_requests [--agents examples/agents] [--seed 5] [--json]

65 sentences ("draw a bar chart of our costs") that the audio tower was taught or not, each by a voice it never heard
(espeak-ng), with an instruction that says nothing. Agents are ranked by the largest cosine of the task vector to a
skill's description or examples, without the learned ranker.
"""

import argparse
import asyncio
import base64
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import yaml

from schemas.parts import Modality, Part, text_part
from tensor_layer.encoders import NONE
from tensor_layer.inspection.inspector import PartInspector
from tensor_layer.perception import PartPerceiver
from tensor_layer.ports import SAMPLE_RATE_HZ, Perceiver, Sound, Vector
from tensor_layer.storage.blobs import ObstoreBlobs
from tensor_layer.towers.sentences import sentences, split
from tensor_layer.towers.voices import spoken_by, unseen_voice
from tensor_layer.wiring import EncoderChoice, local_encoders, perceiver

WANTED = {
    "draw a ": "chart",
    "summarise ": "summary",
    "convert ": "calculator",
    "count the ": "table_analysis",
    "read ": "ocr",
}
"""How a request begins, and the sample agent that it is for."""
SAYING_NOTHING = ("please take care of it", "do what I say there", "here it is", "kindly see to this")

RECORDING = "the recording and an instruction that says nothing"
WAYS = (
    "the request typed instead of spoken",
    f"{RECORDING}, words alone",
    f"{RECORDING}, parameter-free mean",
    f"{RECORDING}, learned fusion",
    "the recording alone, learned fusion",
)


def requests() -> list[tuple[str, str]]:
    """(sentence, the agent it is for)."""
    return [(each, agent) for each in sentences() for begin, agent in WANTED.items() if each.startswith(begin)]


async def measure(texts: Sequence[tuple[str, str]], seed: int) -> dict[str, object]:
    """How often the right agent comes first, and how many recordings were taken for strangers. ``texts``: the agents
    and what their skills say.
    """
    blobs = ObstoreBlobs.from_url("memory://")
    encoders = local_encoders(blobs, EncoderChoice(image=NONE))
    hearing = perceiver(blobs, encoders)
    skills = [agent for agent, _ in texts]
    vectors = await hearing.encode_texts([text for _, text in texts])
    deaf = perceiver(blobs, encoders.text)
    plain = PartPerceiver(blobs, encoders.text, PartInspector(blobs), senses=encoders.senses)
    right: Counter[str] = Counter()
    strangers = 0
    for number, (sentence, agent) in enumerate(requests()):
        recording = _recording(spoken_by(unseen_voice(np.random.default_rng((seed, number))), sentence))
        told = [text_part(SAYING_NOTHING[number % len(SAYING_NOTHING)]), recording]
        asked = ((deaf, [text_part(sentence)]), (deaf, told), (plain, told), (hearing, told), (hearing, [recording]))
        for way, (perceiving, parts) in zip(WAYS, asked, strict=True):
            right[way] += await _first(perceiving, parts, skills, vectors) == agent
        strangers += "not_counted" in (await hearing.perceive(told)).percept.parts[1].facts
    never = set(split()[1])
    return {
        "requests": len(requests()),
        "of_which_the_tower_was_never_taught": sum(sentence in never for sentence, _ in requests()),
        "agents": len(set(skills)),
        "seed": seed,
        "right_agent_first": {way: right[way] for way in WAYS},
        "recordings_left_out_as_strange": strangers,
        "fusion": encoders.fusion.version,
    }


def skill_texts(folder: Path) -> list[tuple[str, str]]:
    """(agent, text) of every card in the folder: what its skills are called, do, and are asked for."""
    cards = [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml"))]
    return [
        (card["id"], text)
        for card in cards
        for skill in card["skills"]
        for text in (f"{skill['id']}: {skill['description']}", *skill["examples"])
    ]


async def _first(perceiving: Perceiver, parts: Sequence[Part], owners: list[str], vectors: Vector) -> str:
    vector = (await perceiving.perceive(parts)).vector
    return "" if vector is None else owners[int(np.argmax(vectors @ vector))]


def _recording(sound: Sound) -> Part:
    file = io.BytesIO()
    soundfile.write(file, sound, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    content = base64.b64encode(file.getvalue()).decode()
    return Part(modality=Modality.AUDIO, name="voice.wav", data=content)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--agents", type=Path, default=Path("examples/agents"))
    options.add_argument("--seed", type=int, default=5)
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    figures = asyncio.run(measure(skill_texts(asked.agents), asked.seed))
    if asked.json:
        print(json.dumps(figures, indent=2))
        return
    for way, right in dict(figures["right_agent_first"]).items():  # type: ignore[call-overload]
        print(f"{way:80} {right} of {figures['requests']}")
    print(f"left out as strange: {figures['recordings_left_out_as_strange']}")


if __name__ == "__main__":
    main()
