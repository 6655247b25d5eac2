"""From a spec and its revision to manifests, one module per kind of child. Pure."""

from breakwater_operator.render.children import children
from breakwater_operator.render.intent import Claim, Intent
from breakwater_operator.render.manifest import Manifest

__all__ = ["Claim", "Intent", "Manifest", "children"]
