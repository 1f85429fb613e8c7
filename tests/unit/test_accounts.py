"""Accounts: what an address may do, whom a proxy vouches for, and the login against a real OpenID Connect provider."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from oidc_provider_mock import User, run_server_in_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.testclient import TestClient
from streamlit import config
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.starlette.starlette_auth_routes import create_auth_routes

from explorer.catalog.database import Catalog
from explorer.errors import BadInput, NotFound
from explorer.sharing.access import Scope, may
from explorer.sharing.accounts import Account, AccountStore, named_owners
from explorer.web import gate, identities, join, routes, state
from explorer.web.proxies import Proxied, Proxies
from explorer.web.runtime import Runtime, runtime

HOST = "http://127.0.0.1:8501"
ADA = Account("oidc here ada-1", "ada@museum.org", "Ada")


def test_roles_by_address_domain_and_for_all(either_catalog: Catalog, monkeypatch) -> None:
    monkeypatch.setattr("explorer.sharing.accounts._FRESH_SECONDS", 0)
    store = AccountStore(either_catalog, owners=["own@museum.org"])
    assert store.person_of(ADA) is None
    domain = store.add(" @Museum.org ", "look", Scope("demo"))
    assert store.add("@museum.org", "look", Scope("demo")) == domain
    one = store.add("ada@museum.org", "label", Scope("demo", "q1"))
    ada = store.person_of(ADA)
    assert ada.name == "Ada"
    assert may(ada, "look", Scope("demo"))
    assert may(ada, "label", Scope("demo", "q1"))
    assert not may(ada, "label", Scope("demo", "q2"))
    assert not may(ada, "look", Scope("other"))
    for stranger in ("bob@x.museum.org", "bob@notmuseum.org", "museum.org", "bob@museum.org.evil.example", ""):
        assert store.person_of(Account("k", stranger)) is None
    assert may(store.person_of(Account("o", "own@museum.org")), "own", Scope("anything"))
    store.revoke(domain.id)
    with pytest.raises(NotFound):
        store.revoke(domain.id)
    assert not may(store.person_of(ADA), "look", Scope("demo"))
    assert store.all("demo") == [one]
    assert store.all("other") == []
    store.add("*", "look", Scope("open"))
    assert may(store.person_of(Account("k", "")), "look", Scope("open"))


def test_an_account_is_one_person_whatever_its_name(either_catalog: Catalog) -> None:
    first, second = (AccountStore(either_catalog, owners=["ada@museum.org"]) for _ in range(2))
    person = first.person_of(ADA)
    later = second.person_of(Account(ADA.key, ADA.address, "Ada\nLovelace" + "x" * 200))
    assert later.id == person.id
    assert later.name.startswith("AdaLovelace")
    assert len(later.name) == 80
    assert second.person_of(Account("oidc there ada-1", ADA.address)).id != person.id


@pytest.mark.parametrize(
    ("pattern", "role", "scope"),
    [
        ("ada", "look", Scope()), ("ada@b@c", "look", Scope()), ("", "look", Scope()), ("@", "look", Scope()),
        ("**", "look", Scope()), ("a@b.c, d@e.f", "look", Scope()), ("a@b.c\n", "see", Scope()),
        ("a@b.c", "look", Scope("", "q")),
    ],
)  # fmt: skip
def test_a_role_that_cannot_be_right_is_refused(either_catalog: Catalog, pattern, role, scope) -> None:
    with pytest.raises(BadInput):
        AccountStore(either_catalog, owners=()).add(pattern, role, scope)
    assert AccountStore(either_catalog, owners=()).all() == []


def test_owners_are_addresses(monkeypatch) -> None:
    monkeypatch.setenv("EXPLORER_OWNERS", " Ada@Museum.org, bob@museum.org,")
    assert named_owners() == {"ada@museum.org", "bob@museum.org"}
    monkeypatch.setenv("EXPLORER_OWNERS", "@museum.org")
    with pytest.raises(BadInput, match=r"@museum\.org"):
        named_owners()


# --- a proxy's word ---


@pytest.fixture
def behind_proxy(demo_copy, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("EXPLORER_PROXIES", "10.1.0.0/30, ::1")
    monkeypatch.setenv("EXPLORER_PROXY_HEADER", "X-Forwarded-Email")
    return runtime()


def _server(rt: Runtime, peer: str = "127.0.0.1", more: tuple = ()) -> TestClient:
    app = Starlette(
        routes=[*identities.ROUTES, *join.ROUTES, *more, *routes.ROUTES],
        middleware=[
            Middleware(Proxied, proxies=rt.visitors.proxies),
            Middleware(gate.Gate, visitors=rt.visitors),
            Middleware(SessionMiddleware, secret_key="s" * 32),
        ],
    )
    return TestClient(app, base_url=HOST, client=(peer, 1234), follow_redirects=False)


def _picture(rt: Runtime) -> str:
    return f"/x/demo/thumb/{rt.space('demo', rt.space_keys('demo')[0].key).hashes[0]}.jpg"


def test_only_a_named_proxy_says_who_asks(behind_proxy: Runtime) -> None:
    rt = behind_proxy
    rt.accounts.add("@museum.org", "look", Scope("demo"))
    told = {"x-forwarded-email": "Ada@museum.org"}
    for peer in ("10.1.0.2", "::ffff:10.1.0.2", "::1"):
        assert _server(rt, peer).get(_picture(rt), headers=told).status_code == 200
    for peer in ("127.0.0.1", "10.1.0.4", "", "testclient"):
        assert _server(rt, peer).get(_picture(rt), headers=told).status_code == 403
    proxy = _server(rt, "10.1.0.2")
    assert proxy.get(_picture(rt)).status_code == 403
    assert proxy.get(_picture(rt), headers={"x-forwarded-email": "ada@evil.example"}).status_code == 403
    twice = [("x-forwarded-email", "ada@museum.org"), ("X-Forwarded-Email", "ada@museum.org")]
    assert proxy.get(_picture(rt), headers=twice).status_code == 403
    closed = proxy.get("/map", headers={"x-forwarded-email": "<b>@evil.example", "accept": "text/html"})
    assert closed.status_code == 403
    assert "<b>@" not in closed.text


def test_pages_know_whom_the_door_let_in(behind_proxy: Runtime, monkeypatch) -> None:
    role = behind_proxy.accounts.add("ada@museum.org", "look", Scope("demo"))
    context = SimpleNamespace(cookies={}, headers={"x-forwarded-email": "ada@museum.org"}, url=f"{HOST}/map")
    monkeypatch.setattr("explorer.web.state.st.context", context)
    person = state.me()
    assert person.name == "ada"
    assert [(each.role, each.scope) for each in person.grants] == [("look", Scope("demo"))]
    behind_proxy.accounts.revoke(role.id)
    assert state.me() is None


def test_what_a_stranger_says_in_a_proxys_place_is_taken_off() -> None:
    proxies = Proxies(Proxies().networks, "x-forwarded-email")
    headers = [
        (b"X-Forwarded-Email", b"a@b.c"),
        (b"x-forwarded-for", b"9.9.9.9"),
        (b"Forwarded", b"for=x"),
        (b"a", b"b"),
    ]
    asked = {"type": "http", "scheme": "http", "client": ("6.6.6.6", 1), "headers": headers}
    seen = proxies.seen(asked)
    assert seen["headers"] == [(b"a", b"b")]
    assert (seen["client"], seen["scheme"]) == (("6.6.6.6", 1), "http")


def test_a_proxy_tells_scheme_and_client(behind_proxy: Runtime) -> None:
    said = [(b"x-forwarded-for", b"127.0.0.1, 6.6.6.6, 10.1.0.1"), (b"x-forwarded-proto", b"https")]
    asked = {"type": "websocket", "scheme": "ws", "client": ("10.1.0.2", 1), "headers": said}
    seen = behind_proxy.visitors.proxies.seen(asked)
    assert seen["client"] == ("6.6.6.6", 0)  # the first place can be made up, the last one is a proxy too
    assert seen["scheme"] == "wss"
    assert asked["client"] == ("10.1.0.2", 1)


@pytest.mark.parametrize(
    ("named", "header"),
    [("everywhere", ""), ("0.0.0.0/0", ""), ("10.0.0.1/8", ""), ("", "x-user"), ("10.0.0.1", "cookie"), ("::1", "x y")],
)
def test_proxies_that_cannot_be_right_are_refused(monkeypatch, named, header) -> None:
    monkeypatch.setenv("EXPLORER_PROXIES", named)
    monkeypatch.setenv("EXPLORER_PROXY_HEADER", header)
    with pytest.raises(BadInput, match="EXPLORER_PROX"):
        Proxies.from_environment()


# --- the login ---


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Path]:
    """A provider that knows Ada, and whose word Streamlit is told to take; the file of secrets."""
    ada = User(sub="ada-1", claims={"email": "Ada@museum.org", "email_verified": True, "name": "Ada"})
    with run_server_in_thread(user_claims=(ada,)) as server:
        file = tmp_path / "secrets.toml"
        file.write_text(
            f'[auth]\nredirect_uri = "{HOST}/oauth2callback"\ncookie_secret = "{"c" * 40}"\nclient_id = "explorer"\n'
            f'client_secret = "s"\nserver_metadata_url = "http://localhost:{server.server_port}'
            '/.well-known/openid-configuration"\n'
        )
        before = config.get_option("secrets.files")
        config.set_option("secrets.files", [str(file)])
        _read_again()
        yield file
        config.set_option("secrets.files", before)
        _read_again()


def _read_again() -> None:
    secrets_singleton._reset()
    identities.login.cache_clear()


def _log_in(client: TestClient, subject: str) -> httpx.Response:
    there = client.get("/login").headers["location"]
    assert there.startswith("/auth/login?provider=")
    asked = client.get(there).headers["location"]
    answer = httpx.post(asked, data={"sub": subject})
    return client.get(answer.headers["location"].removeprefix(HOST))


def test_whoever_logs_in_is_known_to_the_door_and_the_routes(demo_copy, provider) -> None:
    rt = runtime()
    role = rt.accounts.add("ada@museum.org", "label", Scope("demo"))
    client = _server(rt, more=tuple(create_auth_routes("")))
    assert client.get(_picture(rt)).status_code == 403
    assert 'href="/login"' in client.get("/map", headers={"accept": "text/html"}).text
    assert _log_in(client, "ada-1").status_code == 302
    assert client.get(_picture(rt)).status_code == 200
    person = rt.visitors.of(dict(client.cookies), 8501)
    assert (person.name, [each.role for each in person.grants]) == ("Ada", ["label"])
    # a link adds to what the account may, and the person stays who she is
    _, secret = rt.links.create("edit", Scope("demo"))
    came = client.post("/join", json={"secret": secret}, headers={"x-explorer": "1", "origin": HOST})
    assert came.status_code == 200
    both = rt.visitors.of(dict(client.cookies), 8501)
    assert both.id == person.id
    assert {each.role for each in both.grants} == {"label", "edit"}
    rt.accounts.revoke(role.id)
    assert {each.role for each in rt.visitors.of(dict(client.cookies), 8501).grants} == {"edit"}
    client.get("/auth/logout")
    assert "_streamlit_user" not in client.cookies


def test_an_address_that_nobody_verified_opens_nothing(demo_copy, provider: Path) -> None:
    rt = runtime()
    rt.accounts.add("@museum.org", "look", Scope("demo"))
    client = _server(rt, more=tuple(create_auth_routes("")))
    _log_in(client, "eve@museum.org")  # the provider passes on what she typed, without a word on whether it is hers
    assert client.get(_picture(rt)).status_code == 403
    assert "not verified" in client.get("/map", headers={"accept": "text/html"}).text
    provider.write_text(provider.read_text() + "trust_addresses = true\n")
    _read_again()
    assert client.get(_picture(rt)).status_code == 200


def test_a_forged_or_foreign_login_is_nobody(demo_copy, provider: Path) -> None:
    rt = runtime()
    rt.accounts.add("*", "look", Scope("demo"))
    client = _server(rt, more=tuple(create_auth_routes("")))
    _log_in(client, "ada-1")
    good = client.cookies["_streamlit_user"]
    assert client.get(_picture(rt)).status_code == 200
    for forged in ("", "x", good[:-1] + ("A" if good[-1] != "A" else "B"), "é", good.split(".")[0]):
        assert identities.account_of({"_streamlit_user": forged}, {}, Proxies()) is None
    provider.write_text(provider.read_text().replace("8501/oauth2callback", "8502/oauth2callback"))
    _read_again()  # a cookie that another app's login signed with the same secret
    assert identities.account_of({"_streamlit_user": good}, {}, Proxies()) is None
    began = time.perf_counter()
    for _ in range(100):
        identities.account_of({"_streamlit_user": good}, {}, Proxies())
    assert time.perf_counter() - began < 1.0  # every request asks


def test_several_providers_are_offered_by_name(demo_copy, provider: Path) -> None:
    first, second = provider.read_text().split("client_id", 1)
    section = f"client_id{second}"
    provider.write_text(f"{first}[auth.museum]\n{section}[auth.university]\n{section}")
    _read_again()
    client = _server(runtime(), more=tuple(create_auth_routes("")))
    offered = client.get("/login")
    assert offered.status_code == 200
    assert 'href="/login?with=museum"' in offered.text
    assert client.get("/login?with=nobody").status_code == 200
    there = client.get("/login?with=university").headers["location"]
    assert client.get(there).headers["location"].startswith("http://localhost:")


def test_where_nobody_logs_in_there_is_no_login(demo_copy) -> None:
    identities.login.cache_clear()
    client = _server(runtime())
    assert client.get("/login").status_code == 404
    assert "/login" not in client.get("/map", headers={"accept": "text/html"}).text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("c" * 40, "short"), "cookie_secret"),
        (("/oauth2callback", "/"), "redirect_uri"),
        (("client_id", "id"), "provider"),
    ],
)
def test_a_login_that_is_not_whole_says_what_is_missing(provider: Path, change, told) -> None:
    provider.write_text(provider.read_text().replace(*change))
    _read_again()
    with pytest.raises(BadInput, match=told):
        identities.login()
