"""What the API server says, read without what hardly anybody asks for."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from breakwater_operator.kube.errors import from_answer
from breakwater_operator.kube.kinds import POD, Kind

Object = dict[str, Any]
"""One object of the cluster, as JSON has it."""


def status(said: bytes) -> Any:
    """Read the answer to a request that failed: proxies say it in words."""
    try:
        return orjson.loads(said)
    except ValueError:
        return said.decode(errors="replace")


_STATE = re.compile(
    rb'\{"type":"(ADDED|MODIFIED)","object":\{"kind":"\w+","apiVersion":"[\w./]+","metadata":'
    rb'\{"name":"([^"\\]*)","namespace":"([^"\\]*)","uid":"([^"\\]*)","resourceVersion":"(\d+)"'
)
"""How the API server begins the event of a built-in kind."""

_CUSTOM = (
    b'{"type":"ADDED","object":{"apiVersion":',
    b'{"type":"MODIFIED","object":{"apiVersion":',
)
_CUSTOM_STATE = re.compile(rb'"resourceVersion":"(\d+)","uid":"([^"\\]*)"\},"spec":')
"""How it begins the event of a custom resource: its fields are sorted, and only metadata can end
so before a spec."""


def known(line: bytes, is_known: Callable[[str, int], bool]) -> Object | None:
    """Make a bookmark of a watched event that tells nothing new; None: it may."""
    uid, version = _state(line)
    if not version or not is_known(uid.decode(), int(version)):
        return None
    metadata = {"resourceVersion": version.decode()}
    return {"type": "BOOKMARK", "object": {"metadata": metadata}}


def _state(line: bytes) -> tuple[bytes, bytes]:
    """Read which version of which object an event tells of; nothing where that is unclear."""
    if (found := _STATE.match(line)) is not None:
        return found[4], found[5]
    if line.startswith(_CUSTOM) and (found := _CUSTOM_STATE.search(line)) is not None:
        return found[2], found[1]
    return b"", b""


def identity(line: bytes) -> Object | None:
    """Read which state of which object an event tells of; None where that is unclear."""
    if (found := _STATE.match(line)) is None:
        return None
    happened, name, namespace, uid, version = (said.decode() for said in found.groups())
    metadata = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version}
    return {"type": happened, "object": {"metadata": metadata}}


_MANAGERS = b',"managedFields":['
"""The last field of the metadata of a built-in kind: half of an object, and hardly anybody asks."""


def without_managers(said: bytes, begin: bytes = b'{"kind":') -> Any:
    """Read JSON without what says by whom fields were written.

    Args:
        said: What the API server said.
        begin: How that begins where it is of a built-in kind. Custom resources have their fields
            sorted, apiVersion first, and something after that one.
    """
    if said.find(begin, 0, 40) >= 0:
        try:
            return orjson.loads(_cut(said))
        except ValueError:
            # A name in it looks like its end.
            pass
    return orjson.loads(said)


def _cut(said: bytes) -> bytes:
    parts, at = [], 0
    while (begin := said.find(_MANAGERS, at)) >= 0 and (end := said.find(b"}]}", begin)) >= 0:
        parts.append(said[at:begin])
        at = end + 2
    return b"".join([*parts, said[at:]])


_SPEC, _STATUS = b'},"spec":{', b'},"status":{'
"""Where the metadata of a built-in kind ends, and where its spec does. Between the two, no pod has
a field called status; and what people write is a string, whose quotes are escaped."""


def _without_spec(line: bytes) -> bytes:
    begin = line.find(_SPEC)
    end = line.find(_STATUS, begin)
    return line[: begin + 1] + line[end + 1 :] if 0 <= begin < end else line


def event(kind: Kind, line: bytes) -> Object:
    """Read one event of a watch; of a pod without its spec, which is that of who made it.

    Raises:
        ApiError: The watch ended with a failure.
    """
    said = _without_spec(line) if kind == POD else line
    told: Object = without_managers(said, b'"object":{"kind":')
    if told["type"] == "ERROR":
        status = told["object"]
        raise from_answer(f"watch {kind.name}", status.get("code") or 500, status, {})
    return told
