"""Variables beside those of the settings: keys, the base file, and the names of older systems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from breakwater_runtime.environment.opentelemetry import whole

CONFIG = "BREAKWATER_CONFIG"
"""A settings file; what variables say takes the place of what it says."""

KEY = "BREAKWATER_KEY"
KEYS = "BREAKWATER_KEYS"
ADMIN_KEY = "BREAKWATER_ADMIN_KEY"
AUTH_TOKENS = "AUTH_TOKENS"

FILE_SUFFIX = "_FILE"

SECRETS: Mapping[str, str] = {
    KEY: "One key, of the principal `default`: plain, or `sha256:` and its hash.",
    KEYS: "Keys as `principal=key`, with commas, spaces or line breaks between them.",
    ADMIN_KEY: "A key that shows the details of `/health` on the management port.",
}
"""What is never written in a settings file itself. Each can be in a file: `<NAME>_FILE` names it,
and it is read again when it changes."""


@dataclass(frozen=True)
class Alias:
    """A variable of an older system."""

    stands_for: str
    """The variable of ours."""
    accepted: str = ""
    """What values look like where that differs."""
    convert: Callable[[str], str] = str
    """Write its value as ours is written."""


ALIASES: Mapping[str, Alias] = {
    "HTTP_API_KEY": Alias(KEY),
    "ALLOWED_ORIGINS": Alias("BREAKWATER_ACCESS_ORIGINS"),
    "RATE_LIMIT": Alias(
        "BREAKWATER_LIMITS_REQUESTS_PER_MINUTE_PRINCIPAL", "requests per minute", whole
    ),
    "HEARTBEAT_MS": Alias(
        "BREAKWATER_LIMITS_TIMEOUTS_HEARTBEAT", "milliseconds", lambda text: f"{whole(text)}ms"
    ),
    "MAX_RESPONSE_SIZE_KB": Alias(
        "BREAKWATER_LIMITS_RESPONSES_MAX", "units of 1,024 bytes", lambda text: f"{whole(text)}Ki"
    ),
    "GATEWAY_HOST": Alias("BREAKWATER_LISTEN_HOST"),
    "GATEWAY_PORT": Alias("BREAKWATER_LISTEN_PUBLIC_PORT"),
    "GATEWAY_ALLOWED_ORIGINS": Alias("BREAKWATER_ACCESS_ORIGINS"),
    "OTEL_SERVICE_NAME": Alias("BREAKWATER_SERVER_NAME"),
}
"""Older names that say the same thing as a variable of ours. `AUTH_TOKENS` is read by `reading`;
those of OpenTelemetry stand in a module of their own."""

REPLACED: Mapping[str, str] = {
    "GATEWAY_MCP_CONFIG": "write the servers as BREAKWATER_BACKENDS, or in a file that "
    "BREAKWATER_CONFIG names",
    "GATEWAY_RULES": "write the rules as BREAKWATER_ACCESS_POLICIES, or in a file that "
    "BREAKWATER_CONFIG names",
    "GATEWAY_DEFAULT_AGENT": "an agent is who its key belongs to; give it a key (BREAKWATER_KEYS)",
}
"""Older names whose values cannot be taken over, and what to write. They are refused: a rule that
was written and does not hold must not go unnoticed."""
