"""Requests that are not quite right: valid ones, changed at random in their bytes, headers, JSON.

The same seed makes the same input, so that a number in a report is enough to see it again.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NASTY_BYTES = [
    *(b"\x00", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b"\xff", b"\xf0\x9f\x92\xa9"),
    *(b"%00", b"%2e%2e/", b"../", b"//", b"?", b"#", b"{", b"}", b"[", b'"', b"\\u0000", b"-1"),
    *(
        b"0",
        b"9" * 20,
        b"1e999",
        b"0\r\n\r\n",
        b"chunked",
        b"A" * 5000,
        b"\x80abc",
        b"\xed\xa0\x80",
    ),
]
NASTY_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 2**53 + 1, 2**64, -(2**63), 1e308, "", "\x00", "\ud800"),
    *("a" * 10_000, "../../etc/passwd", "__proto__", "💩", [], {}, [[]], {"": None}, {"id": {}}),
    *("2026-07-28", "9999-99-99", "tools/call", "initialize", "$schema", -0.0),
]
NASTY_HEADERS = [
    *(b"Content-Length: 0", b"Content-Length: 99999999999999999999", b"Content-Length: -1"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Connection: close"),
    *(b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: Upgrade", b"Host: evil.example"),
    *(b"Origin: https://evil.example", b"Origin: null", b"X-Forwarded-For: 10.0.0.1"),
    *(b"Authorization: Basic YTpi", b"Authorization: Bearer", b"Authorization: Bearer a.b.c"),
    *(b"X-API-Key: \xff", b"MCP-Protocol-Version: 1", b"Mcp-Session-Id: \xe9", b"Accept: */*"),
    *(b"Accept: text/html", b"Content-Type: text/plain", b"Content-Encoding: gzip", b"Cookie: a=b"),
    *(b"Last-Event-ID: 1-", b"Last-Event-ID: 99999999999999999999-0", b"Mcp-Name: =?base64?%?="),
    *(b"Mcp-Method: tools/list", b"X-Request-Id: a\tb", b"traceparent: 00-0-0-0", b": empty"),
]
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"TRACE", b"CONNECT", b"M-X"]
DEEP = 100


def mutated(seeds: Sequence[bytes], seed: int) -> bytes:
    """Make the input of this number."""
    chance = random.Random(seed)
    data = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(_KINDS)(data, chance)
    return data


def _bytes(data: bytes, chance: random.Random) -> bytes:
    """Change, take out, put in or repeat some bytes."""
    at = chance.randrange(len(data) + 1)
    until = min(len(data), at + chance.choice((1, 1, 2, 8, 64)))
    match chance.randrange(5):
        case 0:
            return data[:at] + bytes([chance.randrange(256)]) + data[until:]
        case 1:
            return data[:at] + data[until:]
        case 2:
            return data[:at] + chance.choice(NASTY_BYTES) + data[at:]
        case 3:
            return data[:until] + data[at:]
        case _:
            return data[:at] or b"\x16\x03\x01"


def _headers(data: bytes, chance: random.Random) -> bytes:
    """Change the lines in front of the body."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    at = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            lines.insert(at + 1, chance.choice(NASTY_HEADERS))
        case 1:
            del lines[at]
        case 2:
            lines.insert(at, lines[at])
        case 3:
            name, _, _ = lines[at].partition(b":")
            lines[at] = name + b": " + chance.choice(NASTY_BYTES)
        case 4:
            _, _, rest = lines[0].partition(b" ")
            lines[0] = chance.choice(METHODS) + b" " + rest
        case _:
            lines.extend(
                [b"x-%d: %s" % (n, b"v" * 50) for n in range(chance.choice((5, 150, 900)))]
            )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _json(data: bytes, chance: random.Random) -> bytes:
    """Change the body's content, and say its true length."""
    head, _, body = data.partition(b"\r\n\r\n")
    try:
        content = json.loads(body)
    except ValueError:
        return _bytes(data, chance)
    made = json.dumps(_changed(content, chance)).encode()
    match chance.randrange(8):
        case 0:
            made = b"[" * DEEP + made + b"]" * DEEP
        case 1:
            made = made.replace(b"{", b'{"id": 2, ', 1)
        case 2:
            made = b"[" + b",".join([made] * chance.choice((2, 150))) + b"]"
        case _:
            pass
    lines = [each for each in head.split(b"\r\n") if not each.lower().startswith(b"content-length")]
    return b"\r\n".join([*lines, b"content-length: %d" % len(made)]) + b"\r\n\r\n" + made


def _changed(value: Any, chance: random.Random) -> Any:
    """Change one thing somewhere in a value."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        others = {name: each for name, each in value.items() if name != key}
        match chance.randrange(4):
            case 0:
                return others
            case 1:
                return others | {chance.choice(["", "x", "_meta", "params", "\x00"]): value[key]}
            case _:
                return others | {key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        return [*value[:at], _changed(value[at], chance), *value[at + 1 :]]
    return chance.choice(NASTY_VALUES)


_KINDS: list[Callable[[bytes, random.Random], bytes]] = [_bytes, _headers, _json, _json]
