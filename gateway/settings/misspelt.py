"""Variables that are close to a setting's and are none: most likely misspelt. Told at starts, and by ``aos doctor``.

One with two underscores in a row can only be meant as a setting: reading the settings refuses it. Others may begin with
AOS_ for reasons of their own, so that nothing is said of what is close to no setting.
"""

import difflib
import re
from collections.abc import Mapping

from gateway.settings.loading import CONFIG_VARIABLE, PREFIX, fields, variables

OF_OTHERS = frozenset({"AOS_AGENT_ID", "AOS_EFFECTS_FILE", "AOS_INFLUX_PASSWORD"})
"""Told to agents, read by the sample agent, read by compose.yaml."""
CLOSE = 0.75
"""Of ``difflib``'s ratio, without the prefix that all have: NATS_ULR is so close to NATS_URL, API_KEY to nothing."""
_OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)|_PORT=tcp:")
"""What a container gets for each service: one that is called aos-gateway has such variables."""


def misspelt(environ: Mapping[str, str]) -> dict[str, str]:
    """Each variable that was probably meant as a setting, with the name that was probably meant."""
    known = {CONFIG_VARIABLE, *(name for where, info in fields() for name in variables(where, info))}
    found = {}
    for name, value in environ.items():
        if not value or not name.startswith(PREFIX) or name in known | OF_OTHERS or "__" in name:
            continue
        near = difflib.get_close_matches(name.removeprefix(PREFIX), _bare(known), n=1, cutoff=CLOSE)
        if near and not _OF_KUBERNETES.search(f"{name}={value}"):
            found[name] = PREFIX + near[0]
    return found


def _bare(names: set[str]) -> list[str]:
    return sorted(name.removeprefix(PREFIX) for name in names)
