"""The small app around the components alone, for the tests that need no collection."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import running

APP = Path(__file__).with_name("components_app.py")


@pytest.fixture(scope="session")
def components(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = running.free_port()
    log = tmp_path_factory.mktemp("components") / "server.log"
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    with log.open("w") as file:
        root = APP.parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=file, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def control(components: str) -> Any:
    """Ask the app's memory for what it received, or for a fault."""

    def ask(query: str = "") -> dict[str, Any]:
        with urllib.request.urlopen(f"{components}/control?{query}") as response:
            return dict(json.load(response))

    ask("reset=1")
    return ask
