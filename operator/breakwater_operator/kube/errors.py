"""What the cluster answered when it did not do what was asked."""

from collections.abc import Collection, Mapping
from typing import Any

from breakwater_operator.api.errors import ClusterError

NAMESPACE_ENDING = "NamespaceTerminating"
"""The cause of a refusal to make an object in a namespace that is being deleted."""

KIND_ENDING = "custom resource definition is terminating"
"""What a refusal says to make an object whose kind is being deleted; it names no cause."""


class ApiError(ClusterError):
    """The API server refused a request, failed, or could not be reached.

    Attributes:
        status: The HTTP status; None when there was no answer.
        reason: The machine-readable reason of the answer, as in `AlreadyExists`.
        retry_after_seconds: How long the server asked us to stay away.
        causes: What the server names as causes, as in `NamespaceTerminating`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        reason: str = "",
        retry_after_seconds: float | None = None,
        causes: Collection[str] = (),
    ) -> None:
        """Keep what was answered.

        Args:
            message: What was asked and what the server said, for people.
            status: The HTTP status.
            reason: The reason of the answer's Status object.
            retry_after_seconds: The answer's Retry-After.
            causes: The reasons of the causes in the answer's details.
        """
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.causes = causes

    @property
    def not_found(self) -> bool:
        """The object is not there."""
        return self.status == 404

    @property
    def forbidden(self) -> bool:
        """We have no right to do this."""
        return self.status == 403

    @property
    def namespace_ending(self) -> bool:
        """Nothing can be made any more where we wanted to make something."""
        return NAMESPACE_ENDING in self.causes

    @property
    def kind_gone(self) -> bool:
        """The server does not know what kind this is, or soon will not: it has no Status to say."""
        is_unknown = self.status == 404 and not self.reason
        return is_unknown or (self.forbidden and KIND_ENDING in str(self))

    @property
    def conflict(self) -> bool:
        """Our view of the object is stale: it changed, went, or was there already.

        An apply that names the uid of an object which was replaced meanwhile is answered 422, for
        a uid cannot be changed.
        """
        replaced = self.status == 422 and "metadata.uid: Invalid value" in str(self)
        return self.status == 409 or replaced

    @property
    def expired(self) -> bool:
        """The resourceVersion asked for is too old to watch or to continue from."""
        return self.status == 410 or self.reason in {"Expired", "Gone"}

    @property
    def refused(self) -> bool:
        """The server understood and said no: asking again soon will not help.

        Admission webhooks refuse with any status of the 400 family, mostly 400, 403 and 422; a
        body with the same list key twice is answered 500, which only looks like a failure.
        """
        if self.conflict or self.expired:
            return False
        return self.status in {400, 403, 404, 405, 413, 415, 422}


def from_answer(asked: str, status: int, body: Any, headers: Mapping[str, str]) -> ApiError:
    """Make the error that an answer stands for.

    Args:
        asked: What was asked, as in `apply Service team-a/crm`.
        status: The HTTP status.
        body: The answer's body, a Status object or text.
        headers: The answer's headers, by lower-case names.

    Returns:
        The error, with the server's own message in it.
    """
    said = body if isinstance(body, dict) else {"message": str(body)[:500]}
    return ApiError(
        f"{asked}: {said.get('message') or f'status {status}'}",
        status=status,
        reason=str(said.get("reason") or ""),
        retry_after_seconds=_seconds(headers.get("retry-after")),
        causes=_causes(said.get("details")),
    )


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdigit() else None


def _causes(details: Any) -> Collection[str]:
    causes = details.get("causes") if isinstance(details, dict) else None
    return tuple(str(cause.get("reason")) for cause in causes or ())
