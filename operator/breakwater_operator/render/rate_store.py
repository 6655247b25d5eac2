"""With what pods open the store of shared rates: taken from the platform's Secret, and kept."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakwater_contract.names import KEYS_DIRECTORY
from breakwater_contract.shared_rates import RateStore, SharedRates, StoreTls
from breakwater_operator.api.errors import NotReadyError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import PlatformRates
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render.manifest import Live

PASSWORD_FILE = ".rates-password"  # noqa: S105 (the name of a file)
USERNAME_FILE = ".rates-username"
AUTHORITY_FILE = ".rates-ca.crt"
SOURCE = {PASSWORD_FILE: "password", USERNAME_FILE: "username", AUTHORITY_FILE: "ca.crt"}
"""What pods mount, and which entry of the Secret it is."""


@dataclass(frozen=True)
class StoreCredentials:
    """What opens the store. Its text shows nothing."""

    files: Mapping[str, bytes] = field(repr=False)
    """By the name of the file; empty where there has never been any."""
    wait: NotReadyError | None = None
    """What is wrong with the Secret, if something is."""


NOTHING = StoreCredentials({})


def resolve(
    server: McpServer, rates: PlatformRates | None, source: Live | None, copy: Live | None
) -> StoreCredentials:
    """Decide with what pods open the store now.

    Args:
        server: The server.
        rates: What the platform says of the store.
        source: The Secret that it names, in the server's namespace; None where there is none.
        copy: The Secret `<name>-live` as it is; None where there is none.
    """
    if rates is None or rates.secret_name is None:
        return NOTHING
    found = _read(source, SOURCE)
    if PASSWORD_FILE in found:
        return StoreCredentials(found)
    held = _read(copy, dict(zip(SOURCE, SOURCE, strict=True)))
    what = "does not exist" if source is None else "has no entry `password`"
    after = "pods keep what they have" if held else f"until then {rates.when_away} holds"
    return StoreCredentials(
        held,
        NotReadyError(
            Reason.RATES_SECRET_MISSING,
            f"Secret {server.namespace}/{rates.secret_name} {what}; whoever runs the platform "
            "creates it in each namespace with servers, or removes sharedRates.secretName "
            f"({after})",
        ),
    )


def settings(rates: PlatformRates, credentials: StoreCredentials) -> SharedRates:
    """Write down for the runtime where the store is and what opens it."""
    files = credentials.files
    authority = f"{KEYS_DIRECTORY}/{AUTHORITY_FILE}" if AUTHORITY_FILE in files else None
    username = files.get(USERNAME_FILE, b"").decode(errors="replace").strip()
    return SharedRates(
        **{name: getattr(rates, name) for name in RateStore.model_fields},
        username=username or None,
        password_file=f"{KEYS_DIRECTORY}/{PASSWORD_FILE}" if PASSWORD_FILE in files else None,
        tls=StoreTls(ca_file=authority) if rates.tls else None,
    )


def _read(secret: Live | None, entries: Mapping[str, str]) -> dict[str, bytes]:
    data = (secret or {}).get("data") or {}
    try:
        found = {
            file: base64.b64decode(data[entry]) for file, entry in entries.items() if entry in data
        }
    except binascii.Error:
        return {}
    return {file: content for file, content in found.items() if content.strip()}
