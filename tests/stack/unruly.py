"""Python agents that misbehave on purpose. Copied beside the sample agents; each runs in a child of the worker."""

import os
import time
from pathlib import Path


def exits(invocation: dict) -> dict:
    """Ends its process in the middle of the step."""
    os._exit(3)


def slow(invocation: dict) -> dict:
    """Takes its time: notes the step id in the file that the goal names, twice, before and after ``seconds``."""
    _, path, seconds = invocation["goal"].split("|")
    with Path(path).open("a") as effects:
        effects.write(f"began {invocation['step_id']}\n")
        effects.flush()
        time.sleep(float(seconds))
        effects.write(f"ended {invocation['step_id']}\n")
    return {"outputs": [{"text": "done at last"}]}
