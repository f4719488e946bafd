"""A small OpenID provider on loopback that signs in whoever asks, as it was told to."""

from __future__ import annotations

import json
import sys
import time
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

CLIENT = "vigil-test"


def build(address: str, visitors: list[dict[str, Any]]) -> Starlette:
    """Return the provider that lives at `address`; `visitors` are what it says of one, another."""
    key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
    nonces: dict[str, str] = {}

    async def discovery(_: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": address,
                "authorization_endpoint": f"{address}/authorize",
                "token_endpoint": f"{address}/token",
                "jwks_uri": f"{address}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def authorize(request: Request) -> RedirectResponse:
        query = request.query_params
        nonces["code"] = query.get("nonce", "")
        back = urlencode({"code": "code", "state": query["state"]})
        return RedirectResponse(f"{query['redirect_uri']}?{back}", 303)

    async def token(_: Request) -> JSONResponse:
        now = int(time.time())
        said = {"iss": address, "sub": "1", "aud": CLIENT, "iat": now, "exp": now + 60,
                "nonce": nonces["code"], **visitors.pop(0)}  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, said, key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": signed})

    async def keys(_: Request) -> JSONResponse:
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/keys", keys),
        ]
    )


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(build(f"http://127.0.0.1:{port}", json.loads(sys.argv[2])), port=port,
                log_level="warning")  # fmt: skip
