"""Where the server may listen: this computer by default; beyond it only where an owner can come in, under a name."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from streamlit import config

from explorer import cli
from explorer.catalog.database import Catalog
from explorer.errors import BadInput
from explorer.learning.questions import QuestionStore
from explorer.sharing.access import LaunchToken, Scope
from explorer.sharing.accounts import AccountStore
from explorer.sharing.links import LinkStore
from explorer.web import server
from explorer.web.proxies import Proxies

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("EXPLORER_HOSTS", "EXPLORER_OWNERS", "FORWARDED_ALLOW_IPS"):
        monkeypatch.delenv(name, raising=False)
    opened = Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield opened
    opened.close()


def _refused(catalog: Catalog, address: str, proxies: Proxies = Proxies()) -> str:  # noqa: B008
    return server.refused(address, LinkStore(catalog), AccountStore(catalog), proxies)


def test_beyond_this_computer_only_where_an_owner_can_come_in(catalog, monkeypatch) -> None:
    assert _refused(catalog, "127.0.0.1") == _refused(catalog, "::1") == _refused(catalog, "localhost") == ""
    links = LinkStore(catalog)
    link, _ = links.create("own", Scope())
    for address in ("0.0.0.0", "", "::", "192.168.1.7"):
        assert "EXPLORER_HOSTS" in _refused(catalog, address)
    monkeypatch.setenv("EXPLORER_HOSTS", "localhost")
    assert "EXPLORER_HOSTS" in _refused(catalog, "0.0.0.0")
    monkeypatch.setenv("EXPLORER_HOSTS", "explore.museum.org")
    assert _refused(catalog, "0.0.0.0") == ""
    links.pause(link.id)
    assert "python -m explorer link --role own" in _refused(catalog, "0.0.0.0")
    links.create("own", Scope("demo"))
    links.create("edit", Scope())
    assert _refused(catalog, "0.0.0.0") != ""


def test_accounts_count_where_one_owns_and_can_be_told(catalog, monkeypatch) -> None:
    monkeypatch.setenv("EXPLORER_HOSTS", "explore.museum.org")
    monkeypatch.setenv("EXPLORER_PROXIES", "10.0.0.1")
    monkeypatch.setenv("EXPLORER_PROXY_HEADER", "x-forwarded-email")
    proxies = Proxies.from_environment()
    assert "FORWARDED_ALLOW_IPS" in server.believed(proxies)  # uvicorn would believe others as well
    assert server.believed(Proxies()) == ""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "-")
    assert server.believed(proxies) == ""
    for address in ("0.0.0.0", "127.0.0.1"):  # behind a proxy on this computer it is for others, too
        assert "EXPLORER_OWNERS" in _refused(catalog, address, proxies)
    assert not server.only_here("127.0.0.1", proxies)
    role = AccountStore(catalog).add("ada@museum.org", "own", Scope())
    assert _refused(catalog, "0.0.0.0", proxies) == ""
    AccountStore(catalog).revoke(role.id)
    monkeypatch.setenv("EXPLORER_OWNERS", "ada@museum.org")
    assert _refused(catalog, "0.0.0.0", proxies) == ""
    assert _refused(catalog, "0.0.0.0") != ""  # an owner whom nothing can tell from others


def test_a_taken_port_and_a_foreign_address_are_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="in use"):
            server.serve(taken.getsockname()[1])
    with pytest.raises(BadInput, match=r"192\.0\.2\.1"):
        server.serve(8501, address="192.0.2.1")


def test_the_command_line_makes_a_link_and_tells_it_once(demo_copy, capsys) -> None:
    catalog = Catalog.open(demo_copy.catalog_url)
    question = QuestionStore(catalog).create("demo", "Is it torn?", "yesno")
    made = ["link", "--role", "label", "--dataset", "demo", "--question", "Is it torn?", "--name", "Ada"]
    assert cli.main([*made, "--days", "14", "--people", "5", "--root", "https://explore.museum.org/"]) == 0
    told = capsys.readouterr().out.strip()
    root, _, secret = told.partition("/join#")
    assert root == "https://explore.museum.org"
    link = LinkStore(catalog).offered(secret)
    assert (link.role, link.scope, link.name, link.seats) == ("label", Scope("demo", question.id), "Ada", 5)
    assert link.start == f"/label?d=demo&q={question.id}"
    assert 13.9 < (link.ends - time.time()) / 86_400 < 14.1
    for wrong in (
        ["--dataset", "nowhere"], ["--question", question.id], ["--dataset", "demo", "--question", "x"],
        ["--days", "0"], ["--days", "nan"], ["--people", "0"], ["--root", "museum.org"], ["--root", "https://a/b"],
        ["--start", "//evil.example"],
    ):  # fmt: skip
        assert cli.main(["link", *wrong]) == 2
    assert capsys.readouterr().err.count("explorer: ") == 9
    assert len(LinkStore(catalog).all()) == 1
    catalog.close()


def test_the_command_line_says_what_accounts_may_do(demo_copy, capsys, monkeypatch) -> None:
    monkeypatch.setenv("EXPLORER_OWNERS", "own@museum.org")
    assert cli.main(["accounts", "--add", "@museum.org", "--role", "label", "--dataset", "demo"]) == 0
    owner, role = capsys.readouterr().out.splitlines()
    assert "own@museum.org" in owner
    assert role.split()[1:] == ["@museum.org", "label", "demo"]
    assert cli.main(["accounts", "--take-back", role.split()[0]]) == 0
    assert capsys.readouterr().out.splitlines() == [owner]
    assert cli.main(["accounts", "--take-back", role.split()[0]]) == 2
    assert cli.main(["accounts", "--add", "museum.org"]) == 2


def test_both_ways_of_starting_refuse(workspace, monkeypatch, capsys) -> None:
    monkeypatch.setenv("EXPLORER_HOSTS", "explore.museum.org")
    assert cli.main(["serve", "--address", "0.0.0.0", "--port", "0"]) == 2
    assert "python -m explorer link --role own" in capsys.readouterr().err
    before = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")  # what `streamlit run app.py --server.address 0.0.0.0` says
    try:
        with pytest.raises(SystemExit, match="python -m explorer link --role own"):
            server.around()
    finally:
        config.set_option("server.address", before)


def test_a_server_for_others_opens_with_a_link_and_not_with_the_launch(workspace) -> None:
    """The real server on every address: with a link it starts, and forgets the launch's secret."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = LaunchToken("a-secret-that-somebody-knows")
    environment = {**os.environ, "EXPLORER_TOKEN": token.secret, "EXPLORER_HOSTS": "explore.museum.org"}
    environment |= {"EXPLORER_WORKSPACE": str(workspace.root), "EXPLORER_LOG": "json", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "explorer", "serve", "--address", "0.0.0.0", "--port", str(port)]
    catalog = Catalog.open(workspace.catalog_url)
    LinkStore(catalog).create("own", Scope())
    catalog.close()
    log = workspace.root.parent / "log"
    with open(log, "wb") as said:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=said, stderr=said)
    try:
        end = time.monotonic() + 120
        while _status(port, "/readyz") != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        assert _status(port, f"/enter?token={token.secret}") == 403
        cookie = f"explorer_{port}={token.cookie_value()}"
        assert _status(port, "/datasets", cookie=cookie) == 403
        assert _status(port, "/join") == 200
        assert _status(port, "/join", host="evil.example") == 421
        assert _status(port, "/join", host="explore.museum.org") == 200
    finally:
        process.terminate()
        process.wait(20)
    assert _status(port, "/healthz") == 0  # nothing is left behind
    said = log.read_text()
    assert '"path": "/enter"' in said
    assert token.secret not in said
    assert all(line.startswith("{") for line in said.splitlines()), said


def _status(port: int, path: str, **headers: str) -> int:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
