import sys
from pathlib import Path

import pytest

from breakwater_runtime.backends.python import PythonBackend, load
from breakwater_runtime.calls import StartError

MODULE = """
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import SetLevelRequestParams
from mcp.server.auth.settings import AuthSettings

class Verifier:
    async def verify_token(self, token):
        return None

server = MCPServer("crm")
guarded = MCPServer(
    "guarded",
    token_verifier=Verifier(),
    auth=AuthSettings(
        issuer_url="https://id.example",
        resource_server_url="https://mcp.example",
        validate_token_resource=True,
    ),
)
number = 7

asking = MCPServer("asking")

@asking.tool()
async def ask(ctx: Context) -> str:
    return ""

async def keep(ctx, params):
    return {}

keeping = MCPServer("keeping")
keeping._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, keep)
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backend_under_test.py").write_text(MODULE)
    (tmp_path / "backend_that_fails.py").write_text("raise RuntimeError('no database')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "backend_under_test", raising=False)


def test_an_mcpserver_object_is_found() -> None:
    assert load("backend_under_test:server", "here").name == "crm"


@pytest.mark.requirement("W5")
@pytest.mark.parametrize(
    ("entry_point", "message"),
    [
        pytest.param(
            "no_such_module:server",
            "backends[main].python.server: module no_such_module cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_module'; install it beside the runtime",
            id="no-module",
        ),
        pytest.param(
            "backend_that_fails:server",
            "module backend_that_fails cannot be imported: RuntimeError: no database",
            id="fails",
        ),
        pytest.param(
            "backend_under_test:app",
            "module backend_under_test has no app; its MCPServer objects: server, guarded, ",
            id="no-attribute",
        ),
        pytest.param(
            "backend_under_test:number",
            "found a builtins.int; accepted: an mcp.server.MCPServer of the MCP SDK",
            id="another-type",
        ),
        pytest.param(
            "backend_under_test:guarded", "has authentication of its own", id="authenticates"
        ),
    ],
)
def test_anything_else_is_a_start_error_that_says_what_to_write(
    entry_point: str, message: str
) -> None:
    with pytest.raises(StartError) as refused:
        PythonBackend("main", entry_point)

    assert message in str(refused.value)


async def test_it_answers_while_its_lifespan_runs() -> None:
    backend = PythonBackend("main", "backend_under_test:server")

    before = backend.fault
    async with backend.running():
        during = backend.fault

    assert (before, during, backend.fault) == (before, None, before)
    assert before is not None


@pytest.mark.parametrize(
    ("server", "capabilities", "needed"),
    [
        pytest.param("server", {"sampling": {}}, False, id="nothing-asks"),
        pytest.param("asking", {}, False, id="nobody-to-ask"),
        pytest.param("asking", {"elicitation": {}}, True, id="both"),
        pytest.param("keeping", {}, True, id="something-is-kept"),
    ],
)
def test_a_session_is_needed_where_something_could_be_missed(
    server: str, capabilities: dict[str, object], needed: bool
) -> None:
    backend = PythonBackend("main", f"backend_under_test:{server}")

    assert backend.needs_session(capabilities) is needed
