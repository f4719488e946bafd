"""Who gets in, and how far: every route, every kind of visitor."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from labeling_ui.auth import Doorkeeper
from labeling_ui.sessions import Door, Sessions
from tests.labeling_ui.projects import PASSWORD, ROOT, Project, make
from tests.labeling_ui.servers import Annotator, Server, serving, token
from vigil.config import load
from vigil.errors import InputError
from vigil.labels.users import Users

VISITORS = ("nobody", "ann", "rita", "adam")


@pytest.fixture(scope="module")
def visitors(server: Server) -> dict[str, httpx.Client]:
    people = {name: server.sign_in(name).client for name in VISITORS[1:]}
    return {"nobody": server.client(), **people}


def routes(annotator: Annotator) -> dict[tuple[str, str], str]:
    """Return the least role of each route."""
    video = annotator.get("/api/videos")["videos"][0]["key"]
    clip = annotator.clips()[0]["key"]
    found = {("GET", path): "annotator" for path in (
        "/", "/static/none.js", "/_stcore/host-config", "/api/me", "/api/videos",
        f"/api/clips?video={video}", f"/api/next?video={video}", "/api/queue",
        f"/media/raw/{video}", f"/media/silhouette/{video}", f"/media/thumb/{video}",
        f"/media/overlay/{clip}", "/api/none", "/media/none.png",
    )}  # fmt: skip
    found |= {("POST", path): "annotator" for path in ("/api/votes", "/api/undo", "/api/redo")}
    return found | {("GET", "/api/disputed"): "reviewer", ("POST", "/api/adjudicate"): "reviewer"}


@pytest.mark.parametrize("visitor", VISITORS)
def test_each_route_lets_in_its_roles_and_nobody_else(
    server: Server, visitors: dict[str, httpx.Client], visitor: str
) -> None:
    client = visitors[visitor]
    for (method, path), least in routes(Annotator(visitors["ann"])).items():
        headers = {"content-type": "application/json"}
        if visitor != "nobody":
            headers["X-Vigil-CSRF"] = client.get("/api/me").json()["csrf"]
        status = client.request(method, path, headers=headers).status_code
        if visitor == "nobody":
            assert status == 401, (method, path)
        elif least == "reviewer" and visitor == "ann":
            assert status == 403, (method, path)
        else:
            assert status not in {401, 403}, (method, path)


@pytest.mark.parametrize(
    "path", ["/api/votes", "/api/undo", "/api/redo", "/api/adjudicate", "/logout"]
)
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no token"),
        pytest.param({"X-Vigil-CSRF": ""}, id="empty token"),
        pytest.param({"X-Vigil-CSRF": "0" * 64}, id="wrong token"),
        pytest.param({"X-Vigil-CSRF": "é"}, id="no ASCII"),
        pytest.param({"Origin": "http://evil.example"}, id="another origin"),
        pytest.param({"Origin": "null"}, id="no origin to speak of"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, id="another port"),
    ],
)
def test_a_forged_change_is_refused(
    server: Server, visitors: dict[str, httpx.Client], path: str, headers: dict[str, str]
) -> None:
    client = visitors["rita"]
    own = {"X-Vigil-CSRF": client.get("/api/me").json()["csrf"]} if "Origin" in headers else {}
    sent = {name: value.encode() for name, value in (own | headers).items()}
    answer = client.post(path, json={"token": token()}, headers=sent)
    assert answer.status_code == 403
    assert client.get("/api/me").status_code == 200, "the session must go on"


def test_a_change_from_our_own_page_is_taken(
    server: Server, visitors: dict[str, httpx.Client]
) -> None:
    client = visitors["ann"]
    own = {"X-Vigil-CSRF": client.get("/api/me").json()["csrf"], "Origin": server.address}
    assert client.post("/api/undo", json={"token": token()}, headers=own).status_code == 200


def test_a_token_of_another_session_is_refused(visitors: dict[str, httpx.Client]) -> None:
    other = visitors["adam"].get("/api/me").json()["csrf"]
    answer = visitors["ann"].post(
        "/api/undo", json={"token": token()}, headers={"X-Vigil-CSRF": other}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
def test_another_host_name_is_refused_even_with_a_session(
    visitors: dict[str, httpx.Client], host: str
) -> None:
    assert visitors["adam"].get("/api/me", headers={"Host": host}).status_code == 421


def test_localhost_is_a_name_of_ours(server: Server, visitors: dict[str, httpx.Client]) -> None:
    host = f"localhost:{urlsplit(server.address).port}"
    assert visitors["adam"].get("/api/me", headers={"Host": host}).status_code == 200


def test_a_person_without_a_session_is_sent_to_sign_in(server: Server) -> None:
    answer = server.client().get("/videos", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    page = server.client().get("/login")
    assert page.status_code == 200
    assert 'name="password"' in page.text


def test_the_page_of_signing_in_escapes_what_it_repeats(server: Server) -> None:
    name = '"><script>alert(1)</script>'
    page = server.client().post("/login", data={"name": name, "password": "no"})
    assert page.status_code == 401
    assert "<script>" not in page.text


def test_the_cookie_is_kept_from_scripts_and_other_sites(server: Server) -> None:
    answer = server.client().post("/login", data={"name": "ann", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_another_site_s_form_signs_nobody_in(server: Server) -> None:
    form = {"name": "ann", "password": PASSWORD}
    foreign = server.client().post("/login", data=form, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert "set-cookie" not in foreign.headers


def test_a_link_from_another_site_comes_in_without_its_cookie_and_asks_again(
    server: Server,
) -> None:
    link = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    answer = server.client().get("/queue", headers=link)
    assert answer.status_code == 200, "a redirect would be cross-site still"
    assert 'http-equiv="refresh"' in answer.text
    again = server.client().get("/queue", headers=link | {"Sec-Fetch-Site": "same-origin"})
    assert again.headers["location"] == "/login"


def test_signing_in_anew_ends_the_session_before(server: Server) -> None:
    client = server.sign_in("ann").client
    before = client.cookies["vigil_session"]
    client.post("/login", data={"name": "ann", "password": PASSWORD})
    assert client.cookies["vigil_session"] != before
    late = httpx.get(f"{server.address}/api/me", timeout=60, cookies={"vigil_session": before})
    assert late.status_code == 401


def test_signing_out_ends_the_session_for_good(server: Server) -> None:
    annotator = server.sign_in("bob")
    cookie = annotator.client.cookies["vigil_session"]
    assert annotator.post("/logout", {}).status_code == 303
    late = httpx.get(f"{server.address}/api/me", timeout=60, cookies={"vigil_session": cookie})
    assert late.status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "é".encode().decode("latin-1"), "a" * 4000])
def test_a_made_up_session_is_none(server: Server, cookie: str) -> None:
    answer = httpx.get(
        f"{server.address}/api/me",
        timeout=60,
        headers={b"cookie": b"vigil_session=" + cookie.encode("latin-1")},
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
def test_a_websocket_needs_a_session_and_our_origin(
    server: Server, visitors: dict[str, httpx.Client], origin: str | None
) -> None:
    ours = {"cookie": f"vigil_session={visitors['ann'].cookies['vigil_session']}"}
    assert handshake(server, ours | {"origin": server.address}) == 101
    assert handshake(server, {"origin": server.address}) == 403
    foreign = ours | ({} if origin is None else {"origin": origin})
    assert handshake(server, foreign) == 403


def handshake(server: Server, headers: dict[str, str]) -> int:
    """Ask for Streamlit's WebSocket and return the status of the answer."""
    parts = urlsplit(server.address)
    lines = [
        "GET /_stcore/stream HTTP/1.1", f"Host: {parts.netloc}", "Connection: Upgrade",
        "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: streamlit",
        *(f"{name}: {value}" for name, value in headers.items()), "", "",
    ]  # fmt: skip
    with socket.create_connection((parts.hostname or "", parts.port or 0), 120) as stream:
        stream.sendall("\r\n".join(lines).encode())
        return int(stream.recv(64).split()[1])


