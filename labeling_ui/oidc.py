"""Sign-in by an OpenID provider: Streamlit's own flow, exchanged for a session of ours.

`.streamlit/secrets.toml` names the provider, as `st.login` expects it. Streamlit keeps the
provider's answer in a signed cookie; it is read once and a session is begun.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse


def configured() -> bool:
    """Whether the secrets name a provider."""
    from streamlit.auth_util import get_secrets_auth_section

    return bool(get_secrets_auth_section())


def email(connection: HTTPConnection) -> str | None:
    """Return the verified address of whom the provider has just signed in, else None."""
    from streamlit.auth_util import get_cookie_with_chunks, get_origin_from_redirect_uri
    from streamlit.web.server.server_util import get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    def signed(name: str) -> bytes | None:
        value = connection.cookies.get(name)
        secret = get_cookie_secret()
        return decode_signed_value(secret, name, value.encode("latin-1")) if value else None

    raw = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
    if not raw:
        return None
    said = json.loads(raw)
    if said.get("origin") != get_origin_from_redirect_uri() or not said.get("is_logged_in"):
        return None
    if said.get("email_verified") is False:
        return None
    return said.get("email") or None


def cookies(connection: HTTPConnection) -> list[str]:
    """Return the names of the cookies in which Streamlit keeps a provider's answer."""
    return [name for name in connection.cookies if name.startswith("_streamlit_user")]


async def start(request: Request) -> RedirectResponse:
    """Send the browser to the provider."""
    from streamlit.auth_util import encode_provider_token, validate_auth_credentials

    validate_auth_credentials("default")
    query = urlencode({"provider": encode_provider_token("default")})
    return RedirectResponse(f"/auth/login?{query}", 303)
