"""What OpenTelemetry's own variables say, as variables of ours say it.

They mean something only together with a collector: platforms set some of them everywhere.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
SAMPLER = "OTEL_TRACES_SAMPLER"
SAMPLER_ARGUMENT = "OTEL_TRACES_SAMPLER_ARG"
TRACES = "OTEL_TRACES_EXPORTER"

OUR_ENDPOINT = "BREAKWATER_OTLP_ENDPOINT"
OUR_TRACING = "BREAKWATER_MONITORING_TRACING_"
OUR_PERCENT = f"{OUR_TRACING}PERCENT"

PERCENT = "10"
"""Of the ordinary traces, where nobody says how many; the default of the setting."""

SAMPLERS = ("always_on", "always_off", "traceidratio")
PARENT = "parentbased_"
"""What a client says of sampling counts for nothing here: with this before it a sampler means the
same."""


def whole(text: str) -> str:
    """Check a whole number.

    Raises:
        ValueError: It is none.
    """
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"found {text!r}; accepted: a whole number")
    return text


def _pairs(text: str) -> str:
    """Write `name=value` items as JSON.

    Raises:
        ValueError: One is something else. The message says which, and nothing of what stands there.
    """
    found = {}
    for number, item in enumerate(filter(str.strip, text.split(",")), start=1):
        name, equals, value = item.partition("=")
        if not (equals and name.strip()):
            raise ValueError(f"item {number} is not name=value")
        found[name.strip()] = unquote(value.strip())
    return json.dumps(found)


Convert = Callable[[str], str]

STAND_FOR: Mapping[str, tuple[str, str, Convert]] = {
    ENDPOINT: (OUR_ENDPOINT, "traces are made then, unless one of those below says no", str),
    "OTEL_EXPORTER_OTLP_HEADERS": ("BREAKWATER_OTLP_HEADERS", "`name=value` items", _pairs),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": ("BREAKWATER_OTLP_CA_FILE", "", str),
    "OTEL_EXPORTER_OTLP_TIMEOUT": (
        "BREAKWATER_OTLP_TIMEOUT",
        "milliseconds",
        lambda text: f"{whole(text)}ms",
    ),
    "OTEL_RESOURCE_ATTRIBUTES": ("BREAKWATER_OTLP_RESOURCE", "`name=value` items", _pairs),
}
"""What each stands for, what values look like where that differs, and how it is written as ours."""

MEANINGS: Mapping[str, str] = {
    f"{SAMPLER}`, `{SAMPLER_ARGUMENT}": f"`{OUR_PERCENT}`; {', '.join(SAMPLERS)}, with or without "
    f"{PARENT} before it. Traces with an error and slow ones are always kept, except by always_off",
    TRACES: "`none`: no traces are made",
    PROTOCOL: "`http/protobuf` is all that is spoken",
}
"""Those that stand for no single variable."""


def said(environment: Mapping[str, str], ours: Mapping[str, str]) -> Iterator["Said"]:
    """Say what they say, with every fault.

    Args:
        environment: The variables.
        ours: What variables of ours say.
    """
    given = {name: text.strip() for name, text in environment.items() if text.strip()}
    if ENDPOINT not in given and OUR_ENDPOINT not in ours:
        return
    for name, (stands_for, _, convert) in STAND_FOR.items():
        if name in given:
            yield _converted(name, stands_for, convert, given[name])
    if given.get(PROTOCOL, "http/protobuf") != "http/protobuf":
        fault = f"found {given[PROTOCOL]!r}; accepted: http/protobuf, mostly at port 4318"
        yield Said(PROTOCOL, fault=fault)
    yield from _traces(given, ours)


class Said:
    """What one of them says: a value of ours, or a fault."""

    def __init__(self, name: str, stands_for: str = "", value: str = "", fault: str = "") -> None:
        """Describe it."""
        self.name, self.stands_for, self.value, self.fault = name, stands_for, value, fault


def _converted(name: str, stands_for: str, convert: Convert, text: str) -> Said:
    try:
        return Said(name, stands_for, convert(text))
    except ValueError as error:
        return Said(name, fault=str(error))


def _traces(given: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[Said]:
    sampler = given.get(SAMPLER, "").removeprefix(PARENT)
    if given.get(TRACES) == "none" or sampler == "always_off":
        return
    if not sampler:
        is_said = any(name.startswith(OUR_TRACING) for name in ours)
        if ENDPOINT in given and not is_said:
            yield Said(ENDPOINT, OUR_PERCENT, PERCENT)
    elif sampler not in SAMPLERS:
        accepted = ", ".join(SAMPLERS)
        yield Said(SAMPLER, fault=f"found {given[SAMPLER]!r}; accepted: {accepted}")
    elif sampler == "always_on":
        yield Said(SAMPLER, OUR_PERCENT, "100")
    else:
        yield _converted(
            SAMPLER_ARGUMENT, OUR_PERCENT, _percent, given.get(SAMPLER_ARGUMENT, "1.0")
        )


def _percent(text: str) -> str:
    """Write a ratio as a percentage.

    Raises:
        ValueError: It is none, or finer than one in a hundred.
    """
    try:
        percent = Decimal(text) * 100
    except InvalidOperation:
        percent = Decimal(-1)
    if not (percent.is_finite() and 0 <= percent <= 100 and percent == int(percent)):
        raise ValueError(f"found {text!r}; accepted: 0 to 1, in steps of 0.01")
    return str(int(percent))
