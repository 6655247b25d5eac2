from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from breakwater_runtime.servers.changes.desk import Desk
from breakwater_runtime.servers.changes.main import changes_server

if TYPE_CHECKING:
    from pathlib import Path

    from breakwater_runtime.servers.changes.server import ChangesServer

TODAY = date(2026, 11, 21)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty volume that lies beside something that must never be reached."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "proposal.md").write_text("outside")
    (tmp_path / "outside" / "spec.md").write_text("outside")
    volume = tmp_path / "volume"
    volume.mkdir()
    return volume


@pytest.fixture
def desk(root: Path) -> Desk:
    return Desk(root, lambda: TODAY, lock_timeout_seconds=5)


@pytest.fixture
def server(root: Path) -> ChangesServer:
    return changes_server(root, lambda: TODAY)
