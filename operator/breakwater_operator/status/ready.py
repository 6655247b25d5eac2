"""`Ready`: the sum of the other conditions, with the first cause of what is missing."""

from breakwater_operator.api.conditions import Condition, ConditionType
from breakwater_operator.api.reasons import Reason
from breakwater_operator.status import pods
from breakwater_operator.status.conditions import (
    accepted,
    available,
    degraded,
    nobody_wanted,
    paused,
    progressing,
    verified,
)
from breakwater_operator.status.facts import Facts, Problem
from breakwater_operator.status.rollout import rollout

SERVES_OTHERWISE = {Reason.APPLY_FAILED, Reason.NAME_TAKEN}
"""What is wrong with the children themselves: then clients are not served as the manifest says."""


def ready(facts: Facts) -> Condition:
    """Say whether clients are served as the manifest says, and if not, why first of all."""
    kind = ConditionType.READY
    available_now, verified_now, degraded_now = available(facts), verified(facts), degraded(facts)
    if why := _why_not(facts, available_now, verified_now, degraded_now):
        return Condition(kind, "False", why.reason, why.message)
    if nobody := nobody_wanted(facts):
        return Condition(kind, "True", nobody.reason, nobody.message)
    message = available_now.message
    if verified_now.status == "Unknown":
        message += f"; not verified: {verified_now.message}"
    return Condition(kind, "True", Reason.READY, message)


def _why_not(
    facts: Facts, available_now: Condition, verified_now: Condition, degraded_now: Condition
) -> Problem | None:
    if facts.faults:
        first = accepted(facts)
        return Problem(first.reason, first.message)
    if facts.paused_until is not None and facts.is_held_back:
        message = f"the manifest was changed, and {paused(facts.paused_until)}"
        return Problem(Reason.PAUSED, message)
    if degraded_now.reason in SERVES_OTHERWISE:
        return Problem(degraded_now.reason, degraded_now.message)
    if facts.waits:
        return Problem(facts.waits[0].reason, "; ".join(map(str, facts.waits)))
    if available_now.status != "True":
        if degraded_now.status != "True":
            return Problem(available_now.reason, available_now.message)
        # Why pods are missing says more than that they are.
        message = f"{available_now.message}; {degraded_now.message}"
        return Problem(degraded_now.reason, message)
    if serves_another_revision(facts):
        under_way = progressing(facts)
        if degraded_now.status != "True":
            return Problem(under_way.reason, under_way.message)
        return Problem(degraded_now.reason, f"{under_way.message}; {degraded_now.message}")
    if verified_now.status == "False" or verified_now.reason is Reason.NO_ENDPOINTS:
        return Problem(verified_now.reason, verified_now.message)
    return None


def serves_another_revision(facts: Facts) -> bool:
    """Say whether clients may meet pods that are not as the manifest says.

    Who applies a change and waits for `Ready` waits for that change.
    """
    if facts.deployment is None or nobody_wanted(facts) is not None:
        return False
    state = rollout(facts)
    if state.is_current:
        return state.updated < state.total
    # Its controller has yet to say what came of a change, which may be one of numbers alone: then
    # all pods are of this revision already.
    return not state.is_newest or not pods.are_of(facts.pods, facts.revision)
