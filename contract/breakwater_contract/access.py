"""Who may use a server, from where, and what: the settings under `access`."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from breakwater_contract.model import Model
from breakwater_contract.names import CLUSTER_ISSUER
from breakwater_contract.networks import Cidr
from breakwater_contract.rules import atomic, list_map, rule, rules
from breakwater_contract.shapes import Shape, matches
from breakwater_contract.units import Duration

HOST = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])"
LOCAL = r"http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
URL = rf"^(https://[-.:%\[\]A-Za-z0-9_~]+|{LOCAL})(/[!$-;=@A-Z_a-z~]*)?$"
"""HTTPS, or plain HTTP to the machine itself."""
LEAP = r"(2[0-9](0[48]|[2468][048]|[13579][26])|2[048]00)"
MOMENT = (
    r"^(2[0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"
    rf"02-(0[1-9]|1[0-9]|2[0-8]))|{LEAP}-02-29)"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9]))?$"
)

ORIGIN_SHAPE = (
    "write an origin as browsers send it: a scheme and a host in lower case, a port only where it "
    "is not the scheme's own, no path, as in https://chat.example"
)
HOST_SHAPE = "write a host name in lower case, with a port or without, as in mcp.example"
URL_SHAPE = "write an https URL without query, fragment and credentials, as in https://id.example"
SCOPE_SHAPE = "write a scope without spaces, quotes and backslashes, as in crm.read"
PEM_SHAPE = (
    "write certificates in PEM, each from its line -----BEGIN CERTIFICATE----- on, and not in "
    "base64 once more"
)
POLICY_NAME_SHAPE = "write lower-case letters, digits and '-', as in readers"
MOMENT_SHAPE = "write a date as in 2027-01-31, or a time with its offset as in 2027-01-31T18:00:00Z"
ONE_END = "write permissive or insecureAnonymous, not both: one has an end"
ABOUT_NOTHING = 'a policy is about tools, resources or prompts; write tools: ["*"] for all tools'
DENY_BY_SCOPE = "scopes are for Allow; remove them to deny to all, or write effect: Allow"

POLICIES_MAX = 20_000
"""How many policies a settings file may have; an McpServer has room for fewer."""

Origin = Annotated[str, Shape(rf"^https?://{HOST}(:[0-9]{{1,5}})?$", 300, ORIGIN_SHAPE)]
HostName = Annotated[str, Shape(rf"^{HOST}(:[0-9]{{1,5}})?$", 300, HOST_SHAPE)]
Url = Annotated[str, Shape(URL, 512, URL_SHAPE)]
Scope = Annotated[str, Shape(r"^[!#-\[\]-~]+$", 128, SCOPE_SHAPE)]
PolicyName = Annotated[str, Shape(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63, POLICY_NAME_SHAPE)]
Audience = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Pem = Annotated[str, Shape(r"^[\s\S]*-----BEGIN CERTIFICATE-----[\s\S]*$", 65536, PEM_SHAPE)]

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""Signatures with a private and a public key. Those with a shared secret are not on offer: who can
verify them can make them."""


def moment(text: str) -> datetime:
    """Read a date or a time with an offset.

    Raises:
        ValueError: It is neither.
    """
    if not matches(MOMENT, text):
        raise ValueError(f"{text}: {MOMENT_SHAPE}")
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


Instant = Annotated[str, Shape(MOMENT, 40, MOMENT_SHAPE)]


class JwtIssuer(Model):
    """Tokens of an OAuth issuer, verified here."""

    issuer: Url
    """Who makes the tokens, exactly as their `iss` claim says it."""
    audiences: Annotated[tuple[Audience, ...], atomic(16, least=1)]
    """What tokens must be for: one of these stands in their `aud` claim."""
    algorithms: Annotated[tuple[Algorithm, ...], atomic(10, least=1)] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """Signatures that are accepted; absent: RS256, PS256, ES256 and EdDSA."""
    jwks_url: Url | None = None
    """Where the issuer's public keys are. By default the issuer's own metadata says it, and then
    they must be under the issuer's scheme, host and port."""
    ca_bundle: Pem | None = None
    """Certificates (PEM) of those who vouch for the issuer's address, in place of the public
    ones."""
    leeway: Duration = Duration("30s")
    """How far the issuer's clock and ours may be apart."""
    principal_claim: Annotated[str, StringConstraints(min_length=1, max_length=128)] = "sub"
    """The claim that says who the caller is; its value with `jwt:` before it is the principal."""
    scopes: Annotated[tuple[Scope, ...], atomic(64)] = ()
    """What every token must have been granted."""


class Jwt(JwtIssuer):
    """Tokens of an OAuth issuer, as the runtime has to be told of it."""

    ca_file: Path | None = None
    """A file with such certificates instead; a relative path is relative to the settings file."""

    @model_validator(mode="after")
    def _one_bundle(self) -> "Jwt":
        if self.ca_bundle is not None and self.ca_file is not None:
            raise ValueError("write caBundle (the certificates) or caFile (their file), not both")
        return self

    @property
    def authorities(self) -> str | None:
        """The certificates, or the file that they are in; None: the public ones."""
        return self.ca_bundle or self.ca_file


class ServiceAccountTokens(Model):
    """Tokens that Kubernetes makes for service accounts, verified here."""

    audience: Audience
    """What tokens must be for: a pod asks for it in the `audience` of its projected volume."""


