"""Who may use a server: what a user writes under `spec.access`.

All but a few words are the runtime's own settings, so that an option is written once.
"""

from typing import Annotated

from breakwater_contract.access import Access as RuntimeAccess
from breakwater_contract.access import (
    AccessRules,
    Jwt,
    JwtIssuer,
    ServiceAccounts,
    ServiceAccountTokens,
)
from breakwater_contract.model import Model
from breakwater_contract.rules import atomic
from breakwater_operator.api.fields import DnsSubdomain
from breakwater_operator.api.network import Peer


class KeyAccess(Model):
    """API keys. Clients send one as `X-API-Key: KEY` or as `Authorization: Bearer KEY`."""

    secret_name: DnsSubdomain | None = None
    """A Secret in the namespace of the server: each entry is a principal, its value one key per
    line, plain or `sha256:` and the key's hash in hexadecimal, optionally followed by
    ` expires=` and a time such as 2027-01-31T00:00:00Z. Changes reach running pods within
    seconds. Absent: one key is generated, as entry `default` of the Secret
    `<name>-keys`."""
    retain: bool = False
    """Whether the generated key outlives the McpServer; one of the same name takes it up again."""


class Access(AccessRules):
    """Who may use the server. Without a valid credential every request is answered 401."""

    keys: KeyAccess = KeyAccess()
    """API keys."""
    jwt: JwtIssuer | None = None
    """OAuth: tokens of an issuer, sent as `Authorization: Bearer`."""
    service_accounts: ServiceAccountTokens | None = None
    """Workloads of this cluster, by tokens of their service accounts."""

    clients: Annotated[tuple[Peer, ...], atomic(32)] = ()
    """Pods that may connect at all, beside the platform's gateways. Absent: everybody may, for
    nobody gets further without a credential."""

    def for_runtime(self, accounts: ServiceAccounts | None) -> RuntimeAccess:
        """Say the same as the runtime is told it.

        Args:
            accounts: `service_accounts` with what has to be known of the cluster; None where that
                is not known, or nobody asks.
        """
        shared = {name: getattr(self, name) for name in AccessRules.model_fields}
        jwt = Jwt(**dict(self.jwt)) if self.jwt else None
        return RuntimeAccess(**shared, jwt=jwt, service_accounts=accounts)
