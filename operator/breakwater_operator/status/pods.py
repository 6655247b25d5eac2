"""What pods say about themselves, and what is wrong with them in their own words."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from breakwater_contract.backends import Reason as Backend
from breakwater_contract.names import REVISION_LABEL
from breakwater_operator.api.reasons import Reason
from breakwater_operator.status.facts import Pod, Problem

WORDS_MAX = 512
"""Characters of a pod's own words that are repeated."""

IMAGE_REASONS = {
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "SignatureValidationFailed",
}
REASONS = {
    Backend.EXPOSED.value: Reason.BACKEND_EXPOSED,
    Backend.UNREACHABLE.value: Reason.BACKEND_UNREACHABLE,
    Backend.CRASHING.value: Reason.BACKEND_CRASHING,
    Backend.HANDSHAKE_FAILED.value: Reason.BACKEND_HANDSHAKE_FAILED,
    Backend.TOOLS_MISSING.value: Reason.BACKEND_TOOLS_MISSING,
    Backend.TOOLS_CLASH.value: Reason.BACKEND_TOOLS_CLASH,
}
"""Our reasons by those of runtimes; that a backend starts is nothing wrong."""

TOLD = {
    Reason.BACKEND_FAILED,
    Reason.SETTINGS_REFUSED,
    Reason.SHARED_RATES_AWAY,
    *REASONS.values(),
}
"""What nobody knows of a pod but by asking it."""

OUT_OF_MEMORY = "OOMKilled"

CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}

BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(: \w+)?(: )?')
"""What kubelet puts before the error while it waits. Left out, so that the message does not change
each time it tries again."""


def name(pod: Pod) -> str:
    """The name of a pod."""
    return str(pod.object["metadata"]["name"])


def title(pod: Pod) -> str:
    """What messages about a pod begin with."""
    return f"Pod {name(pod)}: "


def living(pods: Iterable[Pod]) -> list[Pod]:
    """The pods that nobody has told to stop, by name."""
    return sorted(
        (pod for pod in pods if not pod.object["metadata"].get("deletionTimestamp")), key=name
    )


def stopping(pods: Iterable[Pod]) -> list[Pod]:
    """The pods that were told to stop and are still there."""
    return [pod for pod in pods if pod.object["metadata"].get("deletionTimestamp")]


def are_of(pods: Iterable[Pod], revision: str | None) -> bool:
    """Whether all pods that nobody has told to stop are of a revision."""
    labels = [pod.object["metadata"].get("labels") or {} for pod in living(pods)]
    return all(found.get(REVISION_LABEL) == revision for found in labels)


def is_ready(pod: Pod) -> bool:
    """Whether kubelet finds a pod ready."""
    return _condition(pod, "Ready").get("status") == "True"


def problems(pods: Iterable[Pod]) -> list[Problem]:
    """Say what is wrong with pods: for each reason the first pod that has it, in its own words."""
    found: dict[Reason, Problem] = {}
    for pod in living(pods):
        for reason, words in _problems(pod):
            found.setdefault(reason, Problem(reason, title(pod) + words))
    return list(found.values())


def _problems(pod: Pod) -> Iterator[tuple[Reason, str]]:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("reason") == "Unschedulable":
        yield Reason.UNSCHEDULABLE, _short(scheduled.get("message", "no node takes it"))
    status = pod.object.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            found = _container_problem(container)
            if found is not None:
                yield found
    if pod.probe is not None and pod.probe.settings_fault:
        yield Reason.SETTINGS_REFUSED, _short(pod.probe.settings_fault)
    if pod.probe is not None and pod.probe.rates_fault:
        yield (
            Reason.SHARED_RATES_AWAY,
            f"the store of shared rates: {_short(pod.probe.rates_fault)}",
        )
    for finding in pod.probe.findings if pod.probe is not None else ():
        if finding.reason != Backend.STARTING.value:
            words = f"backend {finding.backend}: {_short(finding.message)}"
            yield REASONS.get(finding.reason, Reason.BACKEND_FAILED), words


def _container_problem(container: Mapping[str, Any]) -> tuple[Reason, str] | None:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason"), waiting.get("message") or ""
    where = f"container {container['name']}"
    if reason in IMAGE_REASONS:
        words = BACK_OFF.sub("", message) or str(reason)
        text = f"{where}: image {container.get('image')} cannot be pulled: {_short(words)}"
        return Reason.IMAGE_PULL_FAILED, text
    if reason in CONFIG_REASONS:
        return Reason.CONTAINER_CONFIG_FAILED, f"{where}: {_short(message or str(reason))}"
    ended = _ended(container)
    if ended is not None:
        return Reason.CONTAINER_CRASHING, f"{where}: {_last_words(ended)}"
    return None


def _ended(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How a container ended that ends again and again; one that is ready by now does not."""
    if container.get("ready") or not container.get("restartCount"):
        return None
    for state in (container.get("state") or {}, container.get("lastState") or {}):
        ended: Mapping[str, Any] | None = state.get("terminated")
        if ended is not None:
            return ended
    return None


def _last_words(ended: Mapping[str, Any]) -> str:
    how = f"ended with exit code {ended.get('exitCode')}"
    reason = ended.get("reason")
    if reason not in {None, "Error", "Completed"}:
        how += f" ({reason})"
    if reason == OUT_OF_MEMORY:
        how += "; raise its memory limit"
    # The end of a log is where the reason stands.
    words = " ".join(_plain(str(ended.get("message") or "")).split())[-WORDS_MAX:]
    return f"{how}: {words}" if words else how


def _plain(message: str) -> str:
    """What stands at the end of a log behind the lines that were logged as JSON, if anything."""
    lines = message.rstrip().splitlines()
    logged = [number for number, line in enumerate(lines) if line.rstrip().endswith("}")]
    return "\n".join(lines[logged[-1] + 1 :] if logged else lines) or message


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    conditions = (pod.object.get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item["type"] == kind), {})


def _short(words: str) -> str:
    return " ".join(words.split())[:WORDS_MAX]
