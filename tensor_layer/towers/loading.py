"""Puts the numbers of a weights file into a network. Called by ``looking``, ``listening`` and after training."""

from pathlib import Path

import torch
from torch import nn

from tensor_layer.errors import EncoderUnavailable
from tensor_layer.towers.weights import read_weights

COUNTER = "num_batches_tracked"
"""Batch normalisation counts its training batches; inference does not read that, so it is not shipped."""


def load_arrays(module: nn.Module, file: Path) -> None:
    """Fill ``module`` from ``file`` and set it to inference. Raises EncoderUnavailable when they do not fit."""
    state = {name: torch.from_numpy(array) for name, array in read_weights(file).items()}
    state |= {name: value for name, value in module.state_dict().items() if name.endswith(COUNTER)}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise EncoderUnavailable(f"{file} holds weights of another architecture: {error}") from error
    module.eval()
