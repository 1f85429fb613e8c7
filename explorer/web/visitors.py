"""Who asks: the browser's cookies, or an account that the server was told to trust, to a person with grants."""

from collections.abc import Mapping

from explorer.sharing.access import LaunchToken, Person
from explorer.sharing.links import LinkStore


def cookie_name(port: int | str | None) -> str:
    """Cookies do not tell ports apart; two collections opened on one computer must not throw each other out."""
    return f"explorer_{port or 80}"


def browser_cookie(port: int | str | None) -> str:
    """Holds the secret of a browser that came by links."""
    return f"explorer_browser_{port or 80}"


class Visitors:
    """One for the whole server; asked by the door, the routes and the pages alike."""

    def __init__(self, token: LaunchToken, links: LinkStore | None = None) -> None:
        self.token = token
        self.links = links

    def of(self, cookies: Mapping[str, str], port: int | str | None) -> Person | None:
        """The owner if the browser brings this launch's cookie, else whom its links make it, else None."""
        if self.token.cookie_matches(cookies.get(cookie_name(port), "")):
            return Person.local_owner()
        return self.links.visitor(cookies.get(browser_cookie(port), "")) if self.links is not None else None

    def at_once(self, cookies: Mapping[str, str], port: int | str | None) -> bool:
        """Whether `of` answers without the database: the door asks it beside everything else that the server does."""
        if self.links is None or self.token.cookie_matches(cookies.get(cookie_name(port), "")):
            return True
        browser = cookies.get(browser_cookie(port), "")
        return not browser or self.links.remembered(browser) is not None
