"""How the log of a process reads. Called at the start of each role, and of the process that mines."""

import logging
import sys
import time

from gateway.repeated_lines import CountingHandler


def configure_logging(name: str, level: str) -> None:
    """One line a record on standard error, with the time in UTC and the process's name; repetitions are counted."""
    formatter = logging.Formatter(f"%(asctime)sZ {name} %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    formatter.converter = time.gmtime
    handler = CountingHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "faststream", "watchfiles"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
