"""How what servers cost at one size compares with what they cost at another, as a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.report import Bound, Report, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COST_RATIO_MAX = 1.25
"""What a server may cost among many, to what it costs among few. What is quadratic costs five times
as much; machines and API servers are not the same twice."""

TEXT = """\
The same is done with the first {few} of {many} McpServers and with the last {few}: they are made,
all that are there then are changed, and are passed over by an operator that is started anew. Each
figure is for one server. Linear means that it does not grow: at most {bound} times as much among
{many} as among {few}. The API server, etcd and the machine have more to keep as well, and get
slower: so what is made and changed is also compared with the same writes sent raw at that size, for
{raw} servers. Time is that until all are observed, plainly and in units of what it takes raw.
Processor time is the operator's until nothing is left to do, plainly and in percent of what the API
server uses for it raw. What the servers cost meanwhile that stand already, for they are probed, is
in it: more, the more there are and the longer that takes. It is told apart, by what an idle minute
with them costs. *All made* are all {many}, from the first one on, to the first {few}. There are
{per} servers in a namespace, and addresses for ten times as many Services: the controllers look at
a namespace as a whole, and the API server ever longer for an address. The cluster is one of
pretended nodes and pods, as for [the bench](../reference/scale.md).

How long the last {few} take to be made, plainly, the API server decides, which is busy all the
time: Kubernetes 1.36 counts the addresses of all Services twice for each that it gives
(`ipallocator.Used`), which takes it longer the more there are. The bound is the same for it; where
it does not hold, the figures of raw say how much the API server slowed down without the operator.
"""


@dataclass
class Costs:
    """What servers cost at one size: each figure is for one server."""

    servers: int
    figures: dict[str, float] = field(default_factory=dict)
    """What may not grow, by what it is of and its unit."""
    details: dict[str, float] = field(default_factory=dict)
    """What these were made of, by the same."""
    processors: dict[str, dict[str, float]] = field(default_factory=dict)
    """Milliseconds of processor time, by what was done and the process: until all were observed, or
    in a minute in which nothing happened."""


def report(
    few: Costs, many: Costs, versions: Mapping[str, str], *, raw: int, per_namespace: int
) -> Report:
    """Compare what a server costs among many with what it costs among few.

    Args:
        few: What the first ones cost.
        many: What the last ones cost.
        versions: Of the libraries.
        raw: How many servers were written raw.
        per_namespace: How many servers a namespace has.
    """
    text = TEXT.format(
        few=few.servers,
        many=many.servers,
        bound=COST_RATIO_MAX,
        raw=raw,
        per=per_namespace,
    )
    columns = ["for each server", f"among {few.servers}", f"among {many.servers}"]
    before, after = few.figures | few.details, many.figures | many.details
    lines = [[name, f"{before[name]:.3g}", f"{after[name]:.3g}"] for name in before]
    used = [
        [f"{what}: {process}", f"{ms:.3g}", f"{many.processors[what][process]:.3g}"]
        for what, processes in few.processors.items()
        for process, ms in processes.items()
    ]
    processors = "Milliseconds: until all were observed, or in a minute in which nothing happened."
    return Report(
        title=f"{few.servers} and {many.servers} McpServers",
        text=text,
        rows=list(_rows(few, many)),
        tables=[
            Table("Figures", columns, lines),
            Table("Who used the processors", columns, used, processors),
        ],
        versions=versions,
        raw=[vars(few), vars(many)],
    )


def _rows(few: Costs, many: Costs) -> Iterator[Row]:
    for name, before in few.figures.items():
        what, _, unit = name.rpartition(", ")
        yield Row(
            what,
            many.figures[name],
            unit,
            ratio=many.figures[name] / before,
            peer=f"among {few.servers}",
            bound=Bound(COST_RATIO_MAX, at_least=False, of_ratio=True),
        )
