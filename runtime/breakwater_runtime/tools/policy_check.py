"""What the gate asks of the policies, and what comes of a no."""

from collections.abc import Callable

from breakwater_runtime.calls import Principal, Problem, Refused
from breakwater_runtime.observability.audit import Audit, Event
from breakwater_runtime.tools.policy import Decision, Kind, Policies

NAME_CHARACTERS_MAX = 128
"""How much of what a caller asked for is repeated to it and in the log."""


class PolicyCheck:
    """Asks the policies of the moment, and records each refusal."""

    def __init__(self, policies: Callable[[], Policies], audit: Audit) -> None:
        """Ask `policies` anew each time: they change without a restart."""
        self._policies = policies
        self._audit = audit

    @property
    def is_needed(self) -> bool:
        """Whether there is any policy."""
        return self._policies().any

    def require(
        self,
        principal: Principal,
        backend: str,
        name: str,
        kind: Kind = Kind.TOOL,
        *,
        also: str = "",
    ) -> None:
        """Let a use of something pass that is known to exist; the arguments are `decide`'s.

        Raises:
            Refused: No policy allows it to this caller, or one forbids it.
        """
        decision = self._policies().decide(principal, backend, name, kind, also=also)
        if not decision.allowed:
            self._refuse(decision, principal, backend, name, kind)

    def lists(
        self,
        principal: Principal,
        backend: str,
        name: str,
        kind: Kind = Kind.TOOL,
        *,
        also: str = "",
    ) -> bool:
        """Say whether a caller's lists show it; the arguments are those of `decide`."""
        return self._policies().decide(principal, backend, name, kind, also=also).listed

    def _refuse(
        self, decision: Decision, principal: Principal, backend: str, name: str, kind: Kind
    ) -> None:
        name = name[:NAME_CHARACTERS_MAX]
        event = Event.SCOPE_MISSING if decision.scopes else Event.DENIED
        self._audit.record(event, rule=decision.rule, kind=kind.value, target=name, backend=backend)
        what = f"{kind.value} {name}"
        facts = {"rule": decision.rule, "backend": backend, kind.value: name}
        if decision.scopes:
            raise Refused(
                Problem.INSUFFICIENT_SCOPE,
                f"Policy {decision.rule} wants a token with more scopes for {what}.",
                details={**facts, "scopes": list(decision.scopes)},
            )
        said = (
            f"Policy {decision.rule} denies {what} to {principal.name}."
            if decision.rule
            else f"No policy allows {what} to {principal.name}."
        )
        raise Refused(Problem.DENIED_BY_POLICY, said, details=facts)
