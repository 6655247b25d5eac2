"""A backend that runs somewhere else: another MCP server, by its URL."""

from typing import Self

from pydantic import ConfigDict, model_validator

from breakwater_contract.model import Model
from breakwater_contract.remote import (
    ONE_CREDENTIAL,
    CredentialRules,
    RemoteRules,
    TokenExchange,
)
from breakwater_contract.rules import rule, rules
from breakwater_operator.api.fields import DataKey, DnsSubdomain


class SecretEntry(Model):
    """One entry of a Secret in the namespace of the server."""

    name: DnsSubdomain
    """Name of the Secret. While it is missing, the backend is away and the others serve."""
    key: DataKey
    """The entry of its data. A change of it reaches running pods within a minute or so."""


class RemoteCredential(CredentialRules):
    """A key or token of ours, sent with every request."""

    secret_key_ref: SecretEntry
    """Where it stands."""


class RemoteTokenExchange(TokenExchange):
    """Tokens of callers, exchanged for tokens that the server takes (RFC 8693)."""

    client_secret_key_ref: SecretEntry
    """Where the secret of the client stands."""


class RemoteBackend(RemoteRules):
    """Another MCP server, asked over the network."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!self.url.startsWith('http://') || "
                "(has(self.insecurePlainHttp) && self.insecurePlainHttp)",
                "write an https URL, or insecurePlainHttp: true",
                ".url",
            ),
            rule("!has(self.credential) || !has(self.tokenExchange)", ONE_CREDENTIAL),
        )
    )

    credential: RemoteCredential | None = None
    """A key or token for all callers."""
    token_exchange: RemoteTokenExchange | None = None
    """A token for each caller, made of the caller's own. Callers with keys are refused."""

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.credential is not None and self.token_exchange is not None:
            raise ValueError(ONE_CREDENTIAL)
        return self
