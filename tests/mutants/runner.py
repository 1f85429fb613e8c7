"""Break one part in a copy of the tree and see whether a test notices.

The source text itself is edited, so that servers and worker processes run the stub too. A stub whose text is no longer
there, or that does not even import, counts as an error, never as noticed.
"""

import enum
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".mutants", "__pycache__", ".*_cache", "workspace", "build", "node_modules", "results"
)
SECONDS = 900
NO_FAILURE, FAILURE = 0, 1  # pytest's exit codes; all others mean that tests did not run


@dataclass(frozen=True)
class Stub:
    """One part replaced by something that only looks as if it worked."""

    name: str
    breaks: str
    """In words."""
    file: str
    old: str
    """Found exactly once in the file."""
    new: str
    tests: tuple[str, ...]
    """What pytest is given: files, or files::tests."""


class Verdict(enum.Enum):
    NOTICED = "noticed"
    SURVIVED = "SURVIVED"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Outcome:
    stub: Stub
    verdict: Verdict
    detail: str
    """The first test that went red; what is wrong with the stub; or nothing."""
    seconds: float


def edited(text: str, stub: Stub) -> str:
    """The file's text with the stub in it; raises ValueError if the old text is not there exactly once."""
    count = text.count(stub.old)
    if count != 1:
        raise ValueError(f"its text is {count} times in {stub.file}, not once: bring the stub up to date")
    return text.replace(stub.old, stub.new)


def check(stub: Stub, root: Path = ROOT) -> Outcome:
    """Copy the tree, put the stub in, run its tests."""
    start = time.monotonic()

    def outcome(verdict: Verdict, detail: str) -> Outcome:
        return Outcome(stub, verdict, detail, time.monotonic() - start)

    with tempfile.TemporaryDirectory(prefix=f"mutant-{stub.name}-", ignore_cleanup_errors=True) as place:
        copy = Path(place) / "tree"
        shutil.copytree(root, copy, ignore=LEFT_OUT, symlinks=True)
        target = copy / stub.file
        if not target.is_file():
            return outcome(Verdict.ERROR, f"{stub.file} is not there: bring the stub up to date")
        try:
            target.write_text(edited(target.read_text(encoding="utf-8"), stub), encoding="utf-8")
            compile(target.read_text(encoding="utf-8"), stub.file, "exec") if target.suffix == ".py" else None
        except (ValueError, SyntaxError) as error:
            return outcome(Verdict.ERROR, str(error))
        code, said = run_tests(copy, stub.tests, first_only=True)
    if code == FAILURE:
        return outcome(Verdict.NOTICED, first_red(said))
    if code == NO_FAILURE:
        return outcome(Verdict.SURVIVED, "every test stayed green")
    return outcome(Verdict.ERROR, f"the tests did not run (pytest ended with {code}):\n{said[-2000:]}")


def run_tests(tree: Path, tests: Iterable[str], first_only: bool = False) -> tuple[int, str]:
    """pytest's exit code and what it printed, run inside `tree` and on nothing outside it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("EXPLORER_", "PYTEST_"))}
    environment["PYTHONPATH"] = str(tree)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", *(["-x"] * first_only)]
    try:
        done = subprocess.run(
            [*command, *tests],
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return -1, f"not finished after {SECONDS} seconds"
    return done.returncode, done.stdout + done.stderr


def first_red(said: str) -> str:
    for line in said.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split(" ", 1)[1].split(" - ")[0]
    return "a test"


def run(stubs: list[Stub], workers: int = 2, root: Path = ROOT, say: Callable[[str], None] = print) -> int:
    """Check every stub and print a table; returns 0 only if the tests pass as they are and notice each stub."""
    tests = sorted({test for stub in stubs for test in stub.tests})
    with tempfile.TemporaryDirectory(prefix="mutant-none-", ignore_cleanup_errors=True) as place:
        copy = Path(place) / "tree"
        shutil.copytree(root, copy, ignore=LEFT_OUT, symlinks=True)
        code, said = run_tests(copy, tests)
    if code != NO_FAILURE:
        say(f"Without any stub the tests do not pass, so nothing can be said:\n{said[-4000:]}")
        return 2
    say(f"unbroken: {len(tests)} tests and test files pass")
    width = max(len(stub.name) for stub in stubs)
    outcomes = []
    with ThreadPoolExecutor(workers) as pool:
        for found in pool.map(lambda stub: check(stub, root), stubs):
            outcomes.append(found)
            say(f"{found.stub.name:<{width}}  {found.verdict.value:<8}  {found.seconds:5.1f} s  {found.detail}")
    noticed = sum(found.verdict is Verdict.NOTICED for found in outcomes)
    say(f"{noticed} of {len(outcomes)} stubs were noticed")
    return 0 if noticed == len(outcomes) else 1
