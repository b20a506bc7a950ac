"""Where models compute: torch made importable, a device and a number format chosen, its lack of memory told apart.

Every module that needs torch with a library that may import torchvision calls ``ready`` first. Importing this module
imports no torch.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensor_layer.errors import DeviceFull, EncoderUnavailable

_kept: list[Any] = []
"""The operator library of ``ready``: torch forgets its definitions when it is collected."""

_OPERATORS = ("nms", "qnms")

_MEMORY_IS_GONE = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""What plain RuntimeErrors of the CPU's allocator, the GPU's driver and its libraries say."""


def ready(threads: int = 1) -> None:
    """Import torch for ``threads`` CPU threads. Under a CPU torch, torchvision's import fails on operators that only
    its GPU library declares ("operator torchvision::nms does not exist"), and transformers fails with it: so they are
    declared here, before anybody imports it.
    """
    import torch

    torch.set_num_threads(threads)
    if torch.version.cuda is not None or _kept or hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in _OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _kept.append(library)


def settle_thread() -> None:
    """Let this thread compute with as many threads as the process has set. Nothing happens before torch is imported.

    torch's number holds at first only for the thread that set it; any other starts with all cores (measured), and two
    of them at once with twice as many threads as there are cores.
    """
    if "torch" in sys.modules:
        import torch  # waits where another thread is still importing it

        torch.get_num_threads()  # applies it, beside telling it


def choose_device(wanted: str) -> str:
    """``auto`` is the first GPU when there is one. Raises EncoderUnavailable for a device that is not there."""
    import torch

    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise EncoderUnavailable(
            f"the device {wanted} cannot be used: {error}. Set perception.device to auto"
        ) from error
    return wanted


def choose_dtype(wanted: str, device: str) -> str:
    """``auto`` is bfloat16 on a GPU and float32 on a CPU, where the same vectors come out on every machine."""
    if wanted != "auto":
        return wanted
    return "float32" if device == "cpu" else "bfloat16"


@contextmanager
def memory_watched(device: str) -> Iterator[None]:
    """Turns torch's ways to say that memory is gone into DeviceFull, and its other failures into EncoderUnavailable."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise DeviceFull(f"{device} has no memory for this: {error}") from error
    except MemoryError as error:
        raise DeviceFull(f"{device} has no memory for this") from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _MEMORY_IS_GONE):
            raise EncoderUnavailable(f"the encoder failed on {device}: {error}") from error
        raise DeviceFull(f"{device} has no memory for this: {error}") from error
