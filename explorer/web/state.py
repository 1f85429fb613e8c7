"""What a person is looking at, kept in the URL: collection, space, filter, and what the page adds to it.

Streamlit drops the query string when the page changes, so the session remembers it; a link that is opened anew, or the
browser's back button, wins over what the session remembers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from explorer.collection.dataset import Dataset
from explorer.errors import ExplorerError, NotFound, Refused
from explorer.sharing.access import Person, Scope, authorise, may
from explorer.space import Space
from explorer.web.components.filter_panel import filter_panel
from explorer.web.filters import Filter
from explorer.web.runtime import Runtime, runtime
from explorer.web.shelf import shelf
from explorer.workspace import replica

SHARED = ("d", "s", "f")
PAGE_KEYS: dict[str, tuple[str, ...]] = {
    "datasets": (),
    "map": ("by", "sel", "hide"),
    "similar": ("uid", "text"),
    "groups": ("how", "group"),
    "odd": ("tab",),
    "looks": ("look",),
    "label": ("q", "next", "guess", "set"),
    "results": ("q", "attr", "class", "t", "target"),
    "compare": ("q", "attr", "a", "b", "sel", "by"),
    "share": ("sel", "q"),
    "you": (),
}
NEEDS = dict.fromkeys(PAGE_KEYS, "look") | {"label": "label"}
"""The action that a page needs to be of any use; `you` is for everybody who was let in."""
ELSEWHERE = (
    "Collections are added, looked at and changed on the machine that builds them, and appear here by themselves."
)
"""For whoever would own them, on a replica."""
BY_QUESTION = ("label", "results")
"""Pages of one question: a grant for that question opens them. They ask again once the question is known."""


@dataclass(frozen=True)
class View:
    """What the page works on. `mask` is (n,) bool over the rows of the space: what the filter lets through."""

    rt: Runtime
    person: Person
    dataset: Dataset
    space: Space
    mask: np.ndarray
    filter: Filter
    controls: Any
    """The place in the sidebar for what the page itself lets choose: above the filter, which can be long."""

    @property
    def filtered(self) -> bool:
        return bool(self.filter)

    def rows(self) -> np.ndarray:
        return np.flatnonzero(self.mask)


def me() -> Person | None:
    """Who runs this script: decided from the cookie of the browser's connection."""
    return runtime().visitors.of(st.context.cookies, port(), st.context.headers)


def port() -> str | None:
    """The port in the address of the page; cookies carry it in their names."""
    url = st.context.url or ""
    found = url.split("://", 1)[-1].split("/", 1)[0].rpartition(":")[2]
    return found if found.isdecimal() else None


def can(action: str, dataset_id: str = "", question_id: str = "") -> bool:
    """Whether the person may: what they may not do is not offered."""
    return may(me(), action, Scope(dataset_id, question_id))


def can_build(dataset_id: str = "") -> bool:
    """Whether the person may have pictures added or looked at here: whoever owns the collection, unless this server is
    a replica of another that does."""
    return not replica() and can("own", dataset_id)


def require(action: str, dataset_id: str = "", question_id: str = "") -> Person:
    """Who asks, if they may; else the page ends with a sentence."""
    person = me()
    try:
        if person is not None and not person.grants:
            raise Refused("The link that you came by has ended, is paused or was taken back; ask who sent it.")
        authorise(person, action, Scope(dataset_id, question_id))
        assert person is not None  # authorise lets nobody pass
    except Refused as error:
        words = "What you were let in for does not reach here. The page “You” lists it; ask the owner for more."
        st.error(words if person is not None and person.grants else str(error), icon=":material/lock:")
        st.stop()
    return person


def adopt_url(page: str) -> None:
    """Take over the query string if it is not the one we wrote last, then write ours."""
    known = st.session_state.setdefault("view", {})
    given = {k: v for k, v in st.query_params.to_dict().items() if k in (*SHARED, *PAGE_KEYS[page])}
    if given and given != st.session_state.get("written"):
        for key in (*SHARED, *PAGE_KEYS[page]):
            known.pop(key, None)
        known.update(given)
    st.session_state["page"] = page
    _write()


def get(key: str, default: str = "") -> str:
    return str(st.session_state.get("view", {}).get(key, default))


def put(**values: str | None) -> None:
    """Change what is looked at; None or "" takes a key out of the link."""
    known = st.session_state.setdefault("view", {})
    for key, value in values.items():
        if value:
            known[key] = value
        else:
            known.pop(key, None)
    _write()


def _write() -> None:
    state = link_state(st.session_state.get("page", "map"))
    if st.query_params.to_dict() != state:
        st.query_params.from_dict(state)
    st.session_state["written"] = state


def link_state(page: str) -> dict[str, str]:
    known = st.session_state.get("view", {})
    return {key: known[key] for key in (*SHARED, *PAGE_KEYS[page]) if known.get(key)}


def link_to(page: str, **values: str) -> str:
    """Path and query that open `page` as it is now."""
    state = {k: v for k, v in (link_state(page) | values).items() if v}
    return f"/{page}" + (f"?{urlencode(state)}" if state else "")


def go(page: str, **values: str | None) -> None:
    """Show another page of the app, with these values in its link."""
    known = st.session_state.setdefault("view", {})
    for key, value in values.items():
        if value:
            known[key] = value
        else:
            known.pop(key, None)
    st.session_state["page"] = page
    st.session_state["written"] = link_state(page)
    st.switch_page(f"pages/{page}.py", query_params=link_state(page))


