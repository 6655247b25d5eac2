"""What becomes of the backends of a server that runs here, for its author."""

import asyncio
from collections.abc import Callable

from breakwater_operator.cli.process import Runtime

ASK_SECONDS = 1.0

STARTING = "BackendStarting"
"""What is found of a backend that may still come up."""


async def tell(runtime: Runtime, say: Callable[[str], None]) -> None:
    """Say what is wrong with each backend, each thing once, and when it is over."""
    told: dict[str, str] = {}
    while not runtime.ended:
        await asyncio.sleep(ASK_SECONDS)
        found = await runtime.findings()
        if found is None:
            continue
        for name, (reason, message) in found.items():
            if reason != STARTING and told.get(name) != message:
                told[name] = message
                say(f"backend {name}: {message}")
        for name in [name for name in told if name not in found]:
            del told[name]
            say(f"backend {name} is well again")
