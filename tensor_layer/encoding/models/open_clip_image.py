"""Any open_clip checkpoint's image tower (ViT, ConvNeXt …). Called by ``batching`` in its thread."""

import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.encoding.devices import memory_watched
from tensor_layer.encoding.models.checkpoints import (
    find_checkpoint,
    licence_of,
    read_config,
    version_of,
    weights_file,
)
from tensor_layer.encoding.models.loading import Compute, Once, unit_rows
from tensor_layer.encoding.pixels import FILTERS, PixelRecipe, pixels_of
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import EncoderCard, Picture, Vector

CONFIG_FILE = "open_clip_config.json"


class OpenClipImages:
    """Implements ``ports.Model`` for pictures. ``name`` is a checkpoint folder or hub name with open_clip_config.json,
    or ``<architecture>:<weights file>`` such as ``ViT-B-32:/models/vit_b_32.pt``.
    """

    def __init__(self, name: str, compute: Compute | None = None) -> None:
        compute = (compute or Compute()).settled()
        architecture, config, weights = _find(name)
        self._tokens = _tokens(config)
        self._device = compute.device
        version = EncoderVersion(
            name=f"open_clip/{_short(architecture)}", version=version_of(weights), dimension=int(config["embed_dim"])
        )
        self.card = EncoderCard(version, Modality.IMAGE, compute.dtype, compute.device, licence_of(weights.parent))
        load = partial(_load, architecture, weights, compute)
        self._network: Once[tuple[Any, PixelRecipe]] = Once(load, f"the image encoder {name}")

    reentrant: Literal[True] = True

    def tokens_of(self, content: Picture) -> int:
        """Patches and the class token: every picture becomes the same square."""
        return self._tokens

    def encode(self, contents: Sequence[Picture]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        import torch

        tower, recipe = self._network()
        pixels = torch.from_numpy(np.stack([pixels_of(picture, recipe) for picture in contents]))
        with memory_watched(self._device), torch.inference_mode():
            rows = tower(pixels.to(self._device, dtype=getattr(torch, self.card.dtype)))
            return unit_rows(rows.float().cpu().numpy())

    def recipe(self) -> PixelRecipe:
        """How this checkpoint wants its pixels. Loads the weights. Raises EncoderUnavailable."""
        return self._network()[1]


def _find(name: str) -> tuple[str, dict[str, Any], Path]:
    """What open_clip calls the model, its description, and its weights."""
    architecture, colon, file = name.partition(":")
    if colon and architecture != "package":
        return architecture, _library_config(architecture), find_checkpoint(file)
    folder = find_checkpoint(name)
    config = read_config(folder, CONFIG_FILE)
    if "embed_dim" not in config.get("model_cfg", {}):
        raise EncoderUnavailable(f"{folder / CONFIG_FILE} describes no open_clip model: it has no model_cfg.embed_dim")
    return f"local-dir:{folder}", config["model_cfg"], weights_file(folder)


def _library_config(architecture: str) -> dict[str, Any]:
    """open_clip's own description of an architecture, without importing open_clip, which takes seconds."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise EncoderUnavailable("open_clip is not installed. Install aos-gateway[models]")
    folder = Path(spec.origin).parent / "model_configs"
    if not (folder / f"{architecture}.json").is_file():
        near = sorted(file.stem for file in folder.glob(f"{architecture[:4]}*.json"))[:8]
        raise EncoderUnavailable(f"open_clip knows no architecture {architecture!r}; near it: {', '.join(near)}")
    return read_config(folder, f"{architecture}.json")


def _short(architecture: str) -> str:
    return Path(architecture.removeprefix("local-dir:")).name


def _tokens(config: dict[str, Any]) -> int:
    vision = config.get("vision_cfg", {})
    size, patch = vision.get("image_size", 224), vision.get("patch_size") or 32
    side = max(size) if isinstance(size, list | tuple) else size
    return int(side // patch) ** 2 + 1


def _load(architecture: str, weights: Path, compute: Compute) -> tuple[Any, PixelRecipe]:
    import open_clip
    import torch

    if architecture.startswith("local-dir:"):
        model = open_clip.create_model(architecture)
    else:
        model = open_clip.create_model(architecture, pretrained=str(weights))
    recipe = _recipe(open_clip.get_model_preprocess_cfg(model))
    # The text half goes: nothing here asks for it.
    return model.visual.eval().to(compute.device, dtype=getattr(torch, compute.dtype)), recipe


def _recipe(said: dict[str, Any]) -> PixelRecipe:
    size, resize, filtering = said["size"], said.get("resize_mode", "shortest"), said.get("interpolation", "bicubic")
    height, width = (size, size) if isinstance(size, int) else size
    if resize not in ("shortest", "squash") or filtering not in FILTERS:
        raise ValueError(f"it wants pictures resized by {resize} and {filtering}, which is not known here")
    return PixelRecipe(height, width, tuple(said["mean"]), tuple(said["std"]), filtering, resize)
