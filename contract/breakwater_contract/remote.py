"""Another MCP server, somewhere else: where it is, and how it is asked."""

import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from breakwater_contract.access import Audience, Path, Pem, Scope, Url
from breakwater_contract.model import Model
from breakwater_contract.networks import Cidr
from breakwater_contract.rules import atomic, rule, rules
from breakwater_contract.shapes import Shape
from breakwater_contract.units import Duration, Quantity, SomeBytes, SomeTime

REMOTE_URL = r"^https?://[-.:%\[\]A-Za-z0-9_~]+(/[!$-;=@A-Z_a-z~]*)?$"
REMOTE_URL_SHAPE = (
    "write a URL without query, fragment and credentials, as in https://mcp.example/mcp"
)
SCHEME_SHAPE = "write letters, digits and '-', as in Bearer; empty for none"
HEADER_SHAPE = "write a header's name, as in X-API-Key"

RemoteUrl = Annotated[str, Shape(REMOTE_URL, 512, REMOTE_URL_SHAPE)]
Scheme = Annotated[str, Shape(r"^[A-Za-z0-9-]*$", 32, SCHEME_SHAPE)]
HeaderName = Annotated[str, Shape(r"^[A-Za-z0-9-]+$", 64, HEADER_SHAPE)]

PLAIN_URL = (
    "it is http, and what is sent there could be read on the way; write an https URL, or "
    "insecurePlainHttp: true"
)
ONE_CREDENTIAL = "write a credential (one for all callers) or tokenExchange (one for each)"


class Breaker(Model):
    """When a server that fails is left alone."""

    failures: Annotated[int, Field(ge=1, le=1000)] = 5
    """How often in a row it has to fail: no connection, no answer in time, or a status of its
    proxies; errors that the server itself answers are answers."""
    open: Duration = Duration("10s")
    """How long nothing is sent to it then, before one request tries it again."""


class TokenExchange(Model):
    """Tokens of callers are exchanged for tokens that the server takes (RFC 8693)."""

    url: Url
    """The token endpoint of the issuer that makes them."""
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """Who we are there."""
    audience: Audience | None = None
    """What the tokens are for, as the issuer calls it."""
    scopes: Annotated[tuple[Scope, ...], atomic(64)] = ()
    """What is asked for."""


class RemoteRules(Model):
    """Another MCP server, as far as all who write settings write it alike."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!self.url.startsWith('http://') || "
                "(has(self.insecurePlainHttp) && self.insecurePlainHttp)",
                PLAIN_URL,
                ".url",
            )
        )
    )

    url: RemoteUrl
    """Its MCP endpoint."""
    insecure_plain_http: bool = False
    """Ask it over http, which everybody on the way can read and change."""
    ca_bundle: Pem | None = None
    """Certificates (PEM) of those who vouch for it, in place of the public ones."""
    addresses: Annotated[tuple[Cidr, ...], atomic(16)] = ()
    """Networks that it may be in although they are not of the Internet. Addresses of the machine,
    of the link and of clouds' metadata services only where they stand here one by one."""
    isolation: Literal["PerSession", "PerPrincipal", "Shared"] = "PerPrincipal"
    """Who shares a session with it, where it has sessions: nobody, those of one principal, or all
    callers."""
    connections: Annotated[int, Field(ge=1, le=1000)] = 64
    """How many requests may be under way at once; others wait."""
    connect: SomeTime = Duration("5s")
    """How long a connection may take, TLS with it."""
    start: SomeTime = Duration("30s")
    """How long it may take to answer the first time."""
    call: SomeTime = Duration("10m")
    """How long a call may take; then it is cancelled and answered with TIMEOUT."""
    message: SomeBytes = Quantity("16Mi")
    """The longest message that it may send."""
    breaker: Breaker = Breaker()
    """When it is left alone."""

    @property
    def host(self) -> str:
        """The name or address of its machine, without a port."""
        host = re.sub(r"^https?://|/.*$", "", self.url)
        return re.sub(r":[0-9]*$", "", host).lower()

    @model_validator(mode="after")
    def _readable_by_choice(self) -> "RemoteRules":
        if self.url.startswith("http://") and not self.insecure_plain_http:
            raise ValueError(f"{self.url}: {PLAIN_URL}")
        return self


class CredentialRules(Model):
    """How a credential is sent with every request."""

    header: HeaderName = "Authorization"
    """The header that it is sent in."""
    scheme: Scheme = "Bearer"
    """What stands before it there; empty: nothing."""


class Credential(CredentialRules):
    """What is sent with every request."""

    file: Path
    """A file with the credential; a relative path is relative to the settings file. It is read
    again when it changes."""


class Exchange(TokenExchange):
    """The same, with where the secret of the client stands."""

    client_secret_file: Path
    """A file with the secret; a relative path is relative to the settings file."""


class RemoteBackend(RemoteRules):
    """Another MCP server, by its URL."""

    ca_file: Path | None = None
    """A file with such certificates instead; a relative path is relative to the settings file."""
    credential: Credential | None = None
    """A key or token of ours."""
    token_exchange: Exchange | None = None
    """Tokens of callers, exchanged."""

    @model_validator(mode="after")
    def _one_of_each(self) -> "RemoteBackend":
        if self.ca_bundle is not None and self.ca_file is not None:
            raise ValueError("write caBundle (the certificates) or caFile (their file), not both")
        if self.credential is not None and self.token_exchange is not None:
            raise ValueError(ONE_CREDENTIAL)
        return self
