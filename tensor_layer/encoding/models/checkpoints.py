"""Finds a checkpoint's folder or file and says which version and licence it is. Used by every model here."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import xxhash

from tensor_layer.errors import EncoderUnavailable

READ_BYTES = 1 << 20
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
SHARD_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""What transformers calls the table of which tensor is in which file, where a model is in several."""
_LICENCE = re.compile(r"^licen[cs]e:\s*['\"]?([\w.\-+]+)", re.MULTILINE | re.IGNORECASE)


def find_checkpoint(name: str) -> Path:
    """The local place of ``name``: a path, ``package:<module>[/folder]``, or ``<owner>/<name>`` on the hub (cached).

    Raises EncoderUnavailable.
    """
    if name.startswith("package:"):
        return _in_package(name.removeprefix("package:"))
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise EncoderUnavailable(
            f"there is no checkpoint at {name}. Give a folder or file, package:<module>/<folder>, or <owner>/<name> on "
            "the hub"
        )
    return _from_hub(name)


def read_config(folder: Path, file_name: str = "config.json") -> dict[str, Any]:
    """A checkpoint's description. Raises EncoderUnavailable."""
    try:
        config = json.loads((folder / file_name).read_text())
    except (OSError, ValueError) as error:
        raise EncoderUnavailable(f"{folder} is no checkpoint folder: {file_name} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise EncoderUnavailable(f"{folder / file_name} does not describe a model")
    return config


def require_architecture(folder: Path, config: dict[str, Any], expected: frozenset[str]) -> None:
    """Raises EncoderUnavailable when the checkpoint is of another kind."""
    found = str(config.get("model_type"))
    if found not in expected:
        raise EncoderUnavailable(
            f"{folder} holds a model of the architecture {found!r}; this encoder loads {', '.join(sorted(expected))}"
        )


def weights_file(folder: Path) -> Path:
    """The file with the weights. Raises EncoderUnavailable."""
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise EncoderUnavailable(f"the weights are missing: {folder} holds none of {', '.join(WEIGHT_FILES)}")


def weights_files(folder: Path) -> tuple[Path, ...]:
    """All files with the weights, also of a model in shards: those that its index names. Raises EncoderUnavailable."""
    index = next((folder / name for name in SHARD_INDEXES if (folder / name).is_file()), None)
    if index is None or any((folder / name).is_file() for name in WEIGHT_FILES):
        return (weights_file(folder),)
    weight_map = read_config(folder, index.name).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise EncoderUnavailable(f"{index} names no weights: it has no weight_map")
    shards = tuple(folder / name for name in sorted({str(name) for name in weight_map.values()}))
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise EncoderUnavailable(f"the weights are missing: {folder} lacks {', '.join(missing)}, named by {index.name}")
    return shards


def version_of(*files: Path, beside: str = "") -> str:
    """The weights' own fingerprint: the same bytes are the same version wherever they came from. ``beside``: what else
    the vectors depend on. Raises EncoderUnavailable.
    """
    digest = xxhash.xxh3_64()
    for file in files:
        try:
            with file.open("rb") as weights:
                while chunk := weights.read(READ_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise EncoderUnavailable(f"the weights {file} cannot be read: {error}") from error
    digest.update(beside.encode())
    return digest.hexdigest()[:12]


def licence_of(folder: Path) -> str:
    """What the model's card says, or ``unknown``."""
    try:
        found = _LICENCE.search((folder / "README.md").read_text(errors="replace")[:4096])
    except OSError:
        return "unknown"
    return found.group(1) if found else "unknown"


def _in_package(name: str) -> Path:
    module, _, folder = name.partition("/")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise EncoderUnavailable(f"the package {module}, which is to carry the weights, is not installed")
    path = Path(spec.origin).parent / folder
    if not path.exists():
        raise EncoderUnavailable(f"the package {module} carries no {folder}")
    return path


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download  # lazy: half a second that local weights need not pay
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    # In these patterns * goes over folders too: older sentence-transformers keep the weights in 0_Transformer.
    patterns = ["*.json", "*.txt", "*.model", "README.md", "0_Transformer/*", "*_Dense/*", "model-*.safetensors"]
    patterns += WEIGHT_FILES
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise EncoderUnavailable(f"the checkpoint {name} is neither here nor can it be fetched: {error}") from error
