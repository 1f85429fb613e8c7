"""The files for serving others: what can be told of them without a container engine."""

import ipaddress
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from explorer import cli

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
CADDYFILE = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")


def _instructions() -> list[tuple[str, str]]:
    whole = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.M))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line.strip()]


def _final_stage() -> list[tuple[str, str]]:
    lines = _instructions()
    return lines[max(place for place, (word, _) in enumerate(lines) if word == "FROM") :]


def _copied() -> set[str]:
    """What the image gets of the project."""
    sources: set[str] = set()
    for word, rest in _final_stage():
        if word == "COPY" and "--from" not in rest:
            sources |= set(shlex.split(rest)[:-1])
    return sources


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_fits_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, ROOT / "compose.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_runs_as_nobody_in_particular_and_without_a_compiler() -> None:
    stage = _final_stage()
    users = [rest for word, rest in stage if word == "USER"]
    assert users == ["10001"]
    after = [word for word, _ in stage[stage.index(("USER", "10001")) :]]
    assert not {"RUN", "COPY", "ADD"} & set(after)  # nothing is written that this user does not own
    runs = " ".join(rest for word, rest in stage if word == "RUN")
    assert not re.search(r"apt|pip|gcc|build-essential|sudo", runs)
    assert set(re.findall(r"https?://[^/]+", DOCKERFILE)) == {"http://127.0.0.1:8501"}  # its own health


def test_what_the_image_copies_is_there_and_is_let_through() -> None:
    let = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    everywhere = {part for word, rest in _instructions() if word == "COPY" and "--from" not in rest
                  for part in shlex.split(rest)[:-1]}  # fmt: skip
    for name in everywhere:
        assert (ROOT / name).exists(), name
        assert any(name == kept or name.startswith(f"{kept}/") for kept in let), name


def test_what_the_image_holds_is_enough_to_start(tmp_path: Path) -> None:
    """The copied files alone, elsewhere and with nothing else of the project in reach."""
    for name in _copied():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.jpg")
            shutil.copytree(ROOT / name, target, ignore=ignored)
        else:
            shutil.copy(ROOT / name, target)
    script = (
        "import explorer, pathlib; assert pathlib.Path.cwd() in pathlib.Path(explorer.__file__).parents\n"
        "from explorer import cli; from explorer.web import server; import ast\n"
        "assert server.APP.is_file(); ast.parse(server.APP.read_text())\n"
        "from explorer.web.navigation import PLACES\n"
        "assert all(pathlib.Path('pages', place.name + '.py').is_file() for place in PLACES)\n"
        "from explorer.demos import DEMOS; assert pathlib.Path('data/clipart/clipart.csv').is_file()\n"
        "raise SystemExit(cli.main(['link', '--role', 'own']))"
    )
    environment = {"PATH": "/usr/bin:/bin", "EXPLORER_WORKSPACE": str(tmp_path / "workspace"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "/join#" in done.stdout


def test_the_parts_of_the_compose_file_fit_each_other() -> None:
    app, proxy, database = (COMPOSE["services"][name] for name in ("app", "proxy", "database"))
    address = proxy["networks"]["outside"]["ipv4_address"]
    assert app["environment"]["EXPLORER_PROXIES"] == address
    assert "ports" not in app
    assert "ports" not in database
    assert "outside" not in database["networks"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert (app["read_only"], app["cap_drop"]) == (True, ["ALL"])
    assert "user" not in app
    mounted = {mount.split(":")[-2] if mount.endswith(":ro") else mount.split(":")[-1] for mount in app["volumes"]}
    settings = dict(re.findall(r"(EXPLORER_\w+|NUMBA_CACHE_DIR)=(\S+)", DOCKERFILE))
    assert mounted == {"/data", settings["EXPLORER_ROOTS"]}
    assert settings["EXPLORER_WORKSPACE"].startswith("/data/")
    assert settings["NUMBA_CACHE_DIR"].startswith("/data/")  # everything else cannot be written
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            if mount.startswith("./"):
                assert (ROOT / mount.split(":")[0]).exists(), mount
    assert Path(ROOT, re.search(r":-(.+)}", COMPOSE["secrets"]["login"]["file"])[1]).is_file()


def test_the_proxy_addresses_do_not_meet_those_given_out() -> None:
    pool = COMPOSE["networks"]["outside"]["ipam"]["config"][0]
    address = ipaddress.ip_address(COMPOSE["services"]["proxy"]["networks"]["outside"]["ipv4_address"])
    assert address in ipaddress.ip_network(pool["subnet"])
    assert address not in ipaddress.ip_network(pool["ip_range"])


def test_the_proxy_tells_no_secrets_and_keeps_sessions_together() -> None:
    lines = [line.strip() for line in CADDYFILE.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert not [line for line in lines if line.split()[0] == "log"]
    assert "request_header -X-Forwarded-Email" in lines
    assert "lb_policy cookie explorer_copy" in lines
    port = re.search(r"\{\$EXPLORER_PORT:(\d+)\}", CADDYFILE)[1]
    assert ("EXPOSE", port) in _final_stage()


def test_without_accounts_the_login_is_empty() -> None:
    text = (ROOT / "deploy" / "no-login.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {}
    filled = "\n".join(line.removeprefix("# ") for line in text.splitlines() if re.match(r"# (\[|\w+ = )", line))
    assert set(tomllib.loads(filled)["auth"]) >= {"redirect_uri", "cookie_secret", "client_id", "server_metadata_url"}


def test_every_command_of_the_page_is_one_of_ours() -> None:
    text = (ROOT / "deploy.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:python -m explorer|run --rm app) ([a-z-]+)", text))
    assert {"link", "serve", "accounts"} <= named
    for command in named:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0, command
    assert len(text.splitlines()) <= 90  # one page
