"""A small recurrent network that forecasts which tensor comes next, trained online on what was used lately.

Implements ``prefetch.Forecaster`` for sequences whose next step depends on more than the last two. One gated recurrent
unit (Cho et al. 2014, candidate as in cuDNN), truncated backpropagation over 12 steps, Adam (Kingma and Ba 2015); numpy
only. Under a millisecond a training step; `contest` decides whether it is worth that.
"""

from collections import OrderedDict, deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Slots = NDArray[np.int64]

UNITS = 32
STEPS = 12
BATCH = 8
REMEMBERED = 512
TRAIN_EVERY = 2
RATE = 0.01
CHANCE_MIN = 0.25
"""A forecast further ahead than this chance reaches is not worth computing."""


class Gru:
    """Next keys with their chances, of at most ``keys_max`` distinct keys at a time. Not thread-safe. Deterministic."""

    def __init__(self, keys_max: int = 256, seed: int = 1) -> None:
        self._rng = np.random.default_rng(seed)
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._keys: list[str | None] = [None] * keys_max
        self._seen: deque[int] = deque(maxlen=REMEMBERED)
        self._uses = 0
        self._state: Floats | None = None
        sizes = {"input": (keys_max, 3 * UNITS), "state": (UNITS, 3 * UNITS), "bias": (1, 3 * UNITS)}
        sizes |= {"output": (UNITS, keys_max), "prior": (1, keys_max)}
        total = sum(rows * columns for rows, columns in sizes.values())
        self._weights = self._rng.standard_normal(total, dtype=np.float32) / np.float32(np.sqrt(UNITS))
        self._gradient = np.zeros_like(self._weights)
        self._first, self._second = np.zeros_like(self._weights), np.zeros_like(self._weights)
        self._trained = 0
        self._w, self._g = _views(self._weights, sizes), _views(self._gradient, sizes)

    def saw(self, key: str) -> None:
        """Learn that ``key`` was used now."""
        self.remember(key)
        if self._uses % TRAIN_EVERY == 0 and len(self._seen) > 2 * STEPS:
            self._train()

    def remember(self, key: str) -> None:
        """Note a use without learning from it: microseconds."""
        self._uses += 1
        slot = self._slots.get(key)
        if slot is None:
            taken = len(self._slots)
            slot = taken if taken < len(self._keys) else self._slots.popitem(last=False)[1]
            self._slots[key], self._keys[slot] = slot, key
        self._slots.move_to_end(key)
        self._seen.append(slot)
        self._state = None

    def ahead(self, steps: int) -> list[tuple[str, float]]:
        """The likeliest next keys, nearest first, each with the chance that all so far come true."""
        if self._state is None:
            self._state = self._read()
        state = self._state
        chance, found = 1.0, []
        for _ in range(steps if self._seen else 0):
            chances = _softmax(state @ self._w["output"] + self._w["prior"])[0]
            slot = int(chances.argmax())
            key = self._keys[slot]
            chance *= float(chances[slot])
            if key is None or chance < CHANCE_MIN:
                break
            found.append((key, chance))
            state = self._step(np.array([slot]), state)[0]
        return found

    def _read(self) -> Floats:
        """The state after the last uses, (1, UNITS); from nothing, as in training."""
        state = np.zeros((1, UNITS), np.float32)
        for slot in list(self._seen)[-STEPS:]:
            state = self._step(np.array([slot]), state)[0]
        return state

    def _step(self, slots: Slots, state: Floats) -> tuple[Floats, tuple[Floats, ...]]:
        """(batch,) slots and (batch, UNITS) state to the next state, and what going back needs."""
        given = self._w["input"][slots] + self._w["bias"]
        held = state @ self._w["state"]
        gates = 1 / (1 + np.exp(-(given[:, : 2 * UNITS] + held[:, : 2 * UNITS])))
        reset, keep = gates[:, :UNITS], gates[:, UNITS:]
        new = np.tanh(given[:, 2 * UNITS :] + reset * held[:, 2 * UNITS :])
        return (1 - keep) * new + keep * state, (state, reset, keep, new, held[:, 2 * UNITS :])

    def _train(self) -> None:
        """One Adam step on a batch of windows of what was seen lately."""
        seen = np.array(self._seen)
        starts = self._rng.integers(0, seen.size - STEPS, BATCH)
        windows = seen[starts[:, None] + np.arange(STEPS + 1)]
        self._gradient.fill(0)
        self._backward(windows, *self._forward(windows))
        np.clip(self._gradient, -1, 1, out=self._gradient)
        self._trained += 1
        self._first += 0.1 * (self._gradient - self._first)
        self._second += 0.01 * (self._gradient**2 - self._second)
        rate = RATE * np.sqrt(1 - 0.99**self._trained) / (1 - 0.9**self._trained)
        self._weights -= np.float32(rate) * self._first / (np.sqrt(self._second) + np.float32(1e-6))

    def _forward(self, windows: Slots) -> tuple[list[Floats], list[tuple[Floats, ...]]]:
        state = np.zeros((len(windows), UNITS), np.float32)
        states, kept = [], []
        for number in range(STEPS):
            state, needed = self._step(windows[:, number], state)
            states.append(state)
            kept.append(needed)
        return states, kept

    def _backward(self, windows: Slots, states: list[Floats], kept: list[tuple[Floats, ...]]) -> None:
        """Add the gradient of the mean cross-entropy over all steps of all windows."""
        wrong = _softmax(np.concatenate(states) @ self._w["output"] + self._w["prior"])
        wrong[np.arange(wrong.shape[0]), windows[:, 1:].T.reshape(-1)] -= 1
        wrong /= wrong.shape[0]
        self._g["output"] += np.concatenate(states).T @ wrong
        self._g["prior"] += wrong.sum(0)
        from_outputs = (wrong @ self._w["output"].T).reshape(STEPS, len(windows), UNITS)
        onward = np.zeros_like(states[0])
        for number in reversed(range(STEPS)):
            before, reset, keep, new, held = kept[number]
            onward = onward + from_outputs[number]
            d_new = onward * (1 - keep) * (1 - new**2)
            d_keep = onward * (before - new) * keep * (1 - keep)
            d_reset = d_new * held * reset * (1 - reset)
            d_given = np.concatenate((d_reset, d_keep, d_new), axis=1)
            d_held = np.concatenate((d_reset, d_keep, d_new * reset), axis=1)
            np.add.at(self._g["input"], windows[:, number], d_given)
            self._g["bias"] += d_given.sum(0)
            self._g["state"] += before.T @ d_held
            onward = onward * keep + d_held @ self._w["state"].T


def _softmax(scores: Floats) -> Floats:
    raised: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    raised /= raised.sum(axis=1, keepdims=True)
    return raised


def _views(flat: Floats, sizes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Named matrices over one flat array, so that Adam is a handful of operations."""
    views, at = {}, 0
    for name, (rows, columns) in sizes.items():
        views[name] = flat[at : at + rows * columns].reshape(rows, columns)
        at += rows * columns
    return views
