"""Whether a live object says what it should."""

from breakwater_operator.render.manifest import Live, Manifest


def differs(desired: Manifest, live: Live) -> bool:
    """Say whether some field of `desired` is missing or different in `live`.

    What only `live` has does not count: the API server's defaults, other managers' fields. Lists
    with a merge key are compared by it, quantities as numbers. What was added where everything
    is ours is found by `exclusive.foreign`.
    """
    raise NotImplementedError


def must_replace(desired: Manifest, live: Live) -> bool:
    """Say whether only deleting and making anew leads from `live` to `desired`.

    True for a ControllerRevision with other data, a Secret with another type, a Secret or
    ConfigMap with other data that somebody made immutable, a Deployment with another selector.
    """
    raise NotImplementedError
