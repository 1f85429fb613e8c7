"""What the tests share: workspaces, the embedded demo, a running server, Chromium that tells on the page, PostgreSQL.

The demo is embedded once a run, whatever the number of workers. EXPLORER_TEST_DEMO=FOLDER keeps it there between runs,
which saves half a minute while developing; delete the folder after a change to what is computed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, Route

from benchmarks import running
from benchmarks.running import RunningApp
from explorer.workspace import Workspace

# Several test workers share the cores; OpenMP threads that spin while they wait would starve each other (one test of
# torch took 136 s on a busy machine, 16 s like this). Set before anything loads OpenMP; servers and workers inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REQUIRED = os.environ.get("CI") == "true"
"""On CI a missing browser or database server is a failure, not a reason to skip."""
NO_BROWSER = "no Chromium or Chrome on this machine, and Playwright could not fetch one"
NO_POSTGRES = "no PostgreSQL server on this machine"


def _unavailable(reason: str) -> None:
    if REQUIRED:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One loud line for each kind of test that could not run here."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for reason, way_out in (
        (NO_BROWSER, "apt-get install chromium, or .venv/bin/playwright install chromium"),
        (NO_POSTGRES, "apt-get install postgresql"),
    ):
        count = sum(reason in text for text in skipped)
        if count:
            terminalreporter.write_line(f"!!! {count} TESTS DID NOT RUN: {reason} ({way_out})", red=True, bold=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers (`--dist loadgroup`): a file stays together, and only one browser runs at a time, beginning
    at once, since it takes longest. Two browsers that draw in software would starve each other."""
    for item in items:
        browser = item.get_closest_marker("browser") is not None
        item.add_marker(pytest.mark.xdist_group("browser" if browser else Path(item.path).stem))
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)  # stable: else the order stays


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An empty workspace, which is also the one that the environment names."""
    yield from _named(tmp_path / "workspace", monkeypatch)


@pytest.fixture(scope="session")
def demo_workspace(shared: Path) -> Workspace:
    """The demo collection, embedded (lite0, colour) with its spaces. To be read only; `demo_copy` may be written."""
    kept = os.environ.get("EXPLORER_TEST_DEMO")
    folder = Path(kept).absolute() if kept else shared / "demo"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / ".whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            running.command_line(folder, "demo", "clipart")
            (folder / ".whole").touch()
    return Workspace(folder)


@pytest.fixture
def demo_copy(demo_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The embedded demo, this test's own, and named by the environment."""
    shutil.copytree(demo_workspace.root, tmp_path / "workspace")
    yield from _named(tmp_path / "workspace", monkeypatch)


def _named(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    root.mkdir(exist_ok=True)
    monkeypatch.setenv("EXPLORER_WORKSPACE", str(root))
    monkeypatch.delenv("EXPLORER_DATABASE_URL", raising=False)
    _forget_runtime()
    yield Workspace(root)
    _forget_runtime()


def _forget_runtime() -> None:
    """The process holds one Runtime on one workspace; the next test has another workspace."""
    module = sys.modules.get("explorer.web.runtime")
    if module is not None:
        module.runtime.cache_clear()


# --- servers ---


def _assert_quiet(app: RunningApp) -> None:
    said = app.said()
    assert "Traceback (most recent call last)" not in said, f"the server's log holds a traceback:\n{said[-8000:]}"


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RunningApp]]:
    """`start_server(workspace, NAME=value, …)`: the app on that workspace, until the test ends."""
    apps: list[RunningApp] = []

    def start(workspace: Workspace | Path, **environment: str) -> RunningApp:
        root = workspace.root if isinstance(workspace, Workspace) else workspace
        log = tmp_path / f"server-{len(apps)}.log"
        app = RunningApp(root, log, running.free_port(), f"test-token-{len(apps)}-{os.getpid()}", environment)
        apps.append(app)
        app.start()
        return app

    yield start
    for app in apps:
        app.stop()
    for app in apps:
        _assert_quiet(app)


