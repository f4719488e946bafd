"""Who is who, and who may do what."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import get_args

from starlette.requests import HTTPConnection
from starlette.responses import Response

from labeling_ui import oidc
from labeling_ui.sessions import Door, Sessions
from vigil.config import LabelingSection, Role
from vigil.errors import InputError
from vigil.labels.users import Users

COOKIE = "vigil_session"
LOCAL = "local"  # the user of a computer that has no users file
_ROLES: tuple[str, ...] = get_args(Role)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
              "x-real-ip", "via")  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """Somebody who is signed in.

    Attributes:
        name: written into votes and the audit log.
        role: annotator, reviewer or admin.
    """

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this person may do what asks for `role`."""
        return _ROLES.index(self.role) >= _ROLES.index(role)


class Doorkeeper:
    """Tell users by their session tokens; let the single local user in without a password.

    Roles are looked up at every request, so that a user who is removed or given another role
    feels it at once.

    Args:
        sessions: who is signed in.
        users: local users with passwords.
        section: roles of OIDC identities.
        loopback: whether nobody but this computer reaches the server.

    Raises:
        InputError: reachable from elsewhere without users and without OIDC.
    """

    def __init__(
        self, sessions: Sessions, users: Users, section: LabelingSection, loopback: bool
    ) -> None:
        self.sessions, self.users, self._section = sessions, users, section
        self.oidc = oidc.configured()
        self._loopback = loopback
        if not loopback and not self.oidc and not users.list():
            raise InputError(
                f"label: {section.host}: expected users or OIDC before listening beyond "
                "loopback, got neither; see `python -m stages.labels user --help`"
            )

    @property
    def single(self) -> bool:
        """Whether this computer's only user needs no password."""
        return self._loopback and not self.oidc and not self.users.list()

    def identify(self, token: str) -> Identity | None:
        """Return whose session a token is of, None where it is nobody's (any more)."""
        session = self.sessions.find(token) if token else None
        if session is None:
            return None
        role = self._role(session.name, session.door)
        return None if role is None else Identity(session.name, role)

    def admit(self, connection: HTTPConnection) -> str | None:
        """Return the token of a new session for one who needs to type nothing, else None."""
        if self.single and _is_near(connection):
            return self.sessions.start(LOCAL, Door.LOCAL)
        email = oidc.email(connection) if self.oidc else None
        if email is not None and email in self._section.oidc_roles:
            return self.sessions.start(email, Door.OIDC)
        return None

    def _role(self, name: str, door: Door) -> Role | None:
        if door is Door.LOCAL:
            return "admin" if self.single else None
        if door is Door.OIDC:
            return self._section.oidc_roles.get(name) if self.oidc else None
        return next((u.role for u in self.users.list() if u.name == name and u.active), None)


def current_user() -> Identity | None:
    """Return who looks at the Streamlit page that runs; None when the session is over."""
    import streamlit as st

    from labeling_ui.service import running

    return running().doorkeeper.identify(st.context.cookies.get(COOKIE, ""))


def set_cookie(response: Response, connection: HTTPConnection, token: str) -> None:
    """Let the browser keep a session's token where no script and no other site reaches it."""
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="strict", secure=connection.url.scheme == "https"
    )


def _is_near(connection: HTTPConnection) -> bool:
    """Whether a request comes from this computer itself, and from no proxy on it."""
    client = connection.client
    if client is None or any(name in connection.headers for name in _FORWARDED):
        return False
    return ipaddress.ip_address(client.host).is_loopback
