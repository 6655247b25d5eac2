"""How many bad credentials one address may try."""

from collections import OrderedDict
from collections.abc import Callable

from breakwater_runtime.http.addresses import network_of
from breakwater_runtime.http.rate import Buckets, Verdict

KNOWN_MAX = 10_000
BLOCKED_MAX = 10_000


class Failures:
    """Slows down who guesses.

    An address that has failed too often is not listened to for a moment, except with a credential
    that was good lately: callers behind one gateway share an address, and one who guesses must not
    shut the others out. All that is remembered is bounded.
    """

    def __init__(self, per_minute: Callable[[], int], elapsed: Callable[[], float]) -> None:
        """Allow as many failures as `per_minute` says at the moment."""
        self._per_minute = per_minute
        self._elapsed = elapsed
        self._buckets = Buckets(elapsed)
        self._blocked: OrderedDict[str, tuple[float, Verdict]] = OrderedDict()
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def blocks(self, address: str, digest: bytes | None) -> Verdict | None:
        """Say for how long an address is not listened to.

        Args:
            address: Where a request comes from.
            digest: The SHA-256 of its credential; None where it has none.

        Returns:
            What to say to it; None: it is listened to.
        """
        if not self._blocked or digest in self._known:
            return None
        network = network_of(address)
        until, verdict = self._blocked.get(network, (0.0, None))
        if verdict is not None and self._elapsed() >= until:
            del self._blocked[network]
            return None
        return verdict

    def failed(self, address: str) -> Verdict | None:
        """Count a failure; return what to say to one too many."""
        network = network_of(address)
        verdict = self._buckets.take(network, self._per_minute())
        if verdict.allowed:
            return None
        self._blocked[network] = (self._elapsed() + verdict.retry_seconds, verdict)
        if len(self._blocked) > BLOCKED_MAX:
            self._blocked.popitem(last=False)
        return verdict

    def succeeded(self, digest: bytes) -> None:
        """Remember a credential that was good."""
        if digest not in self._known:
            self._known[digest] = None
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
