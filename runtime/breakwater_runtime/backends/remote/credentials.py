"""What a remote server is told about who asks."""

import logging
from collections.abc import Mapping
from pathlib import Path

from breakwater_contract.mcp import INVALID_REQUEST
from breakwater_contract.remote import Credential
from breakwater_runtime.backends.codec.instance import unavailable
from breakwater_runtime.backends.remote.exchange import ExchangeError, Exchanger
from breakwater_runtime.calls import Call, Request, RpcError

logger = logging.getLogger(__name__)


class FileCredential:
    """One credential for all callers, from a file that may change."""

    def __init__(self, backend: str, settings: Credential, folder: Path) -> None:
        """Read it when it is needed; it is a few bytes, and the file is in memory."""
        self._backend = backend
        self._settings = settings
        self._path = folder / settings.file
        self._known: tuple[tuple[int, int], dict[str, str]] | None = None

    async def __call__(self, _call: Call | None) -> Mapping[str, str]:
        """Make the header.

        Raises:
            RpcError: The file cannot be read, or holds no credential.
        """
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_ino)
            if self._known is None or self._known[0] != seen:
                self._known = (seen, self._header(self._path.read_text("ascii").strip()))
        except (OSError, ValueError) as error:
            logger.error(  # noqa: TRY400 - a traceback could show what is in the file
                "a credential cannot be read",
                extra={"backend": self._backend, "file": str(self._path)},
            )
            said = f"Backend {self._backend} cannot be asked: its credential cannot be read."
            raise unavailable(self._backend, said, retryable=True) from error
        return self._known[1]

    def _header(self, text: str) -> dict[str, str]:
        if not text or not text.isprintable():
            raise ValueError("no credential")
        scheme = self._settings.scheme
        return {self._settings.header.lower(): f"{scheme} {text}" if scheme else text}


class ExchangedCredential:
    """A token for each caller, made of the caller's own; for ourselves, one of our own."""

    def __init__(self, backend: str, exchanger: Exchanger) -> None:
        """Have tokens exchanged."""
        self._backend = backend
        self._exchanger = exchanger

    async def __call__(self, call: Call | None) -> Mapping[str, str]:
        """Make the header.

        Raises:
            RpcError: The caller has no token, or the issuer makes none of it.
        """
        subject = None if call is None else self._subject(call)
        try:
            token = await self._exchanger.token(subject)
        except ExchangeError as error:
            logger.warning("no token", extra={"backend": self._backend, "reason": str(error)})
            said = f"Backend {self._backend} cannot be asked: there is no token for it."
            raise unavailable(self._backend, said, retryable=error.retryable) from error
        return {"authorization": f"Bearer {token}"}

    def _subject(self, call: Call) -> str:
        request = Request.find(call.scope)
        sent = request.headers.get(b"authorization", b"") if request is not None else b""
        scheme, _, token = sent.decode("latin-1").partition(" ")
        # Keys are sent as Bearer too; only a token of an issuer has three parts.
        if scheme.lower() != "bearer" or token.count(".") != 2:
            raise RpcError(
                INVALID_REQUEST,
                f"Backend {self._backend} wants the caller's own token; a key is none.",
                {"code": "INSUFFICIENT_SCOPE", "retryable": False, "backend": self._backend},
            )
        return token.strip()
