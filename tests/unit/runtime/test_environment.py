"""Settings by environment: which variables there are, what they say, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime.environment import opentelemetry
from breakwater_runtime.environment.names import ALIASES, REPLACED, SECRETS
from breakwater_runtime.environment.reading import Configured, read
from breakwater_runtime.environment.variables import NOT_OFFERED, variables
from breakwater_runtime.settings import SettingsError

SERVER = {"BREAKWATER_BACKEND_PYTHON_SERVER": "weather.main:mcp"}


def faults(folder: Path, **environment: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        read(SERVER | environment, folder)
    return raised.value.faults


def understood(folder: Path, **environment: str) -> Configured:
    return read(SERVER | environment, folder)


def at(settings: RuntimeSettings, *path: str | int) -> Any:
    found: Any = settings.model_dump(mode="json", by_alias=True)
    for step in path:
        found = found[step]
    return found


@pytest.mark.requirement("A11")
def test_one_variable_is_enough_to_name_a_server(tmp_path: Path) -> None:
    settings = understood(tmp_path).settings

    assert at(settings, "backends", 0, "python", "server") == "weather.main:mcp"
    assert settings.listen.host == "127.0.0.1"
    assert not at(settings, "live", "access", "insecureAnonymous")


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("BREAKWATER_LISTEN_PUBLIC_PORT", "8443", ("listen", "publicPort"), 8443),
        ("BREAKWATER_LIMITS_QUEUE_WAIT", "3s", ("live", "limits", "queue", "wait"), "3s"),
        (
            "BREAKWATER_ACCESS_INSECURE_ANONYMOUS",
            "true",
            ("live", "access", "insecureAnonymous"),
            True,
        ),
        (
            "BREAKWATER_ACCESS_ORIGINS",
            "https://a.example, https://b.example",
            ("live", "access", "origins"),
            ["https://a.example", "https://b.example"],
        ),
        (
            "BREAKWATER_ACCESS_ADDRESSES_DENY",
            '["192.0.2.0/24"]',
            ("live", "access", "addresses", "deny"),
            ["192.0.2.0/24"],
        ),
        (
            "BREAKWATER_LIMITS_REQUESTS_PER_MINUTE_TOOLS",
            '{"forecast": 5}',
            ("live", "limits", "requestsPerMinute", "tools"),
            {"forecast": 5},
        ),
    ],
)
def test_every_kind_of_value_can_be_written(
    tmp_path: Path, name: str, text: str, path: tuple[str, ...], value: object
) -> None:
    assert at(understood(tmp_path, **{name: text}).settings, *path) == value


@pytest.mark.requirement("A11")
def test_every_leaf_of_the_settings_has_a_variable_of_its_own() -> None:
    names = [variable.name for variable in variables()]
    secret = {name + suffix for name in SECRETS for suffix in ("", "_FILE")}

    paths = {tuple(step for step in each.path if step != 0) for each in variables()}

    assert len(names) == len(set(names))
    # This one leaf is the file form of the secret beside it.
    assert set(names) & secret == {"BREAKWATER_ADMIN_KEY_FILE"}
    missing = leaves(RuntimeSettings.model_json_schema(by_alias=True)) - paths - NOT_OFFERED
    assert not missing


def leaves(schema: dict[str, Any]) -> set[tuple[str | int, ...]]:
    """Collect the leaves that the JSON schema names, which knows nothing of our own walk."""
    found: set[tuple[str | int, ...]] = set()

    def walk(part: dict[str, Any], path: tuple[str, ...]) -> None:
        for member in part.get("anyOf", [part]):
            if "$ref" in member:
                walk(schema["$defs"][member["$ref"].rpartition("/")[2]], path)
            elif "properties" in member:
                for name, inner in member["properties"].items():
                    walk(inner, (*path, name))
            elif member != {"type": "null"}:
                found.add(path)

    walk(schema, ())
    return found


@pytest.mark.requirement("A11")
@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        (
            "ALLOWED_ORIGINS",
            "https://a.example",
            ("live", "access", "origins"),
            ["https://a.example"],
        ),
        ("RATE_LIMIT", "120", ("live", "limits", "requestsPerMinute", "principal"), 120),
        ("GATEWAY_HOST", "0.0.0.0", ("listen", "host"), "0.0.0.0"),
        ("GATEWAY_PORT", "9000", ("listen", "publicPort"), 9000),
        ("OTEL_SERVICE_NAME", "weather", ("server", "name"), "weather"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://collector.example:4318",
            ("live", "otlp", "endpoint"),
            "http://collector.example:4318",
        ),
        ("HEARTBEAT_MS", "15000", ("live", "limits", "timeouts", "heartbeat"), "15s"),
        ("MAX_RESPONSE_SIZE_KB", "512", ("live", "limits", "responses", "max"), "512Ki"),
    ],
)
def test_older_names_say_the_same(
    tmp_path: Path, name: str, text: str, path: tuple[str, ...], value: object
) -> None:
    assert at(understood(tmp_path, **{name: text}).settings, *path) == value


def test_every_older_name_stands_for_a_variable_that_exists() -> None:
    known = {variable.name for variable in variables()} | SECRETS.keys()

    assert {alias.stands_for for alias in ALIASES.values()} <= known
    assert {stands_for for stands_for, _, _ in opentelemetry.STAND_FOR.values()} <= known
    assert opentelemetry.OUR_PERCENT in known


COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}


@pytest.mark.requirement("A11", "T9")
@pytest.mark.parametrize(
    ("more", "percent"),
    [
        pytest.param({}, 10, id="nothing"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, 10, id="otlp"),
        pytest.param({"OTEL_TRACES_EXPORTER": "none"}, None, id="none"),
        pytest.param({"OTEL_TRACES_SAMPLER": "always_off"}, None, id="off"),
        pytest.param({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, 100, id="on"),
        pytest.param({"OTEL_TRACES_SAMPLER": "traceidratio"}, 100, id="ratio-without-number"),
        pytest.param(
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.29"},
            29,
            id="ratio",
        ),
        pytest.param({"OTEL_TRACES_SAMPLER": ""}, 10, id="empty"),
        pytest.param({"BREAKWATER_MONITORING_TRACING_PERCENT": "7"}, 7, id="ours"),
    ],
)
def test_a_collector_gets_traces_as_opentelemetrys_variables_say(
    tmp_path: Path, more: dict[str, str], percent: int | None
) -> None:
    live = understood(tmp_path, **COLLECTOR, **more).settings.live

    assert live is not None
    tracing = live.monitoring.tracing
    assert (None if tracing is None else tracing.percent) == percent


@pytest.mark.requirement("A11", "T9")
def test_headers_and_attributes_are_written_as_opentelemetry_has_them(tmp_path: Path) -> None:
    settings = understood(
        tmp_path,
        **COLLECTOR,
        OTEL_EXPORTER_OTLP_HEADERS="x-api-key=a%3Db, ,x-team = blue",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    ).settings

    assert at(settings, "live", "otlp", "headers") == {"x-api-key": "a=b", "x-team": "blue"}
    assert at(settings, "live", "otlp", "resource") == {"deployment.environment.name": "test"}


def test_opentelemetrys_variables_mean_nothing_without_a_collector(tmp_path: Path) -> None:
    settings = understood(
        tmp_path,
        OTEL_RESOURCE_ATTRIBUTES="a=b",
        OTEL_EXPORTER_OTLP_TIMEOUT="soon",
        OTEL_TRACES_SAMPLER="made_up",
    ).settings

    assert at(settings, "live", "otlp") is None


@pytest.mark.requirement("W5")
@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "found 'grpc'; accepted: http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=1,sesame", "item 2 is not name=value"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "found 'soon'; accepted: a whole number"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "found 'jaeger_remote'; accepted: always_on"),
        ("BREAKWATER_OTLP_ENDPOINT", "http://other.example", "stands for BREAKWATER_OTLP_ENDP"),
    ],
)
def test_what_they_say_wrong_is_refused(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    (fault,) = faults(tmp_path, **COLLECTOR, **{name: text})

    said = COLLECTOR.keys() if name.startswith("BREAKWATER") else [name]
    assert any(fault.startswith(f"{each}: {expected}") for each in said), fault
    assert "sesame" not in fault


@pytest.mark.parametrize("text", ["2", "-0.1", "half", "0.001", "NaN", "Infinity"])
def test_a_ratio_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": text}

    (fault,) = faults(tmp_path, **COLLECTOR, **sampler)

    assert fault.startswith(f"OTEL_TRACES_SAMPLER_ARG: found {text!r}; accepted: 0 to 1")


@pytest.mark.parametrize("name", REPLACED)
def test_an_older_name_that_cannot_be_taken_over_is_refused_with_what_to_write(
    tmp_path: Path, name: str
) -> None:
    (fault,) = faults(tmp_path, **{name: "x"})

    assert fault.startswith(f"{name}: is not read; ")
    assert "BREAKWATER_" in fault


def test_two_names_for_one_thing_may_agree(tmp_path: Path) -> None:
    same = {"GATEWAY_PORT": "9000", "BREAKWATER_LISTEN_PUBLIC_PORT": "9000"}

    assert understood(tmp_path, **same).settings.listen.public_port == 9000


@pytest.mark.requirement("A11", "W5")
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param(
            {"BREAKWATER_LISTEN_PORT": "1"},
            "BREAKWATER_LISTEN_PORT: no such variable; did you mean",
            id="misspelt",
        ),
        pytest.param(
            {"GATEWAY_PORT": "9000", "BREAKWATER_LISTEN_PUBLIC_PORT": "9001"},
            "GATEWAY_PORT: stands for BREAKWATER_LISTEN_PUBLIC_PORT, which is set to something",
            id="conflict",
        ),
        pytest.param(
            {"BREAKWATER_KEY": "a", "BREAKWATER_KEY_FILE": "b"},
            "BREAKWATER_KEY: BREAKWATER_KEY_FILE is set as well; keep one of them",
            id="value-and-file",
        ),
        pytest.param(
            {"BREAKWATER_KEY": " "},
            "BREAKWATER_KEY: is empty; write a value, or do not set it",
            id="empty-key",
        ),
        pytest.param(
            {"HTTP_API_KEY": ""},
            "HTTP_API_KEY: is empty; write a value, or do not set it",
            id="empty-old-key",
        ),
        pytest.param(
            {"BREAKWATER_LIMITS_IN_FLIGHT": "many"},
            "BREAKWATER_LIMITS_IN_FLIGHT: found 'many'; accepted: a whole number",
            id="number",
        ),
        pytest.param(
            {"BREAKWATER_LIMITS_IN_FLIGHT": "0"},
            "BREAKWATER_LIMITS_IN_FLIGHT: found 0; input should be greater than or equal to 1",
            id="bound",
        ),
        pytest.param(
            {"BREAKWATER_ACCESS_INSECURE_ANONYMOUS": "yes"},
            "BREAKWATER_ACCESS_INSECURE_ANONYMOUS: found 'yes'; accepted: true or false",
            id="flag",
        ),
        pytest.param(
            {"BREAKWATER_ACCESS_JWT_ISSUER": "https://id.example"},
            "BREAKWATER_ACCESS_JWT_AUDIENCES: required, and not there",
            id="half-a-section",
        ),
        pytest.param(
            {"BREAKWATER_ACCESS_POLICIES": "[{]"},
            "BREAKWATER_ACCESS_POLICIES: not JSON",
            id="not-json",
        ),
        pytest.param(
            {"BREAKWATER_ACCESS_POLICIES": '[{"name": "a", "effct": "Deny"}]'},
            "BREAKWATER_ACCESS_POLICIES: [0].effct: unknown field; did you mean effect?",
            id="inside-json",
        ),
        pytest.param({"RATE_LIMIT": "5/s"}, "RATE_LIMIT: found '5/s'; accepted: ", id="old-value"),
        pytest.param(
            {"BREAKWATER_CONFIG": "missing.yaml"},
            "BREAKWATER_CONFIG: missing.yaml cannot be read: No such file",
            id="no-file",
        ),
        pytest.param(
            {"BREAKWATER_KEYS_FILE": "missing"},
            "BREAKWATER_KEYS_FILE: ",
            id="no-key-file",
        ),
        pytest.param(
            {"BREAKWATER_KEYS": "alice=one, sesame"},
            "BREAKWATER_KEYS: item 2 is not principal=key",
            id="keys",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_the_variable(
    tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    found = faults(tmp_path, **environment)

    assert any(fault.startswith(expected) for fault in found), found
    assert "sesame" not in str(found)


def test_no_server_is_refused_with_the_variables_that_name_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^BREAKWATER_BACKEND_\* \(one\), or BREAKWATER_BACK"):
        read({}, tmp_path)


@pytest.mark.requirement("A11")
def test_variables_take_the_place_of_what_the_file_says(tmp_path: Path) -> None:
    base = {
        "backends": [{"name": "main", "python": {"server": "old.main:mcp"}}],
        "live": {"limits": {"inFlight": 5, "streams": 6}},
    }
    (tmp_path / "base.json").write_text(json.dumps(base))

    configured = read(
        {"BREAKWATER_CONFIG": "base.json", "BREAKWATER_LIMITS_IN_FLIGHT": "7"}, tmp_path
    )

    assert at(configured.settings, "live", "limits", "inFlight") == 7
    assert at(configured.settings, "live", "limits", "streams") == 6
    assert configured.path == tmp_path / "base.json"


def test_a_fault_of_the_file_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("backends: []\nlive: {limits: {inFlight: 0}}\n")

    with pytest.raises(SettingsError) as raised:
        read({"BREAKWATER_CONFIG": "base.yaml"}, tmp_path)

    assert [fault.partition(": found")[0] for fault in raised.value.faults] == [
        "base.yaml: backends",
        "base.yaml: live.limits.inFlight",
    ]


@pytest.mark.requirement("A11")
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"BREAKWATER_KEY": "one"}, {"default": b"one"}),
        ({"HTTP_API_KEY": "one"}, {"default": b"one"}),
        ({"BREAKWATER_KEY_FILE": "file"}, {"default": b"in-file"}),
        ({"BREAKWATER_KEYS": "alice=one,bob=two\nbob=3=="}, {"alice": b"one", "bob": b"two\n3=="}),
        ({"AUTH_TOKENS": "one,two"}, {"token-1": b"one", "token-2": b"two"}),
    ],
)
def test_keys_come_by_value_or_by_file(
    tmp_path: Path, environment: dict[str, str], expected: dict[str, bytes]
) -> None:
    (tmp_path / "file").write_text("in-file\n")

    (source,) = understood(tmp_path, **environment).given.keys

    assert {name: lines.strip() for name, lines in source.read().items()} == expected
