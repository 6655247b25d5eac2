"""From a spec and its revision to manifests, one module per kind of child. Pure."""

from breakwater_operator.render.children import children, missing
from breakwater_operator.render.claims import Claim
from breakwater_operator.render.intent import Intent, Issuer
from breakwater_operator.render.manifest import Live, Manifest

__all__ = ["Claim", "Intent", "Issuer", "Live", "Manifest", "children", "missing"]
