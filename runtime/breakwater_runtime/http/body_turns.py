"""Large bodies are read one after the other: a flood of them costs the memory of a few."""

import asyncio

LARGE_BYTES = 64 * 1024
"""A body of up to this is read whenever it comes, as nearly all are."""

AT_ONCE = 4
"""Large bodies that are read at the same time."""

TURN_SECONDS = 5.0
"""How long one waits for its turn. Senders that are slow on purpose cannot keep others out for
longer: what may be in flight bounds the memory of all."""


class BodyTurns:
    """Whose large bodies are read at the moment."""

    def __init__(self) -> None:
        """Let nobody have a turn yet."""
        self._places = asyncio.Semaphore(AT_ONCE)

    async def take(self) -> bool:
        """Wait for a turn; False: it took too long, and the body is read without one."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                return await self._places.acquire()
        except TimeoutError:
            return False

    def give_back(self) -> None:
        """Let the next one have the turn that was taken."""
        self._places.release()
