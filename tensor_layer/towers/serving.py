"""The shipped towers and fusion behind their ports. Called by ``wiring``; importing this imports no torch.

The first ``encode`` imports torch and reads the weights (2 to 4 MB each); constructing a model reads its card only.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.fusion.attention import AttentionFusion
from tensor_layer.fusion.mean import MeanFusion
from tensor_layer.ports import EncoderCard, Fusion, Model, Picture, Sound, Vector
from tensor_layer.towers.weights import SHIPPED, read_card, read_weights

if TYPE_CHECKING:
    from tensor_layer.towers.listening import Listener
    from tensor_layer.towers.looking import Looker

IMAGE_WEIGHTS = "image-tower.safetensors"
AUDIO_WEIGHTS = "audio-tower.safetensors"
FUSION_WEIGHTS = "fusion.safetensors"

PICTURE_TOKENS = 16
"""A picture costs as much as its last 4×4 grid of places, about as much as so many words of the text encoder."""
SAMPLES_PER_TOKEN = 1_280

Network = TypeVar("Network")


class TowerImageEncoder:
    """Implements ``ports.Model[Picture]`` with the trained image tower, on the CPU in float32."""

    def __init__(self, file: Path = SHIPPED / IMAGE_WEIGHTS, *, threads: int = 1) -> None:
        """Raises EncoderUnavailable when ``file`` is missing or no weights file."""
        self.card = tower_card(file, Modality.IMAGE)
        self._looker = _Once(lambda: _looker(file, threads))

    def tokens_of(self, content: Picture) -> int:
        """Every picture is looked at in the same size."""
        return PICTURE_TOKENS

    def encode(self, contents: Sequence[Picture]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        return self.encode_discerning(contents)[:, :-1]

    def encode_discerning(self, contents: Sequence[Picture]) -> Vector:
        """Implements ``ports.Discerning``."""
        return self._looker().discerned(contents)

    def described(self, picture: Picture) -> dict[str, tuple[str, float]]:
        """The most likely name of each concept and its probability, such as ``{"kind": ("a bar chart", 0.98)}``."""
        return self._looker().described(picture)


class TowerAudioEncoder:
    """Implements ``ports.Model[Sound]`` with the trained audio tower, on the CPU in float32."""

    def __init__(self, file: Path = SHIPPED / AUDIO_WEIGHTS, *, threads: int = 1) -> None:
        """Raises EncoderUnavailable when ``file`` is missing or no weights file."""
        self.card = tower_card(file, Modality.AUDIO)
        self._listener = _Once(lambda: _listener(file, threads))

    def tokens_of(self, content: Sound) -> int:
        """One for each 80 ms."""
        return max(len(content) // SAMPLES_PER_TOKEN, 1)

    def encode(self, contents: Sequence[Sound]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Long sounds by windows. Raises EncoderUnavailable."""
        return self.encode_discerning(contents)[:, :-1]

    def encode_discerning(self, contents: Sequence[Sound]) -> Vector:
        """Implements ``ports.Discerning``."""
        return self._listener().discerned(contents)

    def words(self, sound: Sound) -> list[tuple[str, float]]:
        """Known words and kinds of sound that are probably in the first window, with probabilities."""
        return self._listener().words(sound)


def image_model(threads: int = 1) -> Model[Picture]:
    """The shipped image tower. Raises EncoderUnavailable when its weights are missing."""
    return TowerImageEncoder(threads=threads)


def audio_model(threads: int = 1) -> Model[Sound]:
    """The shipped audio tower. Raises EncoderUnavailable when its weights are missing."""
    return TowerAudioEncoder(threads=threads)


@cache
def fusion() -> Fusion:
    """The shipped attention fusion; the parameter-free mean when no weights are there."""
    file = SHIPPED / FUSION_WEIGHTS
    return attention_fusion(file) if file.exists() else MeanFusion()


def attention_fusion(file: Path) -> AttentionFusion:
    """Fusion with the weights of a file. Raises EncoderUnavailable."""
    return AttentionFusion(read_weights(file), read_card(file).version)


def tower_card(file: Path, modality: Modality) -> EncoderCard:
    """What the weights file says of itself. Raises EncoderUnavailable."""
    said = read_card(file)
    version = EncoderVersion(name=said.name, version=said.version, dimension=said.dimension)
    return EncoderCard(version, modality, "float32", "cpu", said.licence, said.space)


class _Once(Generic[Network]):
    """Loads a network when it is first used, once, whichever thread is first."""

    def __init__(self, load: Callable[[], Network]) -> None:
        self._load = load
        self._lock = Lock()
        self._network: Network | None = None

    def __call__(self) -> Network:
        with self._lock:
            if self._network is None:
                self._network = self._load()
            return self._network


def _looker(file: Path, threads: int) -> "Looker":
    from tensor_layer.towers.looking import Looker  # lazy: torch takes seconds, and only who encodes needs it

    return Looker(file, threads)


def _listener(file: Path, threads: int) -> "Listener":
    from tensor_layer.towers.listening import Listener  # lazy, as above

    return Listener(file, threads)
