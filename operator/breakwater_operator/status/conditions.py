"""The conditions of a server but `Ready`, each a function of the facts."""

import re
from datetime import datetime

from breakwater_operator.api.conditions import Condition, ConditionType, Status, timestamp
from breakwater_operator.api.pause import ANNOTATION
from breakwater_operator.api.reasons import Reason
from breakwater_operator.status import others, pods
from breakwater_operator.status.facts import Facts, Pod, Problem, once
from breakwater_operator.status.hints import hints
from breakwater_operator.status.rollout import rollout

GREETING_MAX = 128
"""Characters of a server's name and version that are repeated."""

STANDS = (
    "nothing is changed until the manifest is corrected: no drift is repaired, no new key or "
    "certificate is taken over; keys that are removed from the Secret of "
    "spec.access.keys.secretName are withdrawn"
)
"""What it means that a manifest is not acted upon."""

STANDS_PAUSED = (
    "nothing is changed until the manifest is corrected and not paused: no drift is repaired and "
    "no key withdrawn"
)

POD_SUFFIX = re.compile(r'(pods "[-a-z0-9]+-)[a-z0-9]{5}"')
"""The random end of the name of a pod that could not be made: another one at each try."""


def accepted(facts: Facts) -> Condition:
    """Say whether the manifest can be acted upon."""
    if facts.faults:
        message = "; ".join(map(str, facts.faults))
        return Condition(ConditionType.ACCEPTED, "False", facts.faults[0].reason, message)
    hinted = hints(facts.server, facts.now) if facts.server is not None else ()
    message = "; ".join(("the manifest is valid", *hinted))
    return Condition(ConditionType.ACCEPTED, "True", Reason.SPEC_ACCEPTED, message)


@once
def available(facts: Facts) -> Condition:
    """Say whether as many pods are ready as the manifest asks for.

    A server that is suspended or scaled to zero is available: nothing is missing. Where load
    decides, the manifest asks for the least of them: who is given more serves while they start.
    """
    kind = ConditionType.AVAILABLE
    if nobody := nobody_wanted(facts):
        return Condition(kind, "True", nobody.reason, nobody.message)
    if facts.deployment is None and facts.server is None:
        message = "no pods have been made of this manifest, which is not acted upon"
        return Condition(kind, "False", Reason.PODS_NOT_READY, message)
    state = rollout(facts)
    of = max(state.wanted, state.needed)
    ready = min(state.ready, of)
    message = f"{ready} of {of} pods {'is' if ready == 1 else 'are'} ready"
    if 0 < state.needed <= ready:
        return Condition(kind, "True", Reason.AVAILABLE, message)
    return Condition(kind, "False", Reason.PODS_NOT_READY, message)


@once
def verified(facts: Facts) -> Condition:
    """Say what came of speaking MCP with the ready pods.

    A pod that cannot be reached says nothing about the server, only about the way to it.
    """
    kind = ConditionType.VERIFIED
    if nobody := nobody_wanted(facts):
        return Condition(kind, "Unknown", nobody.reason, f"no pod to ask: {nobody.message}")
    ready = [pod for pod in pods.living(facts.pods) if pods.is_ready(pod)]
    asked = [pod for pod in ready if pod.probe]
    if ready and not asked and (said := _said(facts, kind)):
        return said
    if wrong := [pod for pod in asked if _answered_wrong(pod)]:
        return Condition(kind, "False", Reason.HANDSHAKE_FAILED, _words(wrong[0]))
    if (pod := verified_pod(facts)) is None:
        message = _words(asked[0]) if asked else "no ready pod has been asked yet"
        return Condition(kind, "Unknown", Reason.NOT_REACHED, message)
    if facts.endpoints == 0:
        message = f"Service {facts.namespace}/{facts.name} leads to no ready pod"
        return Condition(kind, "Unknown", Reason.NO_ENDPOINTS, message)
    return Condition(kind, "True", Reason.VERIFIED, _greeting(pod))


