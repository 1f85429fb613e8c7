"""The app as a person meets it: a server of its own on a free port, the demo made by the command line, Chromium."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120
COMPOSED = "--use-angle=swiftshader" if os.environ.get("EXPLORER_SOFTWARE_GL") else "--disable-gpu"
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    f"--disable-sync {COMPOSED} --enable-unsafe-swiftshader"
).split()
"""No sandbox: as root, in a container, there is none. SwiftShader: WebGL without a graphics card. `--disable-gpu` keeps
it to WebGL; with EXPLORER_SOFTWARE_GL=1 whole pages are composed by it too, which takes about half as long again."""
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


@dataclass
class RunningApp:
    """A server that answers; `stop`, `kill` and `start` are what a restart is made of."""

    workspace: Path
    log: Path
    port: int
    token: str
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def entering(self, page: str = "/") -> str:
        """The link that lets a browser in and leads to `page`."""
        return f"{self.url}/enter?token={self.token}&next={quote(page, safe='/')}"

    def start(self) -> None:
        """Start the server and wait until it answers; raises RuntimeError with its log if it does not."""
        environment = {
            **os.environ,
            "EXPLORER_WORKSPACE": str(self.workspace),
            "EXPLORER_TOKEN": self.token,
            "PYTHONUNBUFFERED": "1",
            **self.environment,
        }
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]
        command += ["--server.address", "127.0.0.1"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + START_SECONDS
        while not self._healthy():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"The app did not start:\n{self.said()[-6000:]}")
            time.sleep(0.1)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        """As with Ctrl+C."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As when the machine fails: nothing is cleaned up."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """Everything the server printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def app_server(workspace: Path, log: Path | None = None, **environment: str) -> Iterator[RunningApp]:
    """The app on `workspace`, on a free port, with a token of its own."""
    app = RunningApp(
        workspace, log or workspace / "server.log", free_port(), secrets.token_urlsafe(16), dict(environment)
    )
    app.start()
    try:
        yield app
    finally:
        app.stop()


def command_line(workspace: Path, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """`python -m explorer ARGUMENTS` on `workspace`; raises RuntimeError with what it said if it fails."""
    environment = {**os.environ, "EXPLORER_WORKSPACE": str(workspace)}
    done = subprocess.run(
        [sys.executable, "-m", "explorer", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        raise RuntimeError(
            f"explorer {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done


def demo_ids(workspace: Path) -> list[str]:
    return sorted(path.parent.name for path in workspace.glob("*/dataset.json"))


@contextmanager
def demo_server() -> Iterator[RunningApp]:
    """The app on a freshly made demo collection. EXPLORER_TEST_DEMO names a workspace to copy instead of making one."""
    with tempfile.TemporaryDirectory(prefix="explorer-", ignore_cleanup_errors=True) as place:
        workspace = Path(place) / "workspace"
        made = os.environ.get("EXPLORER_TEST_DEMO")
        if made:
            shutil.copytree(made, workspace)
        else:
            workspace.mkdir()
            command_line(workspace, "demo", "clipart")
        with app_server(workspace) as app:
            yield app


def chromium() -> str | None:
    """The Chromium or Chrome of this machine, EXPLORER_CHROMIUM first; None if there is none."""
    named = os.environ.get("EXPLORER_CHROMIUM")
    if named:
        return named
    found = next((path for path in map(shutil.which, CHROMIUM_NAMES) if path), None)
    if found is None and Path(MAC_CHROME).exists():
        found = MAC_CHROME
    return found


@contextmanager
def open_browser(executable: str | None = None) -> "Iterator[Browser]":
    """A headless Chromium: this machine's, else Playwright's own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable or chromium(), args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()
