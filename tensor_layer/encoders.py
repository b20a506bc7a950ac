"""Which encoder a setting means. Called by ``wiring``.

| setting | text | image | audio |
|---|---|---|---|
| ``shipped`` | all-MiniLM-L6-v2 | the towers ``aos-towers-1`` | the towers ``aos-towers-1`` |
| ``none`` | | no vectors | no vectors |
| ``<kind>:<checkpoint>`` | ``sentence-transformers`` | ``open_clip`` | ``whisper``, ``wav2vec2`` |

A checkpoint is a path, ``package:<module>/<folder>`` or ``<owner>/<name>`` on the hub: see
``encoding.models.checkpoints``.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tensor_layer.encoding.minilm import Dtype, MiniLm
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Model, Picture, Sound

if TYPE_CHECKING:
    from tensor_layer.encoding.models.loading import Compute

SHIPPED = "shipped"
NONE = "none"
TOWERS = "aos-towers-1"

T = TypeVar("T")


def text_model(setting: str, device: str = "auto", dtype: Dtype | None = None, prompt: str | None = None) -> Model[str]:
    """``prompt`` is put before every text; None is the checkpoint's own.

    Raises EncoderUnavailable for a setting that means nothing, or a checkpoint that is not there.
    """
    if setting in (SHIPPED, "all-MiniLM-L6-v2"):
        if prompt:
            raise EncoderUnavailable(
                "perception.text_prompt is for checkpoints; the shipped text encoder has no prompts"
            )
        return MiniLm.packaged(dtype=dtype or "float32")
    kinds = {"sentence-transformers": partial(_sentence_texts, prompt)}
    return _from_checkpoint(setting, "text", kinds, _compute(device, dtype))


def image_model(setting: str, device: str = "auto", dtype: Dtype | None = None) -> Model[Picture] | None:
    """None without an image encoder. Raises EncoderUnavailable, as above."""
    if setting in (SHIPPED, TOWERS):
        from tensor_layer.towers import serving

        return _shipped(serving.image_model, required=setting == TOWERS)
    if setting == NONE:
        return None
    return _from_checkpoint(setting, "image", {"open_clip": _open_clip}, _compute(device, dtype))


def audio_model(setting: str, device: str = "auto", dtype: Dtype | None = None) -> Model[Sound] | None:
    """None without an audio encoder. Raises EncoderUnavailable, as above."""
    if setting in (SHIPPED, TOWERS):
        from tensor_layer.towers import serving

        return _shipped(serving.audio_model, required=setting == TOWERS)
    if setting == NONE:
        return None
    kinds = {"whisper": _whisper, "wav2vec2": _wav2vec2}
    return _from_checkpoint(setting, "audio", kinds, _compute(device, dtype))


Make = Callable[[str, "Compute"], T]


def _shipped(make: Callable[[], T], *, required: bool) -> T | None:
    """The towers; a checkout without their weights perceives words only, unless they were asked for by name."""
    try:
        return make()
    except EncoderUnavailable:
        if required:
            raise
        return None


def _from_checkpoint(setting: str, modality: str, kinds: "Mapping[str, Make[T]]", compute: "Compute") -> T:
    kind, colon, name = setting.partition(":")
    if not colon or not name or kind not in kinds:
        raise EncoderUnavailable(
            f"perception.{modality} = {setting!r} means no encoder; "
            f"use {SHIPPED}, {' or '.join(f'{known}:<checkpoint>' for known in kinds)}"
        )
    return kinds[kind](name, compute)


def _compute(device: str, dtype: Dtype | None) -> "Compute":
    from tensor_layer.encoding.models.loading import Compute

    return Compute(device, dtype or "auto")


# Each import below is lazy: only who chose the encoder pays for its libraries.


def _sentence_texts(prompt: str | None, name: str, compute: "Compute") -> Model[str]:
    from tensor_layer.encoding.models.sentence_text import SentenceTexts

    return SentenceTexts(name, compute, prompt)


def _open_clip(name: str, compute: "Compute") -> Model[Picture]:
    from tensor_layer.encoding.models.open_clip_image import OpenClipImages

    return OpenClipImages(name, compute)


def _whisper(name: str, compute: "Compute") -> Model[Sound]:
    from tensor_layer.encoding.models.whisper_audio import WhisperSounds

    return WhisperSounds(name, compute)


def _wav2vec2(name: str, compute: "Compute") -> Model[Sound]:
    from tensor_layer.encoding.models.wav2vec2_audio import Wav2Vec2Sounds

    return Wav2Vec2Sounds(name, compute)