@once
def progressing(facts: Facts) -> Condition:
    """Say what is under way, or waited for."""
    status, reason, message = _progress(facts)
    return Condition(ConditionType.PROGRESSING, status, reason, message)


def _progress(facts: Facts) -> tuple[Status, Reason, str]:
    state = rollout(facts)
    if facts.faults:
        return "False", facts.faults[0].reason, STANDS_PAUSED if facts.is_paused else STANDS
    if facts.paused_until is not None:
        return "True", Reason.PAUSED, paused(facts.paused_until)
    if facts.failures:
        message = f"not all is written yet, which is tried again: {facts.failures[0]}"
        return "True", Reason.APPLY_FAILED, message
    if facts.waits:
        return "True", facts.waits[0].reason, "; ".join(map(str, facts.waits))
    if state.is_late and state.is_current:
        message = (
            f"{state.updated} of {state.wanted} pods run revision {facts.revision}; no "
            "progress for ten minutes"
        )
        return "False", Reason.DEADLINE_EXCEEDED, message
    if not state.is_complete:
        return "True", Reason.ROLLING_OUT, _rolling(facts)
    if pending := _pending(facts):
        message = f"{pending} of {state.total} pods have yet to take over changed keys or settings"
        return "True", Reason.LIVE_CHANGE_PENDING, message
    if (draining := len(pods.stopping(facts.pods))) > state.wanted:
        message = (
            f"{draining} pods that were told to stop are still there, for {state.wanted} that are "
            "wanted: they serve their sessions until these end or limits.sessions.drain is over"
        )
        return "True", Reason.DRAINING, message
    if facts.is_outdated:
        message = (
            f"revision {facts.revision} is as an older operator or platform made it; its pods are "
            "replaced when it is their turn, or with the next change of the manifest"
        )
        return "True", Reason.UPGRADE_PENDING, message
    return "False", Reason.COMPLETE, f"revision {facts.revision} is rolled out"


@once
def degraded(facts: Facts) -> Condition:
    """Say what is wrong, in the words of whom it concerns."""
    found = [
        *(Problem(Reason.APPLY_FAILED, str(failure)) for failure in facts.failures),
        *facts.problems,
        *_refused(facts),
        *pods.problems(facts.pods),
        *others.problems(facts),
    ]
    if not found and (told := _told_before(facts)):
        return told
    if not found:
        message = "nothing is known to be wrong"
        return Condition(ConditionType.DEGRADED, "False", Reason.AS_EXPECTED, message)
    message = "; ".join(problem.message for problem in found)
    return Condition(ConditionType.DEGRADED, "True", found[0].reason, message)


def verified_pod(facts: Facts) -> Pod | None:
    """A ready pod that has shaken hands, one of the current revision before any other."""
    known = [
        pod
        for pod in pods.living(facts.pods)
        if pods.is_ready(pod) and pod.probe is not None and pod.probe.server is not None
    ]
    current = [pod for pod in known if pod.probe and pod.probe.revision == facts.revision]
    return next(iter(current or known), None)


def paused(until: datetime) -> str:
    """Say what it means that a server is paused."""
    return (
        f"nothing is written until {timestamp(until)}, as the annotation {ANNOTATION} says: no "
        "drift is repaired and no key withdrawn; remove it to go on at once"
    )


def nobody_wanted(facts: Facts) -> Problem | None:
    """Say why no pods are wanted; None where some are."""
    server = facts.server
    if server is None:
        return _nobody_before(facts)
    if server.wanted_replicas:
        return None
    if server.spec.suspend:
        return Problem(Reason.SUSPENDED, "spec.suspend is true, so no pods are wanted")
    return Problem(Reason.SCALED_TO_ZERO, "spec.replicas is 0, so no pods are wanted")


def _nobody_before(facts: Facts) -> Problem | None:
    """Repeat why no pods were wanted, where the manifest that says so is no longer acted upon."""
    said = _said(facts, ConditionType.AVAILABLE)
    if said is None or said.reason not in {Reason.SUSPENDED, Reason.SCALED_TO_ZERO}:
        return None
    return Problem(said.reason, said.message) if rollout(facts).wanted == 0 else None


