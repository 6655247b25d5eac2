"""What a manifest asks for and one process of this machine cannot give, found by trying.

No list of fields says it: each leaf that somebody wrote is changed, and where nothing comes of the
change that reaches the process, the leaf has no effect here. So a new field needs no word from us.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

from breakwater_contract.units import Duration, Quantity
from breakwater_operator.api.errors import BreakwaterError
from breakwater_operator.api.leaves import Effect, effect
from breakwater_operator.api.models import McpServer, McpServerSpec

Outcome = Callable[[McpServer], object]
"""What of a server reaches the process; two that are equal run alike."""

Put = Callable[[Any], McpServerSpec]

WHY = {
    Effect.REVISION: "it belongs to pods and their images, and here programs of this machine run",
    Effect.LIVE: "one process without a cluster has nothing to apply it to",
    Effect.CHILDREN: "it is about objects in a cluster, and here one process runs",
}


def without_effect(server: McpServer, outcome: Outcome) -> tuple[str, ...]:
    """Say of every leaf without an effect that it has none, and why."""
    now = outcome(server)
    return tuple(
        f"{path} has no effect here: {WHY[_effect(path)]}"
        for path, value, default, put in _leaves(server.spec, "spec", _same)
        if not any(_differs(server, put, other, outcome, now) for other in _others(value, default))
    )


def _same(spec: McpServerSpec) -> McpServerSpec:
    return spec


def _differs(server: McpServer, put: Put, other: Any, outcome: Outcome, now: object) -> bool:
    try:
        return outcome(server.model_copy(update={"spec": put(other)})) != now
    except (BreakwaterError, AttributeError, ValueError, TypeError, LookupError):
        # Somebody looked at it, and more closely than we wrote it.
        return True


def _leaves(
    model: Any, path: str, put: Callable[[Any], Any]
) -> Iterator[tuple[str, Any, Any, Put]]:
    """Go through the leaves that were written: path, value, default, and how to change them."""
    for name, field in type(model).model_fields.items():
        if name not in model.model_fields_set:
            continue
        here = f"{path}.{field.alias or name}"
        value = getattr(model, name)

        def put_field(new: Any, name: str = name) -> Any:
            return put(model.model_copy(update={name: new}))

        if isinstance(value, BaseModel):
            yield from _leaves(value, here, put_field)
        elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
            yield from _items(value, here, put_field)
        else:
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            yield here, value, default, put_field


def _items(
    items: tuple[Any, ...], path: str, put: Callable[[Any], Any]
) -> Iterator[tuple[str, Any, Any, Put]]:
    for number, item in enumerate(items):

        def put_item(new: Any, number: int = number) -> Any:
            return put((*items[:number], new, *items[number + 1 :]))

        yield from _leaves(item, f"{path}[{getattr(item, 'name', number)}]", put_item)


def _others(value: Any, default: Any) -> Iterator[Any]:
    """Think of other values: one that is surely different, and the default."""
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
        case Duration():
            yield Duration("61m")
            yield Duration("62m")
        case Quantity():
            yield Quantity("61Mi")
            yield Quantity("62Mi")
        case str():
            yield f"{value}x"
        case tuple():
            yield (*value, *value[:1]) if value else ("x",)
        case dict():
            yield {}
            yield {"x": next(iter(value.values()), "x")}
    if default != value:
        yield default


def _effect(path: str) -> Effect:
    parts = [part.partition("[")[0] for part in path.split(".")[1:]]
    return effect(".".join(parts))
