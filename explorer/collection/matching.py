"""Which listed picture is which known item: what keeps every answer on the picture it was given to.

Without keys, an item is first of all its content: a renamed, moved or swapped file takes its uid along. Only what
cannot be found by content is taken for an edited version of what lay at the same path. With keys, the key decides.
The order of the listing plays no part.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from explorer.collection.sources.base import Entry


@dataclass(frozen=True)
class Known:
    """An item of the last generation. `content_hash` is "" if it was never read."""

    uid: str
    path: str
    content_hash: str
    gone: bool
    columns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """One entry of the new listing with the hash of its content, "" if it could not be read."""

    entry: Entry
    content_hash: str


@dataclass(frozen=True)
class Match:
    """A listed picture, the uid it carries from now on, and the item it was, None if it is new."""

    uid: str
    seen: Seen
    known: Known | None
    repeats_key: bool = False
    """Another row of the table has the same key and keeps it."""


def match(known: Sequence[Known], seen: Sequence[Seen], keyed: bool) -> list[Match]:
    """Give every listed picture a uid: the matched ones in the order of the known items, then new ones by path.

    Known items that no match names are gone. The same uid is never given twice and a tombstone's uid never to
    another picture.
    """
    listed = sorted(seen, key=lambda new: (new.entry.path, new.content_hash, new.entry.key or ""))
    if len({new.entry.path for new in listed}) < len(listed):
        listed.sort(key=lambda new: (new.entry.path, new.content_hash, new.entry.key or "", _said(new.entry.columns)))
    state = _State(list(known), listed)
    if keyed:
        state.keys = _told_apart(known, listed)
        state.pair(lambda old: old.uid, lambda number: state.keys[number])
        # a row without a key is a problem row; it keeps its place in the table by its path
        state.pair(lambda old: None if old.content_hash else old.path,
                   lambda number: None if state.keys[number] else listed[number].entry.path)  # fmt: skip
        return state.matches()
    if state.doubled:  # a file that several rows of a table name: told apart by what the rows say
        state.pair(lambda old: old.content_hash and (old.path, old.content_hash, _said(old.columns)),
                   lambda number: (listed[number].entry.path, listed[number].content_hash,
                                   _said(listed[number].entry.columns)))  # fmt: skip
    state.pair(lambda old: (old.path, old.content_hash),
               lambda number: (listed[number].entry.path, listed[number].content_hash))  # fmt: skip
    state.pair(lambda old: old.content_hash and (old.content_hash, _name(old.path)),
               lambda number: (listed[number].content_hash, _name(listed[number].entry.path)))  # fmt: skip
    state.pair(lambda old: old.content_hash, lambda number: listed[number].content_hash)
    state.pair(lambda old: None if old.gone else old.path, lambda number: listed[number].entry.path)
    return state.matches()


class _State:
    """Who is still unmatched on both sides."""

    def __init__(self, known: list[Known], listed: list[Seen]) -> None:
        self.known, self.listed = known, listed
        self.keys = [""] * len(listed)
        self.doubled = len({new.entry.path for new in listed}) < len(listed) or len(
            {(old.path, old.content_hash) for old in known}
        ) < len(known)
        self.old_of: dict[int, int] = {}
        self.new_of: dict[int, int] = {}
        # the living before tombstones
        self.order = sorted(range(len(known)), key=lambda number: (known[number].gone, known[number].uid))

    def pair(self, old_key: Callable[[Known], Hashable], new_key: Callable[[int], Hashable]) -> None:
        """Match the unmatched whose keys agree, one to one; empty keys of known items never match."""
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for number in reversed(self.order):
            if number not in self.new_of and (key := old_key(self.known[number])):
                waiting[key].append(number)
        for number in range(len(self.listed)):
            if number not in self.old_of and (candidates := waiting.get(new_key(number))):
                old = candidates.pop()
                self.old_of[number], self.new_of[old] = old, number

    def matches(self) -> list[Match]:
        taken = {old.uid for old in self.known}
        kept = [self._match(old.uid, self.new_of[number], old)
                for number, old in enumerate(self.known) if number in self.new_of]  # fmt: skip
        new = [number for number in range(len(self.listed)) if number not in self.old_of]
        uids = _names((self.keys[number] or self.listed[number].entry.path for number in new), taken)
        return kept + [self._match(uid, number, None) for uid, number in zip(uids, new, strict=True)]

    def _match(self, uid: str, number: int, old: Known | None) -> Match:
        seen = self.listed[number]
        return Match(uid, seen, old, repeats_key=self.keys[number] not in ("", seen.entry.key))


def _told_apart(known: Sequence[Known], listed: Sequence[Seen]) -> list[str]:
    """The key of each listed picture, "" if it has none. Of several with the same key, the one at the item's old
    path keeps it, or the first by path; the others are called key~2, key~3 …"""
    paths = {old.uid: old.path for old in known}
    keys = [new.entry.key or "" for new in listed]
    taken = set(keys)
    first: dict[str, int] = {}
    for number, key in enumerate(keys):
        if key and (key not in first or paths.get(key) == listed[number].entry.path != listed[first[key]].entry.path):
            first[key] = number
    for number, key in enumerate(keys):
        if key and first[key] != number:
            keys[number] = _names([key], taken)[0]
    return keys


def _names(wanted: Iterable[str], taken: set[str]) -> list[str]:
    """Each name as it is where it is free, else with ~2, ~3 …; free names are given out first."""
    names = list(wanted)
    given: list[str | None] = []
    for name in names:
        given.append(None if name in taken else name)
        taken.add(name)
    result = []
    for name, uid in zip(names, given, strict=True):
        number = 2
        while uid is None:
            if f"{name}~{number}" not in taken:
                uid = f"{name}~{number}"
                taken.add(uid)
            number += 1
        result.append(uid)
    return result


def _said(columns: dict[str, Any]) -> str:
    filled = {name: value for name, value in columns.items() if value is not None}
    return json.dumps(filled, sort_keys=True, ensure_ascii=False, default=str)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
