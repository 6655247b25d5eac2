"""From the variables of a process to its settings, or to every fault in them."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime.environment import keys, names, opentelemetry
from breakwater_runtime.environment.names import ALIASES, FILE_SUFFIX, REPLACED, SECRETS
from breakwater_runtime.environment.variables import (
    PREFIX,
    Kind,
    Variable,
    variable_at,
    variables,
)
from breakwater_runtime.settings import Given, Location, SettingsError, decode, path, validated

SECRET_NAMES = frozenset({names.KEY, names.KEYS, names.ADMIN_KEY, names.AUTH_TOKENS}) | {
    alias for alias, meant in ALIASES.items() if meant.stands_for in SECRETS
}
"""Variables whose values are secrets: nobody but us should read them once they are read."""

NO_KEY = (
    f"{names.KEY}: there is no key; set {names.KEY} or {names.KEY}{FILE_SUFFIX} (one key), "
    f"{names.KEYS} (principal=key,...) or {PREFIX}KEYS_DIRECTORY (a file per principal)"
)


@dataclass(frozen=True)
class Configured:
    """What the environment says."""

    settings: RuntimeSettings
    path: Path
    """Relative paths in the settings start in the folder of this."""
    given: Given


def read(environment: Mapping[str, str], folder: Path) -> Configured:
    """Read the settings of this process from its environment.

    Where BREAKWATER_CONFIG names a file, that is the base; what variables say takes its place.

    Args:
        environment: The variables.
        folder: The working directory.

    Raises:
        SettingsError: With every fault of every variable.
    """
    faults = list(_unknown(environment))
    said = _said(environment, faults)
    base, file = _base(said.pop(names.CONFIG, None), folder, faults)
    content = _merged(base, said, faults)
    tokens = environment.get(names.AUTH_TOKENS, "").strip()
    given = keys.given(said | ({names.AUTH_TOKENS: tokens} if tokens else {}), folder, faults)
    if faults:
        raise SettingsError(faults)
    if "live" not in content and "liveFile" not in content:
        content["live"] = {}
    settings = validated(RuntimeSettings, content, lambda place: _where(place, said, file))
    return Configured(settings, file or folder / "environment", given)


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Name what nobody reads: a misspelt variable must not be silently without effect."""
    known = sorted(_known())
    for name in sorted(environment):
        if name in REPLACED:
            yield f"{name}: is not read; {REPLACED[name]}"
        elif name.startswith(PREFIX) and name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            yield (
                f"{name}: no such variable; {hint}accepted are those of "
                "docs/reference/environment.md"
            )


def _known() -> set[str]:
    secret = {name + suffix for name in SECRETS for suffix in ("", FILE_SUFFIX)}
    return {variable.name for variable in variables()} | secret | {names.CONFIG}


def _said(environment: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Collect what is set, older names under ours; say where two say different things."""
    said: dict[str, str] = {}
    known = _known()
    for name, value in environment.items():
        if name not in known | ALIASES.keys() | {names.AUTH_TOKENS}:
            continue
        if not value.strip():
            faults.append(f"{name}: is empty; write a value, or do not set it")
            continue
        if name in known:
            said[name] = value
    for name in ALIASES:
        if environment.get(name, "").strip():
            _say_alias(name, environment[name], said, faults)
    for each in tuple(opentelemetry.said(environment, said)):
        if each.fault:
            faults.append(f"{each.name}: {each.fault}")
        else:
            _say_too(each.name, each.stands_for, each.value, said, faults)
    faults.extend(
        f"{name}: {name}{FILE_SUFFIX} is set as well; keep one of them"
        for name in SECRETS
        if name in said and name + FILE_SUFFIX in said
    )
    return said


def _say_alias(name: str, value: str, said: dict[str, str], faults: list[str]) -> None:
    alias = ALIASES[name]
    try:
        converted = alias.convert(value)
    except ValueError as error:
        faults.append(f"{name}: {error}")
        return
    _say_too(name, alias.stands_for, converted, said, faults)


def _say_too(
    name: str, stands_for: str, value: str, said: dict[str, str], faults: list[str]
) -> None:
    if said.setdefault(stands_for, value) != value:
        faults.append(f"{name}: stands for {stands_for}, which is set to something else; keep one")


def _base(
    config: str | None, folder: Path, faults: list[str]
) -> tuple[dict[str, Any], Path | None]:
    if config is None:
        return {}, None
    file = folder / config
    try:
        content = decode(file.read_bytes(), file.name)
    except OSError as error:
        faults.append(f"{names.CONFIG}: {config} cannot be read: {error.strerror}")
        return {}, file
    except SettingsError as error:
        faults.extend(error.faults)
        return {}, file
    if not isinstance(content, dict):
        faults.append(f"{names.CONFIG}: {config} has no settings in it")
        return {}, file
    return content, file


def _merged(base: dict[str, Any], said: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    """Put what variables say into the settings, at the places they stand for."""
    content = deepcopy(base)
    for variable in variables():
        if variable.name not in said:
            continue
        try:
            _set(content, variable.path, _value(variable, said[variable.name]))
        except ValueError as error:
            faults.append(f"{variable.name}: {error}")
    return content


def _set(content: dict[str, Any], place: Location, value: Any) -> None:
    here: Any = content
    for step, following in pairwise(place):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(here, list):
            if not here:
                here.append(empty)
            here = here[int(step)]
        else:
            if not isinstance(here.get(step), dict | list):
                here[step] = empty
            here = here[step]
    here[place[-1]] = value


def _value(variable: Variable, text: str) -> Any:
    """Read what is written, as far as the settings cannot do so themselves.

    Raises:
        ValueError: It is not written as values of its kind are.
    """
    match variable.kind:
        case Kind.FLAG:
            if text not in {"true", "false"}:
                raise ValueError(f"found {text!r}; accepted: true or false")
            return text == "true"
        case Kind.NUMBER:
            if not re.fullmatch(r"-?[0-9]{1,18}", text):
                raise ValueError(f"found {text!r}; accepted: a whole number")
            return int(text)
        case Kind.LIST if not text.lstrip().startswith("["):
            return [item.strip() for item in text.split(",") if item.strip()]
        case Kind.LIST | Kind.JSON:
            try:
                return json.loads(text)
            except ValueError as error:
                raise ValueError(f"not JSON: {error}") from error
        case _:
            return text


def _where(place: Location, said: Mapping[str, str], file: Path | None) -> str:
    """Say where something was written: in a variable, or else in the file."""
    name, rest = variable_at(place)
    if file is not None and name not in said:
        return f"{file.name}: {path(place) or 'the file'}"
    return f"{name}: {path(rest)}" if rest else name