def choose(key: str, label: str, options: dict[str, str], *, where: Any = st, **more: Any) -> str:
    """A select box whose choice lives in the link under `key`; an unknown choice in the link becomes the first."""
    names = list(options)
    current = get(key)
    if current not in options:
        current = names[0]
    widget = f"choose-{key}"
    if st.session_state.get(widget) != current:
        st.session_state[widget] = current
    shown = partial(_called, options)
    chosen: str = where.selectbox(
        label, names, format_func=shown, key=widget, on_change=_chosen, args=(key, widget), **more
    )
    return chosen


def _chosen(key: str, widget: str) -> None:
    put(**{key: st.session_state[widget]})


def dataset_names(rt: Runtime, page: str = "map") -> dict[str, str]:
    """Of the collections of which a page is open to the person."""
    who = me()
    ids = [each for each in rt.workspace.dataset_ids() if open_to(who, page, each)]
    return {dataset_id: rt.dataset(dataset_id).name for dataset_id in ids}


def question_names(rt: Runtime, dataset_id: str, action: str) -> dict[str, str]:
    """Of the questions with which the person may do `action`."""
    who = me()
    asked = rt.questions.list(dataset_id)
    return {each.id: each.name for each in asked if may(who, action, Scope(dataset_id, each.id))}


def open_to(who: Person | None, page: str, dataset_id: str) -> bool:
    """Whether a page has something for this person in a collection: all of it, or on some pages one question of it."""
    if page not in BY_QUESTION:
        return may(who, NEEDS[page], Scope(dataset_id))
    held = who.grants if who is not None else ()
    return any(may(who, NEEDS[page], Scope(dataset_id, each.scope.question)) for each in held)


def open_view(page: str) -> View:
    """The dataset, space and filter of this page, with their controls in the sidebar.

    Ends the page with a friendly sentence when there is nothing to look at yet.
    """
    rt = runtime()
    adopt_url(page)
    names = dataset_names(rt, page)
    wanted = get("d")
    if not names:
        require(NEEDS[page], wanted)  # whoever may see one collection only, and it has gone, is told so
        empty("No pictures yet", "Add a folder of pictures first; it takes a minute or two.", "datasets")
    if wanted and wanted not in names:
        st.warning(f"There is no collection '{wanted}' here (any more) that you may see. Showing another one.")
    with st.sidebar:
        # who is to answer one question is not asked which collection it is about
        dataset_id = next(iter(names))
        if len(names) > 1 or can("look", dataset_id):
            dataset_id = choose("d", "Collection", names)
        put(d=dataset_id)
        person = require("see" if page in BY_QUESTION else NEEDS[page], dataset_id)
        whole = can("look", dataset_id)
        dataset = rt.dataset(dataset_id)
        spaces = rt.space_keys(dataset_id)
        if not spaces:
            empty(
                f"“{dataset.name}” is not ready yet",
                "Its pictures are still being looked at, or that was stopped. The Collections page shows how far.",
                "datasets",
            )
        named = {space.key: space.title for space in spaces}
        if whole:
            key = choose("s", "Compare pictures by", named)
        else:
            key = get("s") if get("s") in named else next(iter(named))
        space = rt.space(dataset_id, key)
        controls = st.container()
        if whole:
            chosen, mask = _filter_controls(rt, dataset, space)
        else:  # its choices tell of pictures not asked about
            chosen, mask = Filter(), shelf(rt, dataset, space).shown(Filter())
    return View(rt, person, dataset, space, mask, chosen, controls)


def _filter_controls(rt: Runtime, dataset: Dataset, space: Space) -> tuple[Filter, np.ndarray]:
    """The filter of the link, with its panel, and what it lets through. One that names what is gone is taken out."""
    try:
        chosen = Filter.parse(get("f"))
        mask = shelf(rt, dataset, space).shown(chosen)
    except ExplorerError as error:
        shown(error)
        put(f=None)
        chosen, mask = Filter(), shelf(rt, dataset, space).shown(Filter())
    filter_panel(
        dataset=dataset.id, space=space.key, filter=str(chosen), key=f"filter-{dataset.id}", on_filter=_filtered
    )
    return chosen, mask


def _filtered(text: str) -> None:
    put(f=text)


def _called(names: dict[str, str], name: str) -> str:
    return names.get(name, name)


def empty(title: str, text: str, page: str | None = None) -> None:
    """A designed empty state, and the end of the page."""
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader(title, anchor=False)
        st.write(text)
        if page and st.button("Go to the collections", type="primary", icon=":material/arrow_forward:"):
            go(page)
    st.stop()


def shown(error: ExplorerError) -> None:
    """An error as a sentence on the page, which goes on below it."""
    icon = ":material/search_off:" if isinstance(error, NotFound) else ":material/error:"
    st.error(str(error), icon=icon)


def similar(uid: str) -> None:
    """What "Pictures like this" in a gallery or on the map does: go to the Similar page with that picture."""
    go("similar", uid=uid)


def similar_in(dataset_id: str) -> Callable[[str], None] | None:
    """`similar` for whoever may look at the whole collection."""
    return similar if can("look", dataset_id) else None


def link_query(**values: str) -> str:
    """An encoded query string of the values that are not empty."""
    return urlencode({key: value for key, value in values.items() if value})
