import asyncio
import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from breakwater_contract.settings import LiveSettings, live_hash
from breakwater_runtime.live import Live, Source
from tests.unit.runtime.fakes import Operator

HASH_KEY = bytes(range(32))


def mount(folder: Path, version: str, files: dict[str, bytes]) -> None:
    """Change a folder as kubelet does: a new data folder, then one swap of a link."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    for name, content in files.items():
        (data / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    (folder / "..new").symlink_to(data.name)
    (folder / "..new").rename(folder / "..data")
    for link in folder.iterdir():
        if link.is_symlink() and link.name not in {"..data", *files}:
            link.unlink()


@pytest.fixture
def reloads() -> Counter:
    return Counter("reloads", "Reloads.", ["outcome"], registry=CollectorRegistry())


@pytest.fixture
def live(tmp_path: Path, reloads: Counter) -> Live:
    settings = {"version": 1, "keysDirectory": "keys"}
    mount(tmp_path / "config", "1", {"live.json": json.dumps(settings).encode()})
    mount(tmp_path / "config/keys", "1", {"alice": b"first-key", ".hash-key": HASH_KEY})
    return Live(Source(tmp_path / "config", None, "live.json"), reloads=reloads)


def test_what_is_loaded_is_named_as_the_operator_names_it(live: Live, tmp_path: Path) -> None:
    live.load()

    content = (tmp_path / "config/live.json").read_bytes()
    assert live.loaded.hash == live_hash(HASH_KEY, content, {"alice": b"first-key"})
    assert live.loaded.keyring.find(b"first-key")


def test_a_swap_of_the_volume_is_taken_over_whole(live: Live, tmp_path: Path) -> None:
    live.load()
    before = live.loaded.hash

    mount(tmp_path / "config/keys", "2", {"bob": b"second-key", ".hash-key": HASH_KEY})
    live.load()

    assert live.loaded.keyring.find(b"first-key") is None
    assert live.loaded.keyring.find(b"second-key")
    assert live.loaded.hash != before


@pytest.mark.parametrize(
    ("where", "files", "fault"),
    [
        pytest.param("config", {"live.json": b"{"}, "live.json: Expecting", id="not-json"),
        pytest.param("config", {"live.json": b'{"new": 1}'}, "live.json: new: unknown", id="field"),
        pytest.param("config", {"live.json": b'{"version": 2}'}, "version", id="too-new"),
        pytest.param("config", {}, "live.json: cannot be read", id="gone"),
        pytest.param("config/keys", {"alice": b"two words"}, "keys/alice: line 1", id="key"),
        pytest.param(
            "config",
            {"live.json": b'{"operatorKeys": [{"kid": "one", "publicKey": "x"}]}'},
            "operatorKeys[0].publicKey: not a public key; accepted: Ed25519 as PEM",
            id="operator-key",
        ),
    ],
)
def test_a_bad_state_is_reported_and_the_last_good_one_stays(
    live: Live,
    reloads: Counter,
    tmp_path: Path,
    where: str,
    files: dict[str, bytes],
    fault: str,
) -> None:
    live.load()
    good = live.loaded

    mount(tmp_path / where, "2", files)
    live.load()
    live.load()

    assert live.loaded is good
    assert live.fault is not None
    assert fault in live.fault
    assert _count(reloads, "refused") == 1


def test_after_a_bad_state_a_good_one_is_taken_over(live: Live, tmp_path: Path) -> None:
    live.load()
    mount(tmp_path / "config/keys", "2", {"alice": b"two words"})
    live.load()

    mount(tmp_path / "config/keys", "3", {"alice": b"third-key"})
    live.load()

    assert live.fault is None
    assert live.loaded.keyring.find(b"third-key")


def test_going_back_to_the_last_good_state_clears_the_fault(live: Live, tmp_path: Path) -> None:
    live.load()
    mount(tmp_path / "config", "2", {"live.json": b"{"})
    live.load()

    mount(tmp_path / "config", "3", {"live.json": b'{"version": 1, "keysDirectory": "keys"}'})
    live.load()

    assert live.fault is None


def test_an_unchanged_state_is_not_loaded_again(live: Live, reloads: Counter) -> None:
    live.load()
    live.load()

    assert _count(reloads, "loaded") == 1


def test_no_key_yet_is_said(live: Live, tmp_path: Path) -> None:
    mount(tmp_path / "config/keys", "2", {})

    live.load()

    assert live.fault is None
    assert live.key_fault == "there is no key yet"


def test_settings_written_inline_have_keys_that_change(tmp_path: Path, reloads: Counter) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/alice").write_text("first-key")
    inline = LiveSettings(keys_directory="keys", operator_keys=(Operator().public,))
    live = Live(Source(tmp_path, inline), reloads=reloads)
    live.load()

    (tmp_path / "keys/alice").write_text("second-key")
    live.load()

    assert live.loaded.keyring.find(b"second-key")
    assert list(live.loaded.operator_keys) == ["one"]


async def test_the_files_are_watched(live: Live, tmp_path: Path) -> None:
    live.load()
    watching = asyncio.create_task(live.watch(interval_seconds=0.01))

    mount(tmp_path / "config/keys", "2", {"alice": b"second-key"})
    async with asyncio.timeout(5):
        while not live.loaded.keyring.find(b"second-key"):  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.01)

    watching.cancel()


def _count(counter: Counter, outcome: str) -> float:
    return sum(
        sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name == "reloads_total" and sample.labels["outcome"] == outcome
    )


def test_what_is_said_of_a_backend_that_there_is_not_is_no_fault(
    live: Live, tmp_path: Path
) -> None:
    settings = {"version": 1, "keysDirectory": "keys", "tools": [{"backend": "of-older-pods"}]}
    mount(tmp_path / "config", "2", {"live.json": json.dumps(settings).encode()})

    live.load()

    assert live.faults == ()
    assert live.loaded.keyring.find(b"first-key")
