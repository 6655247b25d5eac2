"""The gate that every MCP message passes on its way to a backend."""

from breakwater_runtime.calls import Principal, Problem, Refused


def admit(principal: Principal, method: str) -> None:
    """Let a message through, or refuse it.

    Raises:
        Refused: The principal's credential does not cover the method.
    """
    if principal.methods is None or method in principal.methods:
        return
    covered = ", ".join(sorted(principal.methods))
    raise Refused(
        Problem.INSUFFICIENT_SCOPE, f"The credential of {principal.name} is good for: {covered}."
    )
