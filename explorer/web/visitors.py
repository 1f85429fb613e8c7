"""Who asks: the browser's cookies, or an account that the server was told to trust, to a person with grants."""

from collections.abc import Mapping
from dataclasses import replace

from explorer.sharing.access import LaunchToken, Person
from explorer.sharing.accounts import AccountStore
from explorer.sharing.links import LinkStore
from explorer.web import identities
from explorer.web.proxies import Proxies

_NOTHING: Mapping[str, str] = {}


def cookie_name(port: int | str | None) -> str:
    """Cookies do not tell ports apart; two collections opened on one computer must not throw each other out."""
    return f"explorer_{port or 80}"


def browser_cookie(port: int | str | None) -> str:
    """Holds the secret of a browser that came by links."""
    return f"explorer_browser_{port or 80}"


class Visitors:
    """One for the whole server; asked by the door, the routes and the pages alike.

    `headers` are those of the request as the door lets them pass (see `proxies`): a proxy's word counts as it stands.
    """

    def __init__(
        self,
        token: LaunchToken,
        links: LinkStore | None = None,
        accounts: AccountStore | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.token = token
        self.links = links
        self.accounts = accounts
        self.proxies = Proxies() if proxies is None else proxies

    def of(
        self, cookies: Mapping[str, str], port: int | str | None, headers: Mapping[str, str] = _NOTHING
    ) -> Person | None:
        """The owner if the browser brings this launch's cookie; else whom its links and its account make it, with
        what either of them allows; else None. Somebody with an account is the same person in every browser."""
        if self.token.cookie_matches(cookies.get(cookie_name(port), "")):
            return Person.local_owner()
        guest = self.links.visitor(cookies.get(browser_cookie(port), "")) if self.links is not None else None
        if self.accounts is None:
            return guest
        account = identities.account_of(cookies, headers, self.proxies)
        member = self.accounts.person_of(account) if account is not None else None
        if member is None or guest is None:
            return member or guest
        return replace(member, grants=member.grants + guest.grants)

    def at_once(
        self, cookies: Mapping[str, str], port: int | str | None, headers: Mapping[str, str] = _NOTHING
    ) -> bool:
        """Whether `of` answers without the database: the door asks it beside everything else that the server does."""
        if self.token.cookie_matches(cookies.get(cookie_name(port), "")):
            return True
        browser = cookies.get(browser_cookie(port), "")
        if browser and self.links is not None and self.links.remembered(browser) is None:
            return False
        if self.accounts is None:
            return True
        account = identities.account_of(cookies, headers, self.proxies)
        return account is None or self.accounts.remembered(account) is not None

    def way_in(self, cookies: Mapping[str, str], headers: Mapping[str, str] = _NOTHING) -> str:
        """What the closed door says about accounts, as HTML; "" where there are none."""
        return identities.way_in(cookies, headers, self.proxies) if self.accounts is not None else ""
