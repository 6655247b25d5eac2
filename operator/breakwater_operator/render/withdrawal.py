"""Taking keys away that left their Secret, where nobody can say what else a server should be."""

import base64

from breakwater_operator.api import names
from breakwater_operator.render.manifest import Live, Manifest
from breakwater_operator.render.metadata import Named, metadata
from breakwater_operator.render.secrets import (
    SOURCE_ANNOTATION,
    copied_from,
    key_lines,
    principals,
)


def followed(server: Named, copy: Live | None) -> str | None:
    """Name the Secret of the user that copies were made from; None where they are not.

    Args:
        server: The server.
        copy: The Secret `<name>-live` as it is; None where there is none.
    """
    source = copied_from(copy)
    return None if source == names.key_secret(server.name) else source


def withdrawn(server: Named, copy: Live, source: Live | None) -> Manifest | None:
    """Render the copies without those that left their Secret; None where none did.

    No key is added. A Secret that is gone withdraws nothing, as it does not while the manifest is
    good: it may be on its way back.

    Args:
        server: The server.
        copy: The Secret `<name>-live` as it is.
        source: The Secret that its keys were copied from; None where there is none.
    """
    if source is None:
        return None
    held, said = principals(copy), principals(source)
    left = {name: _left(held[name], said[name]) for name in held if name in said}
    if left == held:
        return None
    hidden = {name: value for name, value in copy["data"].items() if name not in held}
    visible = {name: base64.b64encode(value).decode() for name, value in left.items()}
    annotations = {SOURCE_ANNOTATION: source["metadata"]["name"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(server, names.live(server.name), annotations=annotations),
        "type": "Opaque",
        "data": dict(sorted({**hidden, **visible}.items())),
    }


def _left(held: bytes, said: bytes) -> bytes:
    """Keep of an entry what its Secret still says of the keys that were copied.

    A key that ends sooner by now does so here too.
    """
    lines, said_lines = key_lines(held), key_lines(said)
    if lines <= said_lines:
        return held
    known = {line.split()[0] for line in lines}
    kept = [line for line in sorted(said_lines) if line.split()[0] in known]
    return b"".join(line + b"\n" for line in kept)
