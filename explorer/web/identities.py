"""Who has logged in: by Streamlit's own login (OpenID Connect), or before a proxy that says so in a header.

Both are read from what every request and every page's websocket carries, so that routes and pages agree. The header
can be believed here because the door takes it off whatever did not come from a named proxy (see `proxies`).
"""

import functools
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from explorer.errors import BadInput, Missing
from explorer.sharing.accounts import Account, plain_address
from explorer.web.proxies import Proxies

SECRET_LEAST = 32
_FRESH = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


@dataclass(frozen=True)
class Login:
    """What `[auth]` in Streamlit's secrets says, as far as it is needed here."""

    origin: str
    providers: tuple[str, ...]
    """Names for `st.login`; "default" where there is one without a name."""
    secret: str
    trusts_addresses: bool
    """Whether addresses count though the provider does not say that it verified them."""


@functools.cache
def login() -> Login | None:
    """None where no login is configured. Raises BadInput where it is not whole, Missing where a package is not there.

    Read once: Streamlit, too, keeps its secrets for the life of the process.
    """
    from streamlit.auth_util import get_origin_from_redirect_uri, get_secrets_auth_section, is_authlib_installed

    section = get_secrets_auth_section().to_dict()
    if not section:
        return None
    if not is_authlib_installed():
        raise Missing("The login in secrets.toml needs a package that is not here: pip install authlib httpx.")
    if not str(section.get("redirect_uri", "")).endswith("/oauth2callback"):
        raise BadInput('[auth] in secrets.toml needs redirect_uri = "https://NAME/oauth2callback", the app\'s own.')
    secret = str(section.get("cookie_secret", ""))
    if len(secret) < SECRET_LEAST:
        raise BadInput(
            f"cookie_secret of [auth] in secrets.toml signs who somebody is; it needs {SECRET_LEAST} random characters "
            "at least, such as those that `openssl rand -hex 32` prints."
        )
    named = [name for name, value in section.items() if isinstance(value, dict) and "client_id" in value]
    providers = (["default"] if "client_id" in section else []) + named
    if not providers:
        raise BadInput("[auth] in secrets.toml names no provider: client_id, client_secret and server_metadata_url.")
    trusts = section.get("trust_addresses") is True
    return Login(str(get_origin_from_redirect_uri()), tuple(providers), secret, trusts)


def account_of(cookies: Mapping[str, str], headers: Mapping[str, str], proxies: Proxies) -> Account | None:
    """Who has logged in, or None."""
    if proxies.header:
        address = plain_address(headers.get(proxies.header) or "")
        if address:
            return Account(f"proxy {address}", address)
    return _by_cookie(cookies)


def _by_cookie(cookies: Mapping[str, str]) -> Account | None:
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    if not cookies.get(USER_COOKIE_NAME):
        return None
    asked = login()
    if asked is None:
        return None
    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

    def signed(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(asked.secret, name, value.encode("latin-1")) if value else None

    try:
        said = json.loads(get_cookie_with_chunks(signed, USER_COOKIE_NAME) or b"null")
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("origin") != asked.origin or said.get("is_logged_in") is not True:
        return None
    subject = str(said.get("sub") or "")
    if not subject:
        return None
    verified = said.get("email_verified")
    # Whoever may write any address into a profile could else be anybody: only what was verified counts.
    counts = verified in (True, "true") or (verified is None and asked.trusts_addresses)
    address = plain_address(str(said.get("email") or "")) if counts else ""
    return Account(f"oidc {said.get('iss', said.get('provider', ''))} {subject}", address, str(said.get("name") or ""))


def way_in(cookies: Mapping[str, str], headers: Mapping[str, str], proxies: Proxies) -> str:
    """For the closed door, as HTML: where to log in, or as whom somebody has logged in to no avail."""
    account = account_of(cookies, headers, proxies)
    if account is not None:
        called = html.escape(account.address or account.name or "somebody whose address was not verified")
        out = '<a href="/auth/logout">Log out</a>' if login() is not None else ""
        return f"<p>You are logged in as <b>{called}</b>, and nothing here is open to you yet: ask the owner. {out}</p>"
    if login() is not None:
        return '<p>If you have an account here: <a href="/login">Log in</a>.</p>'
    return ""


def _login(request: Request) -> Response:
    """`/login`, or `/login?with=NAME` where there are several providers."""
    from streamlit.user_info import generate_login_redirect_url

    from explorer.web.gate import page

    asked = login()
    if asked is None:
        return HTMLResponse(page("Nobody logs in here", "<p>Open the link that you were sent.</p>"), 404, _FRESH)
    wanted = request.query_params.get("with", "")
    if len(asked.providers) == 1 or wanted in asked.providers:
        name = wanted if wanted in asked.providers else asked.providers[0]
        return RedirectResponse(urlsplit(generate_login_redirect_url(name)).geturl(), 303, headers=_FRESH)
    ways = "".join(
        f'<p><a href="/login?with={html.escape(name)}">{html.escape(name.capitalize())}</a></p>'
        for name in asked.providers
    )
    return HTMLResponse(page("Log in with", ways), headers=_FRESH)


ROUTES = [Route("/login", _login, methods=["GET"])]
OPEN_PATHS = frozenset({"/login", "/auth/login", "/auth/logout", "/oauth2callback"})
"""What somebody needs who is logging in: ours, and Streamlit's own."""
