"""What OAuth clients are told when their credential is missing, bad or not enough (RFC 6750)."""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from breakwater_contract.access import Access

METADATA = "/.well-known/oauth-protected-resource"


class Challenges:
    """Writes the header WWW-Authenticate by the settings of the moment."""

    def __init__(self, settings: Callable[[], Access]) -> None:
        """Ask for keys alone where the settings name no issuer."""
        self._settings = settings

    def credential(self, error: str = "") -> Mapping[str, str]:
        """Ask for a credential; `error` says what is wrong with the token that was sent."""
        access = self._settings()
        if access.jwt is None:
            return _header({})
        about = {"error": "invalid_token", "error_description": error} if error else {}
        return _header(about | {"scope": " ".join(access.jwt.scopes)} | _metadata(access))

    def scopes(self, scopes: Iterable[str]) -> Mapping[str, str]:
        """Ask for a token with all these scopes."""
        scope = " ".join(sorted(scopes))
        about = {"error": "insufficient_scope", "scope": scope}
        return _header(about | _metadata(self._settings()))


def metadata_url(public_url: str) -> str:
    """Say where the metadata of a resource is (RFC 9728, section 3.1)."""
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}{METADATA}{parts.path.rstrip('/')}"


def _metadata(access: Access) -> dict[str, str]:
    return {"resource_metadata": metadata_url(access.public_url)} if access.public_url else {}


def _header(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Write the header; no value here contains quotes or backslashes, the settings see to that."""
    written = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)
    return {"www-authenticate": f"Bearer {written}".rstrip()}
