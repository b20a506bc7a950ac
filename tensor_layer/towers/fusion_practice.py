"""Made-up tasks on which fusion weights are learned: what is said, what is attached, and which of it is meant.

Called by ``fusion_training``. A picture or a sound is its caption's text vector with noise, as a tower aligned to the
text space would make it. Vague instructions leave the meaning to the attachment; specific ones keep it, whatever is
attached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from schemas.parts import Modality
from tensor_layer.ports import ModalityToken, Vector
from tensor_layer.towers import scenes, sentences
from tensor_layer.towers.pictures import SIMPLE_KINDS
from tensor_layer.towers.sounds import SOUNDS

VAGUE = (
    *("please do this", "see the attachment", "can you help me with this?", "here it is", "do what I say there"),
    *("this is for you", "have a look", "you know what to do", "as discussed", "please take care of it"),
    *(
        "I need this done today",
        "what do you make of this?",
        "could you handle that",
        "see attached",
        "this one please",
    ),
    *("next one", "hello, please see below", "thanks in advance", "my request is attached", "listen to this"),
    *("look at this", "process this", "please deal with the attached file", "hi, attached as promised", "urgent!"),
    *("for your attention", "go ahead", "work on this", "here is the file", "the request is in the file"),
)
VAGUE_HELD_OUT = (
    *("kindly see to this", "all is in the attachment", "would you mind doing that for me?", "start with this"),
    *("I attached what I need", "please proceed", "take it from here", "same as always"),
)
LINES: dict[Modality, tuple[str, ...]] = {
    Modality.IMAGE: ("attached: image photo.png", "attached: image scan.jpg", "attached: image picture.webp"),
    Modality.AUDIO: ("attached: audio recording voice.wav", "attached: audio recording memo.ogg"),
}
NOISE = (0.1, 0.7)
"""Length of the noise beside a unit vector: cosines of 0.995 to 0.82, as the towers' held-out ones are."""
ATTACHED_WEIGHT = (0.08, 0.5)
"""What a picture or sound counts beside an instruction before anything is learned, perception's own value included."""
LINE_WEIGHT = 0.5
LINE_KEPT = 0.4
"""How much of the line that says what is attached belongs to the meaning: matching was measured to need it."""
CHANCE_VAGUE = 0.4
CHANCE_ONLY_ATTACHMENT = 0.3
CHANCE_TEXT_ATTACHED = 0.2
TEXT_ATTACHED_WEIGHT = 0.15
PICTURES_ASKED = 96


@dataclass(frozen=True, slots=True)
class PracticeTask:
    """Tokens as perception would make them, which row of ``meanings`` the task means, and what is attached."""

    tokens: tuple[ModalityToken, ...]
    meant: int
    line: Vector


@cache
def meanings() -> tuple[str, ...]:
    """Everything a task can mean: sentences first, then what pictures and sounds show."""
    shown = [one.caption for one in scenes.compositions()[:: len(scenes.compositions()) // PICTURES_ASKED]]
    return (*sentences.sentences(), *shown, *SIMPLE_KINDS, *SOUNDS)


class Practice:
    """Draws tasks. ``held_out`` ones use instructions and sentences that training ones never do."""

    def __init__(self, vectors: dict[str, Vector], *, held_out: bool) -> None:
        """``vectors``: the text vector of every text of ``texts()``."""
        self._vectors = vectors
        self._vague = VAGUE_HELD_OUT if held_out else VAGUE
        said = sentences.split()[held_out]
        numbers = {text: number for number, text in enumerate(meanings())}
        self._said = [numbers[text] for text in said]
        self._shown = list(range(len(sentences.sentences()), len(meanings())))

    def task(self, rng: np.random.Generator) -> PracticeTask:
        """One task."""
        modality = Modality.IMAGE if rng.random() < 0.5 else Modality.AUDIO
        # People speak requests; pictures show things. Either may be beside the point.
        pool = self._said if modality is Modality.AUDIO and rng.random() < 0.7 else self._shown
        shown = int(rng.choice(pool))
        kind = rng.random()
        alone = kind < CHANCE_ONLY_ATTACHMENT
        line = self._vectors[str(rng.choice(LINES[modality]))]
        weight = 1.0 if alone else float(rng.uniform(*ATTACHED_WEIGHT))
        tokens = [
            ModalityToken(Modality.TEXT, line, LINE_WEIGHT),
            ModalityToken(modality, _noisy(self.meaning(shown), rng), weight),
        ]
        if rng.random() < CHANCE_TEXT_ATTACHED:
            beside = self.meaning(int(rng.choice(self._said)))
            tokens.append(ModalityToken(Modality.TEXT, beside, TEXT_ATTACHED_WEIGHT))
        if alone:
            return PracticeTask(tuple(tokens), shown, line)
        vague = kind < CHANCE_ONLY_ATTACHMENT + CHANCE_VAGUE
        meant = shown if vague else int(rng.choice(self._said))
        instruction = self._vectors[str(rng.choice(self._vague))] if vague else self.meaning(meant)
        return PracticeTask((ModalityToken(Modality.TEXT, instruction, 1.0), *tokens), meant, line)

    def meaning(self, number: int) -> Vector:
        """(dimension,) float32, the text vector of a row of ``meanings``."""
        return self._vectors[meanings()[number]]


def texts() -> list[str]:
    """Every text whose vector practice needs."""
    return [*meanings(), *VAGUE, *VAGUE_HELD_OUT, *(line for lines in LINES.values() for line in lines)]


def _noisy(vector: Vector, rng: np.random.Generator) -> Vector:
    noise = rng.normal(size=vector.shape)
    mixed = vector + noise / np.linalg.norm(noise) * rng.uniform(*NOISE)
    return np.asarray(mixed / np.linalg.norm(mixed), dtype=np.float32)


def padded(tasks: Sequence[PracticeTask], modalities: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Two arrays, (tasks, tokens, …): vectors with the share last, 0 where there is no token; and modality numbers."""
    most = max(len(task.tokens) for task in tasks)
    rows = np.zeros((len(tasks), most, len(tasks[0].tokens[0].vector) + 1), dtype=np.float32)
    kinds = np.zeros((len(tasks), most), dtype=np.int64)
    for row, task in enumerate(tasks):
        total = sum(token.weight for token in task.tokens)
        for column, token in enumerate(task.tokens):
            rows[row, column] = (*token.vector, token.weight / total)
            kinds[row, column] = modalities.index(token.modality.value)
    return rows, kinds
