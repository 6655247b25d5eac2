"""The port for the other pods of the server."""

from starlette.types import ASGIApp

from breakwater_contract import metrics as catalogue
from breakwater_runtime.app.process import JSON_RPC_PATHS, Process
from breakwater_runtime.http.answer_headers import AnswerHeaders
from breakwater_runtime.http.body_limit import BodyLimit
from breakwater_runtime.http.errors import Errors
from breakwater_runtime.http.in_flight import InFlight
from breakwater_runtime.http.pipeline import Pipeline
from breakwater_runtime.protocol.introductions import Introduction


def internal(process: Process) -> ASGIApp:
    """Make the port for peers; what holds for all clients was seen to where these came in."""
    live, sources = process.live, process.sources
    cut = process.metrics.counter(catalogue.CUT)
    return Pipeline(
        [
            Introduction(process.sharing.here, process.health.ready),
            process.sharing.admit,
            InFlight(
                limits=lambda: live.loaded.limits,
                places=process.peer_places,
                count_cut=lambda reason: cut.labels(reason).inc(),
            ),
            BodyLimit(max_bytes=lambda: live.loaded.wire.body_bytes),
        ],
        process.sharing,
        headers=AnswerHeaders(),
        errors=Errors(json_rpc=JSON_RPC_PATHS, now=sources.now),
        new_id=sources.new_id,
    )
