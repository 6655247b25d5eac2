"""Tools as plain HTTP: no JSON-RPC, no handshake, one error body."""