@pytest.fixture(scope="session")
def demo_server(demo_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One server on a copy of the demo for all tests of this worker: what one writes, the next one sees."""
    place = tmp_path_factory.mktemp("served")
    shutil.copytree(demo_workspace.root, place / "workspace")
    with running.app_server(place / "workspace", place / "server.log") as app:
        yield app


@pytest.fixture
def server(demo_server: RunningApp) -> Iterator[RunningApp]:
    """The running app on the demo; the test fails if the server wrote a traceback meanwhile."""
    before = len(demo_server.said())
    yield demo_server
    said = demo_server.said()[before:]
    assert "Traceback (most recent call last)" not in said, f"the server wrote a traceback:\n{said[-8000:]}"


# --- Chromium ---


@pytest.fixture(scope="session")
def chromium(shared: Path) -> str | None:
    """The browser's path; None means Playwright's own. Skips where there is none (fails on CI)."""
    found = running.chromium()
    if found:
        return found
    with FileLock(shared / "chromium.lock"):
        tried = shared / "chromium.tried"
        if not tried.exists():
            command = [sys.executable, "-m", "playwright", "install", "chromium"]
            try:
                code = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300).returncode
            except subprocess.TimeoutExpired:
                code = 1
            tried.write_text(str(code))
    if tried.read_text() != "0":
        _unavailable(NO_BROWSER)
    return None


@pytest.fixture(scope="session")
def browser(chromium: str | None) -> Iterator[Browser]:
    with running.open_browser(chromium) as opened:
        yield opened


@dataclass
class Trouble:
    """What a page did that it should not: script errors, console lines, requests that leave the machine."""

    found: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """What matches is expected in this test (a regular expression, searched)."""
        self.allowed.append(pattern)

    def unexpected(self) -> list[str]:
        return [line for line in self.found if not any(re.search(pattern, line) for pattern in self.allowed)]

    def watch(self, context: BrowserContext) -> None:
        """Listen to every page of the context, and let no request out of the machine."""
        context.on("weberror", lambda error: self.found.append(f"script error: {error.error}"))
        context.on("console", self._console)
        context.route(re.compile(r"^(?!data:|blob:|about:)"), self._route)
        context.on("requestfailed", self._failed)

    def _console(self, message: ConsoleMessage) -> None:
        self.found.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _route(self, route: Route) -> None:
        if re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)(:|/|$)", route.request.url):
            route.continue_()
        else:
            self.found.append(f"left the machine: {route.request.url}")
            route.abort()

    def _failed(self, request: Request) -> None:
        # a page that is left cancels what it was fetching: that is no trouble
        if "ERR_ABORTED" not in (request.failure or "") and request.url.startswith("http://127.0.0.1"):
            self.found.append(f"request failed: {request.url}: {request.failure}")


QUIET_CONSOLE = (
    # SwiftShader's own remarks about reading pixels back; a person's graphics card makes none
    r"GPU stall due to ReadPixels",
)


@pytest.fixture
def trouble() -> Trouble:
    return Trouble(allowed=list(QUIET_CONSOLE))


@pytest.fixture
def context(browser: Browser, trouble: Trouble) -> Iterator[BrowserContext]:
    """A browser profile of its own: no cookie, no cache."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(20_000)
    trouble.watch(opened)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, trouble: Trouble, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page. At the end: no script error, nothing on the console, no request that left the machine."""
    opened = context.new_page()
    yield opened
    _keep_screenshot(opened, request)
    assert trouble.unexpected() == []


def _keep_screenshot(page: Page, request: pytest.FixtureRequest) -> None:
    """With EXPLORER_SCREENSHOTS=FOLDER, what each browser test saw last."""
    folder = os.environ.get("EXPLORER_SCREENSHOTS")
    if folder and not page.is_closed():
        name = re.sub(r"[^\w-]+", "_", request.node.name)
        try:
            page.screenshot(path=Path(folder) / f"{name}.png")
        except Error as error:
            print(f"no screenshot of {name}: {error}", file=sys.stderr)


# --- PostgreSQL ---


class PostgresServer:
    """A PostgreSQL server of this run's own, which a test may stop and start again."""

    def __init__(self, initdb: str, place: Path) -> None:
        self.place, self.port = place, running.free_port()
        self._program = str(Path(initdb).with_name("postgres"))
        # PostgreSQL refuses to run as root
        self._owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._owner:
            shutil.chown(place, "postgres")
        made = subprocess.run(
            [*self._owner, initdb, "-D", place / "data", "-U", "explorer", "-A", "trust", "-E", "UTF8"],
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        self.start()

    @property
    def url(self) -> str:
        """Of the database `explorer`, which is empty."""
        return f"postgresql+psycopg://explorer@127.0.0.1:{self.port}/explorer"

    def start(self) -> None:
        flags = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.place), "-c", "fsync=off"]
        with open(self.place / "server.log", "ab") as log:
            self._server = subprocess.Popen(
                [*self._owner, self._program, "-D", str(self.place / "data"), *flags],
                cwd=self.place,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def stop(self) -> None:
        """At once: who is connected is thrown out."""
        pid = int((self.place / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGINT)
        self._server.wait(30)

    def _wait(self) -> None:
        import psycopg

        for _ in range(300):
            said = (self.place / "server.log").read_text(errors="replace")
            assert self._server.poll() is None, f"PostgreSQL ended at its start:\n{said[-2000:]}"
            try:
                where = f"host=127.0.0.1 port={self.port} user=explorer dbname=postgres"
                with psycopg.connect(where, autocommit=True) as base:
                    if not base.execute("SELECT 1 FROM pg_database WHERE datname = 'explorer'").fetchone():
                        base.execute("CREATE DATABASE explorer")
                return
            except psycopg.OperationalError:
                time.sleep(0.1)
        pytest.fail("PostgreSQL did not answer within 30 seconds")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Skips without PostgreSQL (fails on CI)."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    initdb = str(homes[-1] / "initdb") if homes else shutil.which("initdb")
    if initdb is None:
        _unavailable(NO_POSTGRES)
        return
    # not below pytest's own folder, which another run that begins meanwhile closes to the user of the database
    with tempfile.TemporaryDirectory(prefix="explorer-postgres-", ignore_cleanup_errors=True) as place:
        server = PostgresServer(initdb, Path(place))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres(postgres_server: PostgresServer) -> str:
    """The URL of an empty PostgreSQL database on a server of this run's own."""
    return postgres_server.url
