"""Who may use a server, from where, and what: the settings under `access`."""

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from breakwater_contract.model import Model
from breakwater_contract.names import CLUSTER_ISSUER
from breakwater_contract.units import Duration

HOST = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])"

Origin = Annotated[
    str, StringConstraints(pattern=rf"^https?://{HOST}(:[0-9]{{1,5}})?$", max_length=300)
]
HostName = Annotated[str, StringConstraints(pattern=rf"^{HOST}(:[0-9]{{1,5}})?$", max_length=300)]

URL = r"^(https://[^\s/?#@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?)(/[^\s?#]*)?$"
"""HTTPS, or plain HTTP to the machine itself."""

Url = Annotated[str, StringConstraints(pattern=URL, max_length=512)]
Scope = Annotated[str, StringConstraints(pattern=r"^[!#-\[\]-~]+$", max_length=128)]
Audience = Annotated[str, StringConstraints(min_length=1, max_length=512)]
PolicyName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=512)]

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Signatures with a private and a public key. Those with a shared secret are not on offer: who can
verify them can make them."""


def network(text: str) -> str:
    """Check that text names a network, and no more than that.

    Raises:
        ValueError: It does not.
    """
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; accepted: a network such as 10.0.0.0/8 or fd00::/8") from error
    return text


def moment(text: str) -> datetime:
    """Read a date or a time with an offset.

    Raises:
        ValueError: It is neither.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text} is neither a date such as 2027-01-31 nor a time") from error
    if time.tzinfo is None and len(text) > len("2027-01-31"):
        raise ValueError(f"{text} has no offset; write Z for UTC")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _is_moment(text: str) -> str:
    moment(text)
    return text


Cidr = Annotated[str, StringConstraints(min_length=2, max_length=64), AfterValidator(network)]
Instant = Annotated[str, StringConstraints(max_length=40), AfterValidator(_is_moment)]


class Jwt(Model):
    """Tokens of an OAuth issuer, verified here."""

    issuer: Url
    """Who makes the tokens, exactly as their `iss` claim says it."""
    audiences: Annotated[tuple[Audience, ...], Field(min_length=1, max_length=16)]
    """What tokens must be for: one of these stands in their `aud` claim."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1, max_length=10)] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """Signatures that are accepted."""
    jwks_url: Url | None = None
    """Where the issuer's public keys are. By default the issuer's own metadata says it, and then
    they must be under the issuer's scheme, host and port."""
    ca_file: Path | None = None
    """A file with the certificates (PEM) of those who vouch for the issuer's address, in place of
    the public ones; a relative path is relative to the settings file."""
    leeway: Duration = Duration("30s")
    """How far the issuer's clock and ours may be apart."""
    principal_claim: Annotated[str, StringConstraints(min_length=1, max_length=128)] = "sub"
    """The claim that says who the caller is; its value with `jwt:` before it is the principal."""
    scopes: Annotated[tuple[Scope, ...], Field(max_length=64)] = ()
    """What every token must have been granted."""


class ServiceAccounts(Model):
    """Tokens that Kubernetes makes for service accounts, verified here."""

    audience: Audience
    """What tokens must be for: a pod asks for it in the `audience` of its projected volume."""
    issuer: Annotated[str, StringConstraints(min_length=1, max_length=512)] = CLUSTER_ISSUER
    """Who makes them: the API server's `--service-account-issuer`."""
    jwks_file: Path
    """The file with the cluster's public keys (`kubectl get --raw /openid/v1/jwks`); a relative
    path is relative to the settings file."""


class Policy(Model):
    """One rule about who may use what. Names may contain `*`, which stands for any characters."""

    name: PolicyName
    """What denials and the audit log call it."""
    effect: Literal["Allow", "Deny"]
    """Whether it allows or forbids. What any policy forbids is forbidden, whatever others allow."""
    principals: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=256)]
    """Whom it is about."""
    scopes: Annotated[tuple[Scope, ...], Field(max_length=64)] = ()
    """Scopes that the caller's token must all have for it to allow something. Keys and service
    accounts have none."""
    tools: Annotated[tuple[Pattern, ...], Field(max_length=256)] = ()
    """Tools that it is about."""
    resources: Annotated[tuple[Pattern, ...], Field(max_length=256)] = ()
    """Resources that it is about, by URI."""
    prompts: Annotated[tuple[Pattern, ...], Field(max_length=256)] = ()
    """Prompts that it is about."""
    backends: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=64)] = ("*",)
    """Backends that it is about."""

    @model_validator(mode="after")
    def _means_something(self) -> "Policy":
        if not (self.tools or self.resources or self.prompts):
            raise ValueError(f'{self.name} is about nothing; write tools: ["*"] for all tools')
        if self.effect == "Deny" and self.scopes:
            raise ValueError(
                f"{self.name} denies by scopes, which are for Allow: deny to all, or allow to "
                "those who have the scope"
            )
        return self


