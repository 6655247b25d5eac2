"""What others have added where everything is ours: our containers, ports, data keys.

Server-side apply leaves fields of other managers alone, so an added variable would stay. These
patches take it away.
"""

from typing import Any

from breakwater_operator.render.manifest import Live, Manifest


def foreign(desired: Manifest, live: Live) -> list[dict[str, Any]]:
    """Give the JSON patch that removes what others added, or an empty list where nothing was.

    Begins with a `test` of the resourceVersion, since its paths contain list indexes. A subtree
    with additions is replaced as a whole, so that no state in between is invalid (a probe that
    was changed from one kind to another has none of both). To be sent before the apply, under
    the same field manager.
    """
    raise NotImplementedError
