"""What every server under test is told, and how it is run: uvicorn, uvloop, httptools, no logs."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--json", action="store_true", help="answer JSON, not an event stream")
    parser.add_argument("--stateless", action="store_true", help="without sessions")
    return parser.parse_args()


def serve(app: Callable[..., Any], port: int) -> None:
    """Serve an app."""
    # The SDK logs a line per request at this level; we compare servers, not terminals.
    logging.disable(logging.INFO)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
