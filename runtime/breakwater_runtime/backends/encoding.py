"""JSON as backends write it."""

import json
from typing import Any

import orjson


def dumps(content: Any) -> bytes:
    """Write JSON.

    Raises:
        TypeError: It contains what JSON does not have.
    """
    try:
        return orjson.dumps(content)
    except TypeError:
        # Integers beyond 64 bits, lone surrogates, more than 254 levels.
        return json.dumps(content, separators=(",", ":")).encode()