def test_guessing_a_password_is_slowed_down_and_others_get_in(server: Server) -> None:
    client = server.client()
    said = [
        client.post("/login", data={"name": "adam", "password": str(number)}).status_code
        for number in range(9)
    ]
    assert said == [401] * 8 + [429]
    right = client.post("/login", data={"name": "adam", "password": PASSWORD})
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 0
    server.sign_in("bob")


def test_a_user_feels_every_change_at_once(team: Project, server: Server) -> None:
    users = Users(team.paths.users)
    users.add("temp", PASSWORD, "annotator")
    temp = server.sign_in("temp").client
    users.set_role("temp", "reviewer")
    assert temp.get("/api/me").status_code == 401
    temp = server.sign_in("temp").client
    assert temp.get("/api/disputed").status_code == 200
    users.set_password("temp", PASSWORD)
    assert temp.get("/api/me").status_code == 401
    temp = server.sign_in("temp").client
    users.remove("temp")
    assert temp.get("/api/me").status_code == 401


def test_a_damaged_file_of_users_lets_nobody_in(tmp_path: Path) -> None:
    section = load(ROOT / "params.yaml")[0].labeling
    sessions = Sessions(tmp_path / "sessions.json", 60)
    keeper = Doorkeeper(sessions, tmp_path / "users.json", section, loopback=True)
    assert keeper.single
    (tmp_path / "users.json").write_text("{}")
    assert not keeper.single
    with pytest.raises(InputError, match="users"):
        keeper.identify(sessions.start("ann", Door.PASSWORD))


@pytest.mark.slow
def test_the_only_user_of_a_computer_needs_no_password(tmp_path: Path) -> None:
    project = make(tmp_path, people=False)
    with serving(project.params) as server:
        client = server.client()
        assert client.get("/api/me").status_code == 401, "a session begins with a page"
        for path in ("/queue", "/label?video=0&clip=1"):
            page = server.client().get(path, headers={"Accept": "text/html"})
            assert page.headers["location"] == path
        client.get("/", headers={"Accept": "text/html"})
        assert client.get("/api/me").json() | {"csrf": ""} == {
            "name": "local", "role": "admin", "csrf": ""
        }  # fmt: skip
        for name in ("X-Forwarded-For", "Via", "Forwarded"):
            page = server.client().get("/", headers={"Accept": "text/html", name: "203.0.113.9"})
            assert page.headers["location"] == "/login", f"{name}: a proxy's users are many"
        Users(project.paths.users).add("ann", PASSWORD, "annotator")
        assert client.get("/api/me").status_code == 401, "with users, everybody signs in"


def test_each_answer_carries_the_headers_that_confine_it(
    visitors: dict[str, httpx.Client], server: Server
) -> None:
    for path in ("/", "/login", "/api/me", "/api/none", "/_stcore/health"):
        headers = visitors["ann"].get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert "unsafe-eval" not in headers["content-security-policy"], path
    assert "'unsafe-inline'" not in server.client().get("/login").headers["content-security-policy"]
