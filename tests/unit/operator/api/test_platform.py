"""The operator's own configuration."""

import pytest

from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.platform import Platform

SMALLEST = {"namespace": "breakwater-system", "images": {"runtime": "registry.example/runtime:1"}}


def test_the_smallest_configuration_has_the_defaults() -> None:
    platform = Platform.parse(SMALLEST)

    assert (platform.instance, platform.watch_namespaces) == ("breakwater", ())
    assert platform.images.pull_policy == "IfNotPresent"


def test_every_fault_of_a_configuration_is_named() -> None:
    with pytest.raises(SpecError) as refused:
        Platform.parse({"images": {"runtime": "a b"}, "watchNamespace": "x"})

    message = str(refused.value)
    assert "namespace: is missing; add it" in message
    assert "images.runtime: 'a b'" in message
    assert "watchNamespace: is not a field here; remove it or correct its name" in message
