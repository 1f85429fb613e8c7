"""A source as a replica sees it: the storage said where it lies, and must not open every file of this machine."""

from collections.abc import Iterator
from pathlib import Path

from explorer.collection.sources.base import Entry, OutOfReach, Source
from explorer.workspace import allowed_roots


class RootedSource:
    """Another source, of which pictures can be read only if it lies below the folders of EXPLORER_ROOTS."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.spec, self.keyed, self.ignored = source.spec, source.keyed, source.ignored

    def entries(self) -> Iterator[Entry]:
        return self._source.entries()

    def read(self, path: str) -> bytes:
        place = Path(self.spec["path"]).resolve()
        if not any(place.is_relative_to(root) for root in allowed_roots()):
            raise OutOfReach(f"the originals lie in {place}, which this replica may not read (EXPLORER_ROOTS)")
        return self._source.read(path)