def _told_before(facts: Facts) -> Condition | None:
    """Repeat what a pod has said of itself that was not asked since."""
    said = _said(facts, ConditionType.DEGRADED)
    if said is None or said.status != "True" or said.reason not in pods.TOLD:
        return None
    unasked = (pod for pod in pods.living(facts.pods) if pod.probe is None)
    return said if any(pods.title(pod) in said.message for pod in unasked) else None


def _said(facts: Facts, kind: ConditionType) -> Condition | None:
    """Repeat a condition: an operator that has just started has yet to ask, and knows no better."""
    for one in facts.previous.get("conditions") or ():
        # A newer operator may have had reasons that this one does not know.
        reason = next((known for known in Reason if known == one["reason"]), None)
        if one["type"] == kind and one["status"] != "Unknown" and reason is not None:
            return Condition(kind, one["status"], reason, one["message"])
    return None


def _answered_wrong(pod: Pod) -> bool:
    probe = pod.probe
    return probe is not None and probe.reached and probe.server is None and probe.fault is not None


def _words(pod: Pod) -> str:
    fault = pod.probe.fault if pod.probe is not None else None
    return f"Pod {pods.name(pod)}: {fault or 'did not answer'}"


def _greeting(pod: Pod) -> str:
    server = pod.probe.server if pod.probe is not None else None
    if server is None:
        return "the server answered"
    tools = "1 tool" if server.tools == 1 else f"{server.tools} tools"
    said = f"{server.name or 'the server'} {server.version}".strip()
    return f"{said[:GREETING_MAX]} lists {tools}"


def _rolling(facts: Facts) -> str:
    state = rollout(facts)
    if state.wanted == 0:
        return _stopping(state.total)
    if state.is_newest and not state.is_seen:
        pods_wanted = f"{state.wanted} pods of revision {facts.revision} are wanted"
        return f"{pods_wanted}; the Deployment's controller has yet to act"
    if state.total > state.updated == state.wanted:
        return _stopping(state.total - state.updated, " of older revisions")
    if state.updated > state.wanted and state.is_current:
        return _stopping(state.updated - state.wanted, " more than wanted")
    updated = state.updated if state.is_current else 0
    if updated == state.wanted:
        return f"{state.ready} of {state.wanted} pods of revision {facts.revision} are ready"
    return f"{updated} of {state.wanted} pods run revision {facts.revision}"


def _stopping(count: int, what: str = "") -> str:
    return f"1 pod{what} is stopping" if count == 1 else f"{count} pods{what} are stopping"


def _pending(facts: Facts) -> int:
    """Count the pods that are not known to run on the keys and settings that they should."""
    return _behind(facts) or _unasked(facts)


def _behind(facts: Facts) -> int:
    """Count the pods that say they run on other keys or settings than they should."""
    if facts.live is None:
        return 0
    probes = [pod.probe for pod in pods.living(facts.pods) if pod.probe is not None]
    return sum(probe.reached and probe.live != facts.live for probe in probes)


def _unasked(facts: Facts) -> int:
    """Count the ready pods that were never asked, where something was under way before.

    An operator that has just started knows of no pod what it runs on, and takes nothing back that
    was said of this very manifest.
    """
    conditions = facts.previous.get("conditions") or ()
    was_done = any(
        one["type"] == ConditionType.PROGRESSING
        and (one["status"], one.get("observedGeneration")) == ("False", facts.generation)
        for one in conditions
    )
    if facts.live is None or was_done:
        return 0
    return sum(pods.is_ready(pod) and pod.probe is None for pod in pods.living(facts.pods))


def _refused(facts: Facts) -> list[Problem]:
    refusal = rollout(facts).refusal
    if refusal is None:
        return []
    words = POD_SUFFIX.sub(r'\1*"', refusal)
    return [Problem(Reason.PODS_REFUSED, f"pods cannot be made: {words}")]
