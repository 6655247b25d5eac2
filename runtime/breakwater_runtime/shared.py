"""The folder that all processes of one server share: key ring and certificate, taken over whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from breakwater_contract.names import INTERNAL_FILES, RING_FILE
from breakwater_contract.ring import KeyRing
from breakwater_runtime.http import peer_tls
from breakwater_runtime.http.peer_tls import PeerTls
from breakwater_runtime.sealing import Ring
from breakwater_runtime.settings import SettingsError, parse


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """What the folder holds."""

    directory: Path
    content: Mapping[str, bytes]
    """Its files by name."""

    @classmethod
    def read(cls, directory: Path) -> "SharedFiles":
        """Read them.

        Raises:
            OSError: One cannot be read.
        """
        return cls(directory, {name: (directory / name).read_bytes() for name in INTERNAL_FILES})


@dataclass(frozen=True, slots=True)
class Shared:
    """What it means."""

    ring: Ring
    tls: PeerTls | None = None
    """None: there is no other process."""


def understand(files: SharedFiles) -> Shared:
    """Make ring and certificate of the files.

    Raises:
        SettingsError: Something is wrong with them.
    """
    directory = files.directory
    keys = parse(KeyRing, files.content[RING_FILE], f"{directory}/{RING_FILE}")
    try:
        tls = peer_tls.load(directory)
        # The certificate can be loaded by its path only, and kubelet may have swapped it meanwhile.
        is_same = SharedFiles.read(directory) == files
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise SettingsError(
            [f"{directory}: not a certificate, its key and the authorities to trust ({reason})"]
        ) from error
    if not is_same:
        raise SettingsError([f"{directory}: it changed while it was read"])
    return Shared(Ring(keys), tls)
