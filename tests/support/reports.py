"""What a server reports while a tool runs, as the MCP SDK's client hears it."""


class Reports(list[float]):
    """How far a tool said it was; given to the client as its callback."""

    async def __call__(
        self,
        progress: float,
        total: float | None = None,  # noqa: ARG002 - the client gives it by name
        message: str | None = None,  # noqa: ARG002 - as above
    ) -> None:
        """Hear one report."""
        self.append(progress)
