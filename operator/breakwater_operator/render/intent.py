"""Everything that the children of one server are rendered from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from breakwater_contract.gateway import BackendTools
from breakwater_contract.settings import OperatorKey
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.names import FIRST_SLOT
from breakwater_operator.api.platform import Platform
from breakwater_operator.render.claims import Claim
from breakwater_operator.render.rate_store import NOTHING, StoreCredentials
from breakwater_operator.render.revision import Revision
from breakwater_operator.render.ring import Ring
from breakwater_operator.render.secrets import Keys
from breakwater_operator.render.serving_certificate import NONE, ServingCertificate


@dataclass(frozen=True)
class Issuer:
    """Who makes the tokens of this cluster's service accounts."""

    url: str
    """What stands in their `iss` claim."""
    jwks: str
    """Its public keys, as JSON."""


@dataclass(frozen=True)
class Intent:
    """One server as it should be, with everything resolved that needed a look at the cluster."""

    server: McpServer
    platform: Platform
    revision: Revision
    """The revision that the pods run, from `revision.current`."""
    keys: Keys
    """Who gets in, from `secrets.resolve`."""
    ring: Ring
    """What the pods share, from `ring.first` or `ring.advanced`."""
    operator_keys: tuple[OperatorKey, ...]
    """Public halves of the operator's signing keys."""
    claims: Mapping[str, Claim] = field(default_factory=dict)
    """The claims that the pods mount, by name; one that does not exist is absent."""
    issuer: Issuer | None = None
    """The cluster's; None where nobody asks or it is not known."""
    certificate: ServingCertificate = NONE
    """What pods show to clients, from `serving_certificate.resolve`."""
    rate_store: StoreCredentials = NOTHING
    """What opens the store of shared rates, from `rate_store.resolve`."""
    carried: tuple[BackendTools, ...] = ()
    """What stays said of the tools of backends that only older pods have."""
    kinds: frozenset[str] = frozenset()
    """The optional kinds that the cluster knows, by name."""
    slot: str = FIRST_SLOT
    """The slot whose pods clients reach."""
