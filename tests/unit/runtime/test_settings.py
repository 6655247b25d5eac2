import json
from pathlib import Path
from typing import Any

import pytest

from breakwater_runtime.settings import SettingsError, load

GOOD: dict[str, Any] = {
    "backends": [{"python": {"server": "crm:mcp"}}],
    "live": {"keysDirectory": "keys"},
}


def faults_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load(path)
    return refused.value.faults


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(GOOD))
    (tmp_path / "config.yaml").write_text(
        "backends: [{python: {server: 'crm:mcp'}}]\nlive: {keysDirectory: keys}\n"
    )

    assert load(tmp_path / "config.json") == load(tmp_path / "config.yaml")


@pytest.mark.requirement("W5")
def test_every_fault_is_listed_with_path_found_and_accepted(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "revison": "abc",
                "backends": [{"name": "Main", "python": {"servr": "crm:mcp"}}],
                "listen": {"publicPort": 99999},
                "live": {"keysDirectory": ["keys"]},
            }
        )
    )

    faults = faults_of(path)

    found = 'config.json: backends[0].name: found "Main"; string should match pattern'
    assert any(fault.startswith(found) for fault in faults)
    assert "config.json: backends[0].python.server: required, and not there" in faults
    assert (
        "config.json: backends[0].python.servr: unknown field; did you mean server? "
        "accepted: server"
    ) in faults
    assert (
        "config.json: listen.publicPort: found 99999; input should be less than or equal to 65535"
    ) in faults
    assert any(fault.startswith("config.json: live.keysDirectory: found [") for fault in faults)
    assert any("config.json: revison: unknown field; did you mean revision?" in f for f in faults)
    assert len(faults) == 6


@pytest.mark.requirement("W5")
@pytest.mark.parametrize(
    ("field", "content", "wanted"),
    [
        pytest.param("queue", {"wait": 10}, "found 10; write a duration with its", id="number"),
        pytest.param("queue", {"wait": "10"}, "write a duration with its", id="no-unit"),
        pytest.param("bodies", {"max": 5}, "found 5; write a size in bytes", id="size"),
    ],
)
def test_what_has_a_unit_and_lacks_it_is_told_what_to_write(
    tmp_path: Path, field: str, content: dict[str, object], wanted: str
) -> None:
    path = tmp_path / "config.json"
    live = {"keysDirectory": "keys", "limits": {field: content}}
    path.write_text(json.dumps({"backends": [{"python": {"server": "a:b"}}], "live": live}))

    (fault,) = faults_of(path)

    (member,) = content
    assert fault.startswith(f"config.json: live.limits.{field}.{member}: {wanted}")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        pytest.param("c.json", "{", "c.json: Expecting", id="not-json"),
        pytest.param("c.yaml", "{", "c.yaml: not YAML", id="not-yaml"),
        pytest.param("c.json", "[]", "c.json: the file: found []", id="a-list"),
        pytest.param(
            "c.json", '{"a": 1, "a": 2}', "c.json: written twice in one object: a", id="2"
        ),
        pytest.param(
            "c.json", json.dumps({**GOOD, "liveFile": "l"}), "exactly one of live", id="l"
        ),
        pytest.param(
            "c.json", json.dumps({**GOOD, "backends": GOOD["backends"] * 2}), "backends", id="two"
        ),
        pytest.param("c.json", json.dumps({**GOOD, "x": "y" * 99}), "c.json: x: unknown", id="x"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: str, fault: str
) -> None:
    (tmp_path / name).write_text(content)

    assert fault in faults_of(tmp_path / name)[0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert faults_of(tmp_path / "none.json") == (
        f"{tmp_path}/none.json: cannot be read: No such file or directory",
    )
