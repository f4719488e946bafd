"""Who is who, and who may do what."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.responses import Response

from labeling_ui import oidc
from labeling_ui.marks import mark
from labeling_ui.sessions import Door, Session, Sessions
from vigil.config import LabelingSection, Role
from vigil.errors import InputError
from vigil.labels.user_file import ROLES, User
from vigil.labels.users import Record, Users

COOKIE = "vigil_session"
LOCAL = "local"  # the user of a computer that has no users file
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
        return ROLES.index(self.role) >= ROLES.index(role)


class Doorkeeper:
    """Tell users by their session tokens; let the single local user in without a password.

    Users are looked up at every request, so that somebody who is removed or given another role
    or password feels it at once.

    Args:
        sessions: who is signed in.
        users_file: local users with passwords; may be absent.
        section: roles of OIDC identities.
        loopback: whether nobody but this computer reaches the server.
        record: is told of each change of users.

    Raises:
        InputError: reachable from elsewhere without users and without OIDC.
    """

    def __init__(
        self, sessions: Sessions, users_file: Path, section: LabelingSection, loopback: bool,
        record: Record | None = None,
    ) -> None:  # fmt: skip
        self.sessions, self._users_file, self._section = sessions, users_file, section
        self.users = Users(users_file, record)
        self.oidc = oidc.configured()
        self._loopback = loopback
        self._roster: tuple[tuple[int, ...], dict[str, User]] = ((), {})
        if not loopback and not self.oidc and not self.users.list():
            raise InputError(
                f"label: {section.host}: expected users or OIDC before listening beyond "
                "loopback, got neither; see `python -m stages.labels user --help`"
            )

    @property
    def single(self) -> bool:
        """Whether this computer's only user needs no password."""
        return self._loopback and not self.oidc and not self.users.exist()

    def identify(self, token: str) -> Identity | None:
        """Return whose session a token is of, None where it is nobody's (any more)."""
        session = self.sessions.find(token) if token else None
        role = None if session is None else self._role(session)
        return None if session is None or role is None else Identity(session.name, role)

    def admit(self, connection: HTTPConnection) -> str | None:
        """Return the token of a new session for one who needs to type nothing, else None."""
        if self.single and _is_near(connection):
            return self.sessions.start(LOCAL, Door.LOCAL)
        email = oidc.email(connection) if self.oidc else None
        if email is not None and email in self._section.oidc_roles:
            return self.sessions.start(email, Door.OIDC)
        return None

    def _role(self, session: Session) -> Role | None:
        if session.door is Door.LOCAL:
            return "admin" if self.single else None
        if session.door is Door.OIDC:
            return self._section.oidc_roles.get(session.name) if self.oidc else None
        user = self._known().get(session.name)
        lasts = user is not None and user.active and user.stamp == session.stamp
        return user.role if user is not None and lasts else None

    def _known(self) -> dict[str, User]:
        """Return the users by name, read anew when their file has changed."""
        found = mark(self._users_file)
        if found != self._roster[0] or not found:
            self._roster = (found, {user.name: user for user in self.users.list()})
        return self._roster[1]


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
