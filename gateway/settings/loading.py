"""Reads the settings once, from ``aos.toml`` and then the environment. Called by ``gateway/cli`` and nobody else.

Written on plain pydantic rather than pydantic-settings for three things users need: every value knows where it
came from, an error names the file or variable, and a misspelt variable is refused instead of ignored.
"""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gateway.errors import SettingsInvalid
from gateway.settings.section import URL_PATTERN
from gateway.settings.sections import Settings

PREFIX = "AOS_"
CONFIG_VARIABLE = "AOS_CONFIG"
DEFAULT_FILE = Path("aos.toml")
DEFAULT = "default"
PATH_FIELDS = frozenset({("data_dir",), ("agents", "cards_dir"), ("bus", "credentials"), ("experience", "key_file")})

Where = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for every value that is not a default the file or variable it came from."""

    settings: Settings
    sources: dict[Where, str]

    def source(self, where: Where) -> str:
        """Where that value was read: a file, a variable, an option, or 'default'."""
        return self.sources.get(where, DEFAULT)


def load(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Loaded:
    """Read file, then environment, then ``overrides`` (dotted names, from command-line options; None is left out).

    Raises SettingsInvalid, naming the file, variable or option, the value and what was expected.
    """
    values: dict[Where, Any] = {}
    sources: dict[Where, str] = {}
    for where, value, source in (*_from_file(environ), *_from_environment(environ), *_from_options(overrides or {})):
        values[where] = value
        sources[where] = source
    try:
        return Loaded(Settings.model_validate(_nested(values)), sources)
    except ValidationError as error:
        raise SettingsInvalid(_explain(error, sources)) from None


def fields() -> Iterator[tuple[Where, FieldInfo]]:
    """Every single setting with its place, in the order in which it is documented."""
    for name, info in Settings.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            for inner, inner_info in section.model_fields.items():
                yield (name, inner), inner_info
        else:
            yield (name,), info


def variables(where: Where, info: FieldInfo) -> tuple[str, ...]:
    """The environment variables that set this field; the first is the one to recommend."""
    systematic = PREFIX + "__".join(part.upper() for part in where)
    extra = info.json_schema_extra
    plain = extra.get("variable") if isinstance(extra, dict) else None
    return (str(plain), systematic) if plain else (systematic,)


def _from_file(environ: Mapping[str, str]) -> Iterator[tuple[Where, Any, str]]:
    named = environ.get(CONFIG_VARIABLE)
    path = Path(named) if named else DEFAULT_FILE
    if not path.exists():
        if named:
            raise SettingsInvalid(f"{CONFIG_VARIABLE}={named}: there is no such file. Create it or unset the variable.")
        return
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"{path} cannot be read: {error}. Expected a TOML file.") from None
    for where, value in _leaves(content):
        yield where, _anchored(where, value, path), f"{path}: {'.'.join(where)}"


def _leaves(content: Mapping[str, Any]) -> Iterator[tuple[Where, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from (((name, inner), item) for inner, item in value.items())
        else:
            yield (name,), value


def _anchored(where: Where, value: Any, file: Path) -> Any:  # noqa: ANN401 - TOML values are of any type
    """A relative path in a file is relative to that file, so that it means the same from every folder."""
    return str(file.parent / value) if where in PATH_FIELDS and isinstance(value, str) else value


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[Where, Any, str]]:
    known: dict[str, Where] = {}
    for where, info in fields():
        for variable in reversed(variables(where, info)):
            known[variable] = where
            if environ.get(variable):
                yield where, environ[variable], variable
    for variable in environ:
        if variable.startswith(PREFIX) and "__" in variable and variable not in known:
            raise SettingsInvalid(f"{variable}: there is no such setting.{_nearest(variable, known)}")


def _from_options(overrides: Mapping[str, Any]) -> Iterator[tuple[Where, Any, str]]:
    for dotted, value in overrides.items():
        if value is not None:
            yield tuple(dotted.split(".")), value, "command line"


def _nested(values: Mapping[Where, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for where, value in values.items():
        if len(where) == 1:
            tree[where[0]] = value
        elif isinstance(branch := tree.setdefault(where[0], {}), dict):
            branch[where[1]] = value
    return tree


def _explain(error: ValidationError, sources: Mapping[Where, str]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        where = tuple(str(part) for part in problem["loc"][:2])
        source = sources.get(where) or sources.get(where[:1]) or ".".join(where)
        url_expected = problem.get("ctx", {}).get("pattern") == URL_PATTERN
        message = "should be a URL with its scheme, such as http://127.0.0.1:8080" if url_expected else problem["msg"]
        expected = _expectation(where, problem["type"], message)
        lines.append(f"{source} = {_shown(where, problem['input'])}: {expected}")
    return "\n".join(lines)


def _shown(where: Where, value: Any) -> str:  # noqa: ANN401 - whatever the user wrote
    secret = any(place == where and "SecretStr" in str(info.annotation) for place, info in fields())
    return "(hidden)" if secret else json.dumps(value, default=str)[:200]


def _expectation(where: Where, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        known = {".".join(place): place for place, _ in fields()}
        return f"there is no such setting.{_nearest('.'.join(where), known)}"
    described = {place: info.description for place, info in fields()}
    return f"{message[0].lower()}{message[1:]}. It means: {described.get(where) or 'a section of settings'}."


def _nearest(name: str, known: Mapping[str, Where]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else " `aos config show` lists them all."
