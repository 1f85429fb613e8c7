"""Pages of an order that several people look at: each is put together once for each state of the scores."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Page = TypeVar("Page")
_MOST = 64


class KeptPages(Generic[Page]):
    """The pages of the newest state that was asked about; a page that is being made is waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: object = None
        self._pages: dict[tuple[Any, ...], tuple[object, Page]] = {}

    def get(self, state: object, name: tuple[Any, ...], among: object, make: Callable[[], Page]) -> Page:
        """The page `name` of this very `state`, and among this very `among`; `make` makes it where it is not kept."""
        with self._lock:
            if self._state is not state or len(self._pages) >= _MOST:
                self._state, self._pages = state, {}
            held = self._pages.get(name)
            if held is None or held[0] is not among:
                held = self._pages[name] = (among, make())
            return held[1]
