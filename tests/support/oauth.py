"""An OAuth server to test with: keys of every kind, metadata, tokens; on loopback only.

By hand: `python -m tests.support.oauth` says where it is and how to get a token.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

LIFETIME_SECONDS = 300


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Make an RSA key once per name: making one takes a while."""
    assert name
    return rsa.generate_private_key(65537, 2048)


@dataclass
class OAuthServer:
    """An issuer.

    Args:
        issuer: Its name, which is its URL once it serves.
        audience: Whom its tokens are for, if nothing else is asked.
        clock: What time it is, in seconds.
    """

    issuer: str = "https://id.example"
    audience: str = "https://mcp.example/mcp"
    clock: Any = time.time
    keys: dict[str, tuple[str, Private]] = field(default_factory=dict)
    jwks_uri: str | None = None
    """Where the metadata says that the keys are; by default where they are."""
    down: bool = False
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = self.keys or {
            "rsa": ("RS256", rsa_key("rsa")),
            "ec": ("ES256", ec.generate_private_key(ec.SECP256R1())),
            "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
        }

    def jwks(self) -> dict[str, Any]:
        """Publish the public keys, and some that are not for signatures."""
        return {
            "keys": [
                {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"},
                {**self._public("rsa"), "kid": "encrypts", "use": "enc"},
                *({**self._public(kid), "kid": kid, "use": "sig"} for kid in self.keys),
            ]
        }

    def token(
        self, kid: str = "rsa", *, header: dict[str, Any] | None = None, **claims: object
    ) -> str:
        """Sign a token; a claim of None is left out."""
        algorithm, key = self.keys[kid]
        now = int(self.clock())
        merged = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "alice",
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            **claims,
        }
        payload = {name: value for name, value in merged.items() if value is not None}
        headers = {"kid": kid, "typ": "at+jwt", **(header or {})}
        return jwt.encode(payload, key, headers.get("alg", algorithm), headers=headers)

    @contextmanager
    def serving(self, port: int = 0) -> Iterator["OAuthServer"]:
        """Answer on loopback."""
        http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.issuer = f"http://127.0.0.1:{http.server_address[1]}"
        try:
            yield self
        finally:
            http.shutdown()
            http.server_close()
            thread.join()

    def metadata(self) -> dict[str, Any]:
        """Say where everything is (OpenID Connect Discovery, RFC 8414)."""
        return {
            "issuer": self.issuer,
            "jwks_uri": self.jwks_uri or f"{self.issuer}/jwks",
            "token_endpoint": f"{self.issuer}/token",
            "grant_types_supported": ["client_credentials"],
        }

    def _public(self, kid: str) -> dict[str, Any]:
        algorithm, key = self.keys[kid]
        written = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
        assert isinstance(written, dict)
        return written

    def _answer(self, path: str) -> dict[str, Any] | None:
        match path:
            case "/.well-known/openid-configuration":
                return self.metadata()
            case "/jwks":
                return self.jwks()
        return None

    def _grant(self, form: dict[str, list[str]]) -> dict[str, Any]:
        client, scope = form.get("client_id", ["alice"])[0], form.get("scope", [""])[0]
        token = self.token(sub=client, scope=scope)
        return {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_SECONDS}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                self.reply(None if server.down else server._answer(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.reply(server._grant(parse_qs(body.decode())))

            def reply(self, content: dict[str, Any] | None) -> None:
                body = json.dumps(content).encode()
                self.send_response(200 if content is not None else 503)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Write nothing: the tests look at `requests`."""

        return Handler


if __name__ == "__main__":
    with OAuthServer().serving(port=9000) as running:
        sys.stdout.write(
            f"issuer {running.issuer}, audience {running.audience}; a token:\n"
            f"curl -d client_id=alice -d scope=crm.read {running.issuer}/token\n"
        )
        threading.Event().wait()
