"""The policies: who may use which tool, resource or prompt; compiled, and remembered by caller."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from breakwater_contract.access import Policy
from breakwater_contract.names import OPERATOR_PRINCIPAL
from breakwater_runtime.calls import Principal

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


class Glob:
    """A pattern in which `*` stands for any characters, none included."""

    def __init__(self, pattern: str) -> None:
        """Split the pattern once; matching takes time in proportion to the text, not more."""
        self._first, *rest = pattern.split("*")
        self._exact = not rest
        self._last = rest.pop() if rest else ""
        self._middle = rest

    def matches(self, text: str) -> bool:
        """Say whether the whole text fits, letter by letter."""
        if self._exact:
            return text == self._first
        end = len(text) - len(self._last)
        position = len(self._first)
        if position > end or not (text.startswith(self._first) and text.endswith(self._last)):
            return False
        for part in self._middle:
            position = text.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True


@dataclass(frozen=True, slots=True)
class _Rule:
    """One policy, compiled."""

    name: str
    denies: bool
    scopes: frozenset[str]
    principals: tuple[Glob, ...]
    backends: tuple[Glob, ...]
    names: dict[Kind, tuple[Glob, ...]]

    @classmethod
    def of(cls, policy: Policy) -> "_Rule":
        return cls(
            policy.name,
            policy.effect == "Deny",
            frozenset(policy.scopes),
            _globs(policy.principals),
            _globs(policy.backends),
            {
                Kind.TOOL: _globs(policy.tools),
                Kind.RESOURCE: _globs(policy.resources),
                Kind.PROMPT: _globs(policy.prompts),
            },
        )

    def is_about(self, kind: Kind, backend: str, name: str) -> bool:
        return _any(self.backends, backend) and _any(self.names[kind], name)


@dataclass(slots=True)
class _Caller:
    """What is known of one caller."""

    rules: tuple[_Rule, ...]
    decisions: dict[tuple[Kind, str, str], Decision] = field(default_factory=dict)


class Policies:
    """One state of the policies. A changed state is a new object, with nothing remembered."""

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        """Compile them; without any, everything is allowed."""
        self._rules = tuple(_Rule.of(policy) for policy in policies)
        self._scopes = frozenset(scope for rule in self._rules for scope in rule.scopes)
        self._callers: OrderedDict[Principal, _Caller] = OrderedDict()

    @property
    def any(self) -> bool:
        """Whether there is a rule at all."""
        return bool(self._rules)

    def decide(
        self, principal: Principal, backend: str, name: str, kind: Kind = Kind.TOOL
    ) -> Decision:
        """Say whether a caller may use what a backend calls `name`."""
        if not self._rules:
            return ALLOWED
        caller = self._callers.get(principal) or self._meet(principal)
        decision = caller.decisions.get((kind, backend, name))
        if decision is None:
            decision = self._decide(principal, caller.rules, (kind, backend, name))
            if len(caller.decisions) < DECISIONS_MAX:
                caller.decisions[kind, backend, name] = decision
        return decision

    def _meet(self, principal: Principal) -> _Caller:
        rules = tuple(rule for rule in self._rules if _any(rule.principals, principal.name))
        caller = self._callers[principal] = _Caller(rules)
        if len(self._callers) > PRINCIPALS_MAX:
            self._callers.popitem(last=False)
        return caller

    def _decide(
        self, principal: Principal, rules: Iterable[_Rule], what: tuple[Kind, str, str]
    ) -> Decision:
        if principal.name == OPERATOR_PRINCIPAL:  # its own token says what it may
            return ALLOWED
        about = [rule for rule in rules if rule.is_about(*what)]
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


def _globs(patterns: Iterable[str]) -> tuple[Glob, ...]:
    return tuple(Glob(pattern) for pattern in patterns)


def _any(globs: Iterable[Glob], text: str) -> bool:
    return any(glob.matches(text) for glob in globs)
