"""What pods read when they start belongs to the revision, by a hash of the entries it names."""

from dataclasses import replace
from typing import Any

from breakwater_operator.api.models import McpServer
from breakwater_operator.render import revision, sources
from dev import golden

KEY = b"of this server"
FROM_SECRET = {"secretKeyRef": {"name": "github", "key": "token"}}
FROM_CONFIG = {"configMapKeyRef": {"name": "modes", "key": "mode", "optional": True}}


def server(*env: dict[str, Any], volumes: tuple[dict[str, Any], ...] = ()) -> McpServer:
    variables = [{"name": f"V{index}", "valueFrom": one} for index, one in enumerate(env)]
    backends = [{"python": {"server": "a:b", "env": variables}}]
    metadata = {"name": "crm", "namespace": "team-a", "uid": "u1", "generation": 1}
    spec = {"backends": backends, "pod": {"volumes": list(volumes)}}
    return McpServer.parse({"metadata": metadata, "spec": spec})


def live(version: str, uid: str = "s1", **data: str) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "resourceVersion": version}, "data": data}


def hashes(made: McpServer, found: dict[sources.Name, Any], *stored: sources.Source) -> list[str]:
    wanted = sources.consumed(made)
    held = [one.data() for one in stored]
    return [one.hash for one in sources.resolve(wanted, found, KEY, held)]


def test_only_the_entries_that_are_named_count() -> None:
    made = server(FROM_SECRET)
    name = ("Secret", "github")

    before = hashes(made, {name: live("1", token="a", other="x")})

    assert hashes(made, {name: live("2", token="a", other="y")}) == before
    assert hashes(made, {name: live("2", token="b", other="x")}) != before


def test_a_config_map_that_is_mounted_counts_as_a_whole_or_by_its_items() -> None:
    whole = {"name": "v", "configMap": {"name": "modes"}}
    some = {"name": "v", "configMap": {"name": "modes", "items": [{"key": "a", "path": "a"}]}}

    (all_of_it,) = sources.consumed(server(volumes=(whole,)))
    (part,) = sources.consumed(server(volumes=(some,)))

    assert (all_of_it.entries, part.entries) == (None, ("a",))


def test_no_hash_tells_the_content_to_who_has_no_key() -> None:
    wanted = sources.consumed(server(FROM_SECRET))
    found = {("Secret", "github"): live("1", token="aHVudGVyMg==")}

    ours, theirs = (sources.resolve(wanted, found, key, ()) for key in (KEY, b"another"))

    assert ours[0].hash != theirs[0].hash
    assert "aHVudGVyMg" not in str(ours[0].data())


def test_a_lost_key_renames_nothing_that_is_unchanged() -> None:
    wanted = sources.consumed(server(FROM_SECRET))
    found = {("Secret", "github"): live("1", token="a")}
    (held,) = sources.resolve(wanted, found, KEY, ())

    again = sources.resolve(wanted, found, b"a new key", [held.data()])
    changed = sources.resolve(
        wanted, {("Secret", "github"): live("2", token="a")}, b"a new key", [held.data()]
    )

    assert again == (held,)
    assert changed != (held,)


def test_what_is_missing_is_named_and_pods_that_run_are_left_alone() -> None:
    made = server(FROM_SECRET, FROM_CONFIG)
    wanted = sources.consumed(made)
    found = {("Secret", "github"): live("1", token="a")}
    first = sources.resolve(wanted, found, KEY, ())

    after = sources.resolve(wanted, {}, KEY, [one.data() for one in first])

    assert sources.digest(after) == sources.digest(first)
    (wait,) = sources.missing("team-a", wanted, {})
    assert str(wait).startswith("Secret team-a/github does not exist")
    (wait,) = sources.missing("team-a", wanted, {("Secret", "github"): live("1")})
    assert "has no entry token" in str(wait)


def test_an_object_that_lost_an_entry_replaces_no_pod_until_it_has_it_again() -> None:
    made = server(FROM_SECRET, {"secretKeyRef": {"name": "github", "key": "user"}})
    wanted, name = sources.consumed(made), ("Secret", "github")
    first = sources.resolve(wanted, {name: live("1", token="a", user="u")}, KEY, ())
    held = [one.data() for one in first]

    lost = sources.resolve(wanted, {name: live("2", user="v")}, KEY, held)
    again = sources.resolve(wanted, {name: live("3", token="b", user="v")}, KEY, held)
    as_it_was = sources.resolve(wanted, {name: live("4", token="a", user="u")}, KEY, held)

    assert lost == first
    assert sources.digest(again) != sources.digest(first)
    assert sources.digest(as_it_was) == sources.digest(first)


def test_what_appears_after_it_was_missing_is_a_new_revision() -> None:
    made = server(FROM_SECRET)
    wanted = sources.consumed(made)
    absent = sources.resolve(wanted, {}, KEY, ())

    there = sources.resolve(
        wanted, {("Secret", "github"): live("1", token="a")}, KEY, [one.data() for one in absent]
    )
    gone = sources.resolve(wanted, {}, KEY, [one.data() for one in there])

    assert sources.digest(there) != sources.digest(absent)
    assert sources.digest(gone) == sources.digest(there)


def test_a_revision_is_found_again_by_what_its_pods_read() -> None:
    made = server(FROM_SECRET)
    wanted = sources.consumed(made)
    one, other = (
        sources.resolve(wanted, {("Secret", "github"): live(value, token=value)}, KEY, ())
        for value in ("1", "2")
    )
    first = revision.current(made, golden.PLATFORM, (), one)
    stored = {
        "metadata": {"labels": {"breakwater.dev/revision": first.name}},
        "revision": 1,
        "data": dict(first.data),
    }

    assert revision.current(made, golden.PLATFORM, [stored], one) == first
    second = revision.current(made, golden.PLATFORM, [stored], other)
    assert (second.number, second.name == first.name) == (2, False)
    moved = (replace(one[0], version="7"),)
    assert revision.current(made, golden.PLATFORM, [stored], moved) == first
    assert revision.remembered(made, [stored]) == [one[0].data()]
