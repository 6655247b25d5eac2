"""The gate that every MCP message passes on its way to a backend."""

from breakwater_runtime.calls import Principal, Problem, Refused


def admit(principal: Principal, method: str) -> None:
    """Let a message through, or refuse it.

    A credential without scopes is good for everything; one with scopes is good for the methods
    they name, `tools/list` being `tools.list`.

    Raises:
        Refused: The principal's credential does not cover the method.
    """
    if principal.scopes is None or method.replace("/", ".") in principal.scopes:
        return
    covered = ", ".join(sorted(scope.replace(".", "/") for scope in principal.scopes))
    raise Refused(
        Problem.INSUFFICIENT_SCOPE, f"The credential of {principal.name} is good for: {covered}."
    )