class Addresses(Model):
    """From where requests may come."""

    allow: Annotated[tuple[Cidr, ...], Field(max_length=256)] = ()
    """Networks that requests may come from; empty: any."""
    deny: Annotated[tuple[Cidr, ...], Field(max_length=256)] = ()
    """Networks that they may not come from, whatever `allow` says."""
    trusted_proxies: Annotated[tuple[Cidr, ...], Field(max_length=64)] = ()
    """Networks of the proxies in front. What these say about who was in front of them is believed,
    and of nobody else."""
    forwarded: Literal["X-Forwarded-For", "Forwarded"] = "X-Forwarded-For"
    """The header in which they say it. The other one is not read: a proxy that does not write it
    passes on what the client wrote."""


class Permissive(Model):
    """Callers without a credential are let in for a while, and counted and named meanwhile."""

    until: Instant
    """When this ends: a date (its first moment, UTC) or a time such as `2027-01-31T18:00:00Z`."""

    @property
    def ends(self) -> datetime:
        """The same moment."""
        return moment(self.until)


class Access(Model):
    """Who may use the server, from where, and what."""

    origins: Annotated[tuple[Origin, ...], Field(max_length=64)] = ()
    """Web origins whose pages may call, each exactly as browsers send it, such as
    `https://chat.example`: lower case, no path, no default port. Requests of other pages are
    refused; callers that are no browsers send no origin and are not concerned."""
    hosts: Annotated[tuple[HostName, ...], Field(max_length=64)] = ()
    """Host names that requests may be for, in lower case; a name without a port is good for every
    port. Empty: any."""
    addresses: Addresses = Addresses()
    """From where requests may come, and which proxies are believed about it."""
    failures_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 300
    """Bad and missing credentials that one address may send; then it is answered 429, except with
    a credential that was good before."""
    require_https: Literal["Redirect", "Refuse"] | None = None
    """What becomes of requests that were not encrypted, here or up to a trusted proxy."""
    insecure_anonymous: bool = False
    """Let callers without a credential in, as principal `unauthenticated`. For development."""
    permissive: Permissive | None = None
    """Let them in until a date, while clients are given credentials; wrong ones stay refused."""
    public_url: Url | None = None
    """The URL of the MCP endpoint as clients write it, such as `https://mcp.example/mcp`. OAuth
    clients are told it and where to get a token (RFC 9728); without it they are told neither."""
    jwt: Jwt | None = None
    """OAuth: tokens of an issuer, sent as `Authorization: Bearer`."""
    service_accounts: ServiceAccounts | None = None
    """Workloads of this cluster, by tokens of their service accounts."""

    policies: Annotated[tuple[Policy, ...], Field(max_length=256)] = ()
    """Who may use which tools, resources and prompts. Without any policy everybody who is let in
    may use everything; with one, nobody may use what none allows."""

    @property
    def scopes_known(self) -> frozenset[str]:
        """Every scope that a token may need here."""
        asked = {scope for policy in self.policies for scope in policy.scopes}
        return frozenset(asked | set(self.jwt.scopes if self.jwt else ()))

    @model_validator(mode="after")
    def _one_way_in(self) -> "Access":
        if self.insecure_anonymous and self.permissive:
            raise ValueError("write permissive or insecureAnonymous, not both: one has an end")
        return self

    @model_validator(mode="after")
    def _policy_names_differ(self) -> "Access":
        names = [policy.name for policy in self.policies]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two policies are called {name}")
        return self

    @model_validator(mode="after")
    def _issuers_differ(self) -> "Access":
        if self.jwt and self.service_accounts and self.jwt.issuer == self.service_accounts.issuer:
            raise ValueError(
                f"jwt.issuer and serviceAccounts.issuer are both {self.jwt.issuer}; "
                "write the cluster's issuer under serviceAccounts only"
            )
        return self
