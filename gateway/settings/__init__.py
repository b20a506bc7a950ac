"""Settings: one frozen object, read once at the edge (``gateway/cli``) and passed on as an argument ever after.

``sections``  what can be set, with defaults and descriptions; those of ``stores`` and ``experience`` apart
``loading``   reads ``aos.toml`` and the environment; the environment wins
``misspelt``  variables that look like a setting and are none
``listing``   the rows of ``aos config show``
"""

from gateway.settings.loading import Loaded, load
from gateway.settings.sections import Settings

__all__ = ["Loaded", "Settings", "load"]
