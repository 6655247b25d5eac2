import httpx2
import pytest

from tests.unit.runtime.fakes import ALICE, FakeBackend

HEADERS = {
    "x-api-key": ALICE,
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}
MESSAGE = b'{"jsonrpc": "2.0", "id": 7, "method": "tools/list"}'
MODERN = (
    b'{"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": '
    b'{"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}'
)


@pytest.mark.parametrize(
    ("method", "changes", "body", "status", "code"),
    [
        pytest.param("GET", {}, b"", 405, "METHOD_NOT_ALLOWED", id="get"),
        pytest.param("DELETE", {}, b"", 405, "METHOD_NOT_ALLOWED", id="delete"),
        pytest.param(
            "POST",
            {"content-type": "text/plain"},
            MESSAGE,
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            id="text",
        ),
        pytest.param(
            "POST", {"accept": "application/json"}, MESSAGE, 406, "NOT_ACCEPTABLE", id="json-only"
        ),
        pytest.param("POST", {"accept": "text/html"}, MESSAGE, 406, "NOT_ACCEPTABLE", id="html"),
        pytest.param("POST", {}, b"", 400, "MALFORMED", id="empty"),
        pytest.param("POST", {}, b"{", 400, "MALFORMED", id="cut-off"),
        pytest.param("POST", {}, b"\xff", 400, "MALFORMED", id="not-utf-8"),
        pytest.param("POST", {}, b"[" * 100_000, 400, "MALFORMED", id="deep"),
        pytest.param("POST", {}, b"7", 400, "INVALID_MESSAGE", id="number"),
        pytest.param("POST", {}, b"[]", 400, "INVALID_MESSAGE", id="empty-batch"),
        pytest.param("POST", {}, b"[7]", 400, "INVALID_MESSAGE", id="batch-of-numbers"),
        pytest.param("POST", {}, b'{"method": 7}', 400, "INVALID_MESSAGE", id="method-a-number"),
        pytest.param("POST", {}, MODERN, 400, "HEADER_MISMATCH", id="no-version-header"),
    ],
)
async def test_what_is_no_message_is_refused_as_json_rpc(
    public: httpx2.AsyncClient,
    backend: FakeBackend,
    method: str,
    changes: dict[str, str],
    body: bytes,
    status: int,
    code: str,
) -> None:
    response = await public.request(method, "/mcp", headers=HEADERS | changes, content=body)

    assert response.status_code == status
    assert response.json()["error"]["data"]["code"] == code
    assert response.headers.get("allow") == ("POST" if status == 405 else None)
    assert backend.bodies == []


async def test_the_error_names_the_message_it_is_about(public: httpx2.AsyncClient) -> None:
    response = await public.post("/mcp", headers=HEADERS, content=MODERN)

    assert response.json()["id"] == 7


@pytest.mark.parametrize("accept", ["*/*", "application/*, text/*", HEADERS["accept"] + ";q=0.5"])
async def test_a_message_reaches_the_backend(
    public: httpx2.AsyncClient, backend: FakeBackend, accept: str
) -> None:
    response = await public.post("/mcp", headers=HEADERS | {"accept": accept}, content=MESSAGE)

    assert response.status_code == 200
    assert [(call.method, call.id) for call in backend.bodies] == [("tools/list", 7)]
