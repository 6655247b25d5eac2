"""The tools that every server under test has: functions, without any SDK."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

PAUSE_SECONDS = 0.001


class Description(BaseModel):
    """What is known about a text."""

    text: str
    length: int
    words: list[str]


async def echo(text: str) -> str:
    """Return the text; the tool never suspends."""
    return text


async def pause(text: str) -> str:
    """Return the text after a millisecond, like a tool that asks somebody else."""
    await asyncio.sleep(PAUSE_SECONDS)
    return text


async def describe(text: str) -> Description:
    """Return structured output."""
    return Description(text=text, length=len(text), words=text.split())


TOOLS = (echo, pause, describe)
