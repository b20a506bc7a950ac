"""What a text checkpoint's files say before its weights are read: where they lie, how wide vectors get, which prompt is
put before a text. Read by ``sentence_text``.

A sentence-transformers folder lists its modules in ``modules.json``: a transformer, pooling, perhaps dense layers. Any
other folder is a transformer alone, whose tokens are averaged.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensor_layer.encoding.models.checkpoints import read_config, weights_file, weights_files
from tensor_layer.errors import EncoderUnavailable

MODULES_FILE = "modules.json"
PROMPTS_FILE = "config_sentence_transformers.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model")
WIDTH_KEYS = ("hidden_size", "dim", "d_model")
"""What BERT and its kin, DistilBERT and T5 call it."""
_MEAN: tuple[str, ...] = ("mean",)
_LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How folders from before sentence-transformers 5 say ``pooling_mode``."""


@dataclass(frozen=True, slots=True)
class SentenceFolder:
    """``transformer``: its folder. ``weights``: every file of them, the transformer's first. ``beside``: what makes
    vectors of the same weights differ, empty for plain averaging.
    """

    transformer: Path
    dimension: int
    weights: tuple[Path, ...]
    prompt: str
    beside: str


def sentence_folder(folder: Path, prompt: str | None = None) -> SentenceFolder:
    """``prompt`` replaces the folder's default one. Raises EncoderUnavailable where there is no text encoder."""
    modules = _modules(folder)
    transformer = folder / modules[0][1]
    dimension = _width(transformer)
    weights = [*weights_files(transformer)]
    modes, keeps_prompt = _MEAN, True
    for kind, path in modules[1:]:
        if kind == "Pooling":
            pooling = read_config(folder / path)
            modes, keeps_prompt = _modes(pooling), bool(pooling.get("include_prompt", True))
            dimension *= len(modes)
        elif kind == "Dense":
            dimension = int(read_config(folder / path)["out_features"])
            weights.append(weights_file(folder / path))
    prompt = _prompt(folder) if prompt is None else prompt
    if prompt and not keeps_prompt:
        raise EncoderUnavailable(
            f"{folder} pools without its default prompt, which is not known here: take default_prompt_name out of its "
            f'{PROMPTS_FILE}, or set perception.text_prompt to ""'
        )
    plain = modes == _MEAN and not prompt
    return SentenceFolder(transformer, dimension, tuple(weights), prompt, "" if plain else json.dumps([modes, prompt]))


def _modules(folder: Path) -> list[tuple[str, str]]:
    """(class, sub-folder) of each module, the transformer first."""
    if not (folder / MODULES_FILE).is_file():
        return [("Transformer", "")]
    try:
        said = json.loads((folder / MODULES_FILE).read_text())
        found = [(str(each["type"]).rpartition(".")[2], str(each["path"])) for each in said]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise EncoderUnavailable(f"{folder / MODULES_FILE} cannot be read: {error!r}") from error
    if not found or found[0][0] != "Transformer":
        raise EncoderUnavailable(f"{folder} holds no text encoder: {MODULES_FILE} does not begin with a Transformer")
    return found


def _width(transformer: Path) -> int:
    config = read_config(transformer)
    width = next((config[key] for key in WIDTH_KEYS if key in config), None)
    if width is None:
        raise EncoderUnavailable(
            f"{transformer} holds no text encoder: its config.json says none of {', '.join(WIDTH_KEYS)}"
        )
    if not any((transformer / name).is_file() for name in TOKENIZER_FILES):
        raise EncoderUnavailable(f"{transformer} holds no text encoder: none of {', '.join(TOKENIZER_FILES)} is there")
    return int(width)


def _modes(pooling: dict[str, Any]) -> tuple[str, ...]:
    said = pooling.get("pooling_mode")
    if said is not None:
        return (said,) if isinstance(said, str) else tuple(said)
    return tuple(mode for key, mode in _LEGACY_MODES.items() if pooling.get(key)) or _MEAN


def _prompt(folder: Path) -> str:
    if not (folder / PROMPTS_FILE).is_file():
        return ""
    said = read_config(folder, PROMPTS_FILE)
    return str((said.get("prompts") or {}).get(said.get("default_prompt_name")) or "")