class ServiceAccounts(ServiceAccountTokens):
    """The same, with what has to be known of the cluster."""

    issuer: Annotated[str, StringConstraints(min_length=1, max_length=512)] = CLUSTER_ISSUER
    """Who makes them: the API server's `--service-account-issuer`."""
    jwks: Annotated[str, StringConstraints(min_length=2, max_length=262144)] | None = None
    """The cluster's public keys (`kubectl get --raw /openid/v1/jwks`), as JSON."""
    jwks_file: Path | None = None
    """Their file instead; a relative path is relative to the settings file."""

    @model_validator(mode="after")
    def _one_key_set(self) -> "ServiceAccounts":
        if (self.jwks is None) == (self.jwks_file is None):
            raise ValueError(
                "write exactly one of jwks (the public keys) and jwksFile (their file)"
            )
        return self


class Policy(Model):
    """One rule about who may use what. Names may contain `*`, which stands for any characters."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                " || ".join(
                    f"(has(self.{kind}) && size(self.{kind}) > 0)"
                    for kind in ("tools", "resources", "prompts")
                ),
                ABOUT_NOTHING,
            ),
            rule(
                "self.effect != 'Deny' || !has(self.scopes) || size(self.scopes) == 0",
                DENY_BY_SCOPE,
                ".scopes",
            ),
        )
    )

    name: PolicyName
    """What denials and the audit log call it."""
    effect: Literal["Allow", "Deny"]
    """Whether it allows or forbids. What any policy forbids is forbidden, whatever others allow."""
    principals: Annotated[tuple[Pattern, ...], atomic(256, least=1)]
    """Whom it is about."""
    scopes: Annotated[tuple[Scope, ...], atomic(64)] = ()
    """Scopes that the caller's token must all have for it to allow something. Keys and service
    accounts have none."""
    tools: Annotated[tuple[Pattern, ...], atomic(256)] = ()
    """Tools that it is about."""
    resources: Annotated[tuple[Pattern, ...], atomic(256)] = ()
    """Resources that it is about, by URI."""
    prompts: Annotated[tuple[Pattern, ...], atomic(256)] = ()
    """Prompts that it is about."""
    backends: Annotated[tuple[Pattern, ...], atomic(64, least=1)] = ("*",)
    """Backends that it is about; absent: all."""

    @model_validator(mode="after")
    def _means_something(self) -> "Policy":
        if not (self.tools or self.resources or self.prompts):
            raise ValueError(f"{self.name}: {ABOUT_NOTHING}")
        if self.effect == "Deny" and self.scopes:
            raise ValueError(f"{self.name}: {DENY_BY_SCOPE}")
        return self


class Addresses(Model):
    """From where requests may come."""

    allow: Annotated[tuple[Cidr, ...], atomic(256)] = ()
    """Networks that requests may come from; empty: any."""
    deny: Annotated[tuple[Cidr, ...], atomic(256)] = ()
    """Networks that they may not come from, whatever `allow` says."""
    trusted_proxies: Annotated[tuple[Cidr, ...], atomic(64)] = ()
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


class AccessRules(Model):
    """Who may use the server, from where, and what: all that is written alike everywhere."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.permissive) || !has(self.insecureAnonymous) || !self.insecureAnonymous",
                ONE_END,
            )
        )
    )

    origins: Annotated[tuple[Origin, ...], atomic(64)] = ()
    """Web origins whose pages may call, each exactly as browsers send it, such as
    `https://chat.example`: lower case, no path, no default port. Requests of other pages are
    refused; callers that are no browsers send no origin and are not concerned."""
    hosts: Annotated[tuple[HostName, ...], atomic(64)] = ()
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
    policies: Annotated[
        tuple[Policy, ...], Field(max_length=256, json_schema_extra=list_map("name"))
    ] = ()
    """Who may use which tools, resources and prompts. Without any policy everybody who is let in
    may use everything; with one, nobody may use what none allows."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.insecure_anonymous and self.permissive:
            raise ValueError(ONE_END)
        return self

    @model_validator(mode="after")
    def _policy_names_differ(self) -> Self:
        seen = set()
        for policy in self.policies:
            if policy.name in seen:
                raise ValueError(f"two policies are called {policy.name}")
            seen.add(policy.name)
        return self


class Access(AccessRules):
    """Who may use the server, from where, and what, as the runtime is told."""

    policies: Annotated[tuple[Policy, ...], Field(max_length=POLICIES_MAX)] = ()
    """Who may use which tools, resources and prompts. Without any policy everybody who is let in
    may use everything; with one, nobody may use what none allows."""
    jwt: Jwt | None = None
    """OAuth: tokens of an issuer, sent as `Authorization: Bearer`."""
    service_accounts: ServiceAccounts | None = None
    """Workloads of this cluster, by tokens of their service accounts."""

    @property
    def scopes_known(self) -> frozenset[str]:
        """Every scope that a token may need here."""
        asked = {scope for policy in self.policies for scope in policy.scopes}
        return frozenset(asked | set(self.jwt.scopes if self.jwt else ()))

    @model_validator(mode="after")
    def _issuers_differ(self) -> "Access":
        if self.jwt and self.service_accounts and self.jwt.issuer == self.service_accounts.issuer:
            raise ValueError(
                f"jwt.issuer and serviceAccounts.issuer are both {self.jwt.issuer}; "
                "write the cluster's issuer under serviceAccounts only"
            )
        return self
