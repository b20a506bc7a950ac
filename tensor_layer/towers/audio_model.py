"""The audio tower: convolutions and attention over log-mel frames that hear words, and a head into the text space.

Like the image tower a concept bottleneck: its concepts are the words of the training sentences and the kinds of sound.
A word counts when any moment sounds like it (multiple-instance learning, pooled by log-sum-exp: Pinheiro and Collobert
2015), so neither an alignment nor CTC is needed. A small direct path adds what words alone do not say.
"""

import math

import torch
from torch import Tensor, nn

from tensor_layer.towers.frames import BANDS
from tensor_layer.towers.image_model import ConceptHead

WIDTH = 160
HEADS = 4
BLOCKS = 2
FEED_FORWARD = 480
DROPOUT = 0.1
STRIDE = 8
"""Frames of a moment: three convolutions halve the time three times."""
DIRECT_DROP = 0.5
WORD_BIAS = -4.0
"""Most words are not said: start from there."""


class AudioTower(nn.Module):
    """(batch, frames, 80) log-mel to word logits and unit vectors of the text space. ``frames`` divides by STRIDE."""

    def __init__(self, words: int, dimension: int) -> None:
        super().__init__()
        self.ears = nn.Sequential(
            nn.Conv1d(BANDS, 128, 5, 2, 2),
            nn.GELU(),
            nn.Conv1d(128, 144, 3, 2, 1),
            nn.GELU(),
            nn.Conv1d(144, WIDTH, 3, 2, 1),
        )
        block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, FEED_FORWARD, DROPOUT, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, BLOCKS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.words = nn.Linear(WIDTH, words)
        nn.init.constant_(self.words.bias, WORD_BIAS)
        self.head = ConceptHead(words, dimension)
        self.attention = nn.Linear(WIDTH, 1)
        self.direct = nn.Linear(WIDTH, dimension)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """((batch, dimension) unit rows, (batch, words) logits). ``lengths``: (batch,) filled frames."""
        vectors, heard, _, _ = self._heard(frames, lengths)
        return vectors, heard

    def listened(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """((batch, dimension) unit rows, (batch, words) logits, (batch, 2 * WIDTH) traits): traits are mean and spread
        over the moments of what the last block hears.
        """
        vectors, heard, hidden, empty = self._heard(frames, lengths)
        filled = (~empty).float()[..., None]
        count = filled.sum(1)
        mean = (hidden * filled).sum(1) / count
        spread = (((hidden - mean[:, None]) ** 2 * filled).sum(1) / count).sqrt()
        return vectors, heard, torch.cat([mean, spread], dim=1)

    def _heard(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        moments = self.ears(frames.transpose(1, 2)).transpose(1, 2)
        count = moments.shape[1]
        empty = torch.arange(count, device=frames.device) >= (lengths[:, None] + STRIDE - 1) // STRIDE
        hidden = self.blocks(moments + _positions(count), src_key_padding_mask=empty).float()
        heard = torch.logsumexp(self.words(hidden).float().masked_fill(empty[..., None], -1e4), dim=1)
        shares = self.attention(hidden).float().masked_fill(empty[..., None], -1e4).softmax(dim=1)
        direct = self.direct((hidden * shares).sum(1)).float()
        if self.training:
            # Half the time words must do alone, or sentences would be learned by heart and unseen ones lost.
            direct = direct * (torch.rand(len(direct), 1) > DIRECT_DROP)
        said = self.head.said(heard.sigmoid()) + 0.5 * direct
        return nn.functional.normalize(said, dim=-1), heard, hidden, empty


def _positions(count: int) -> Tensor:
    """(count, WIDTH): sines and cosines (Vaswani et al. 2017)."""
    steps = torch.arange(count, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10_000.0) / WIDTH))
    return torch.cat([torch.sin(steps * rates), torch.cos(steps * rates)], dim=-1)
