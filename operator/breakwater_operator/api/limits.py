"""How much clients may have: what the runtime is told, and what only pods as a whole can keep."""

from typing import Self

from pydantic import ConfigDict, model_validator

from breakwater_contract import limits as contract
from breakwater_contract.rules import rule, rules
from breakwater_contract.settings import DRAIN_SECONDS_MAX
from breakwater_contract.units import Duration

DRAIN = "a pod drains for at most an hour; write a drain of up to 1h"
DRAIN_RULE = rule("!has(self.drain) || duration(self.drain) <= duration('1h')", DRAIN, ".drain")


class Sessions(contract.Sessions):
    """How many sessions of older clients there may be, and what each may keep."""

    model_config = ConfigDict(json_schema_extra=rules(contract.LIFETIME_RULE, DRAIN_RULE))

    drain: Duration = Duration("5m")
    """How long a pod that is told to stop finishes calls and keeps its sessions reachable through
    the other pods; it ends earlier once nothing is left. A change replaces the pods."""

    @model_validator(mode="after")
    def _not_for_ever(self) -> Self:
        if self.drain.seconds > DRAIN_SECONDS_MAX:
            raise ValueError(DRAIN)
        return self


class Limits(contract.Limits):
    """How much clients may have of one replica."""

    sessions: Sessions = Sessions()
    """Sessions of clients that speak a revision before 2026-07-28."""

    def for_runtime(self) -> contract.Limits:
        """Get what running pods take over."""
        return contract.Limits.model_validate(
            self.model_dump(exclude={"sessions": {"drain"}}, by_alias=True)
        )
