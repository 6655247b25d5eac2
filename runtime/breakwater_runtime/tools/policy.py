"""The policies: who may use which tool, resource or prompt; compiled, and remembered by caller."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum

from breakwater_contract.access import Policy
from breakwater_contract.names import OPERATOR_PRINCIPAL
from breakwater_runtime.calls import Principal
from breakwater_runtime.tools.globs import Found, Index

PRINCIPALS_MAX = 4096
"""Callers whose rules are remembered."""

DECISIONS_MAX = 4096
"""Decisions that are remembered of one caller."""


class Kind(Enum):
    """What a caller wants to use."""

    __hash__ = object.__hash__  # each member is one object; Enum's own hashes its name every time

    TOOL = "tool"
    RESOURCE = "resource"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether somebody may use something, and why."""

    allowed: bool
    rule: str = ""
    """The policy that decided; empty where none says anything."""
    scopes: tuple[str, ...] = ()
    """All scopes with which a token would be allowed to; empty where no scope would help."""

    @property
    def listed(self) -> bool:
        """Whether the caller is shown it: what another token would open is no secret."""
        return self.allowed or bool(self.scopes)


ALLOWED = Decision(True)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One policy, compiled, without what it is found by."""

    name: str
    denies: bool
    scopes: frozenset[str]

    @classmethod
    def of(cls, policy: Policy) -> "_Rule":
        return cls(policy.name, policy.effect == "Deny", frozenset(policy.scopes))


@dataclass(slots=True)
class _Caller:
    """What is known of one caller."""

    rules: Found
    decisions: dict[tuple[Kind, str, str], Decision] = field(default_factory=dict)


class Policies:
    """One state of the policies. A changed state is a new object, with nothing remembered."""

    def __init__(self, policies: Collection[Policy] = ()) -> None:
        """Compile them; without any, everything is allowed."""
        self._rules = tuple(_Rule.of(policy) for policy in policies)
        self._scopes = frozenset(scope for rule in self._rules for scope in rule.scopes)
        self._callers: OrderedDict[Principal, _Caller] = OrderedDict()
        self._principals = _index(policy.principals for policy in policies)
        self._backends = _index(policy.backends for policy in policies)
        self._names = {
            Kind.TOOL: _index(policy.tools for policy in policies),
            Kind.RESOURCE: _index(policy.resources for policy in policies),
            Kind.PROMPT: _index(policy.prompts for policy in policies),
        }

    @property
    def any(self) -> bool:
        """Whether there is a rule at all."""
        return bool(self._rules)

    def decide(
        self,
        principal: Principal,
        backend: str,
        name: str,
        kind: Kind = Kind.TOOL,
        *,
        also: str = "",
    ) -> Decision:
        """Say whether a caller may use what a backend calls `name`.

        Args:
            principal: The caller.
            backend: The backend.
            name: The name that callers see.
            kind: What it is.
            also: Another name that patterns may mean: the same without its backend's prefix.
        """
        if not self._rules:
            return ALLOWED
        caller = self._callers.get(principal) or self._meet(principal)
        decision = caller.decisions.get((kind, backend, name))
        if decision is None:
            names = self._names[kind].find(name, also) if also else self._names[kind].find(name)
            decision = self._decide(principal, caller.rules.shared_with(names), backend)
            if len(caller.decisions) < DECISIONS_MAX:
                caller.decisions[kind, backend, name] = decision
        return decision

    def _meet(self, principal: Principal) -> _Caller:
        caller = self._callers[principal] = _Caller(self._principals.find(principal.name))
        if len(self._callers) > PRINCIPALS_MAX:
            self._callers.popitem(last=False)
        return caller

    def _decide(self, principal: Principal, numbers: Collection[int], backend: str) -> Decision:
        if principal.name == OPERATOR_PRINCIPAL:  # its own token says what it may
            return ALLOWED
        backends = self._backends.find(backend)
        about = [self._rules[number] for number in sorted(numbers) if number in backends]
        for rule in about:
            if rule.denies:
                return Decision(False, rule.name)
        for rule in about:
            if rule.scopes <= principal.scopes:
                return Decision(True, rule.name)
        if not about:
            return Decision(False)
        nearest = min(about, key=lambda rule: len(rule.scopes - principal.scopes))
        # Also those that it has and that matter here: the next token replaces this one.
        wanted = nearest.scopes | (principal.scopes & self._scopes)
        return Decision(False, nearest.name, tuple(sorted(wanted)))


def _index(patterns: Iterable[Iterable[str]]) -> Index:
    """Index the patterns of many rules by the rules' numbers."""
    return Index((number, pattern) for number, each in enumerate(patterns) for pattern in each)
