"""One card of the page of the ways of looking: what it sees, what is near in it, what it does not mind, its cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from explorer.collection.costs import costs, runs_here
from explorer.errors import ExplorerError
from explorer.extractors import packages
from explorer.extractors.registry import families
from explorer.space.invariance import CHANGES, measured_here, measured_invariance
from explorer.web import looks_work, state, views
from explorer.web.looks_forms import UNTRIED, chosen_layers, names_of
from explorer.web.looks_pictures import kept_chart, quiet, strip
from explorer.web.looks_shelf import TRIED, Entry, Present, Way, family_name
from explorer.web.runtime import Runtime


@dataclass(frozen=True)
class Shown:
    """What every card of the page needs."""

    rt: Runtime
    dataset_id: str
    present: Present
    ways: dict[str, Way]
    example: str
    failed: dict[str, str]
    busy: bool
    running: frozenset[str]

    @property
    def n(self) -> int:
        return len(self.present.uids)


def card(shown: Shown, entry: Entry, heading: str) -> None:
    """One way of looking, or the place where one is named."""
    with st.container(border=True, key=f"look-{_key(entry)}"):
        left, middle, right = st.columns([8, 13, 7], gap="medium")
        with left:
            _words(shown, entry, heading)
        if entry.name:
            with middle:
                _actions(shown, entry)
            with right:
                _ignores(shown, entry)
        elif state.can_build(shown.dataset_id):
            with middle:
                _named(shown, entry)
        failed = looks_work.of_family(shown.failed, entry.family) if not entry.name else shown.failed
        for name, words in failed.items():
            if name == entry.name or (not entry.name and name not in shown.ways):
                st.error(views.plain(f"{name}: {words}" if not entry.name else words), icon=":material/error:")


def _words(shown: Shown, entry: Entry, heading: str) -> None:
    """All of the card's words in one piece: a dozen cards stand on the page, and each piece takes its time."""
    name = "" if entry.title == heading else f"**{views.plain(entry.title)}** "
    said = [f"Licence: {entry.card.licence.rstrip('.')}"] if entry.card.licence else []
    said += ["weights are downloaded at first use"] if entry.card.needs_download else []
    here = runs_here(entry.name, shown.rt.workspace) if entry.name else ""
    said += [f"Runs here in {here}"] if here else []
    paragraphs = (
        name + _state(shown, entry),
        f"`{entry.name}`" if entry.name and entry.name != entry.family else "",
        _sentence(entry.card.sees),
        _sentence(entry.card.ignores, ":material/visibility_off: Ignores "),
        f":small[:gray[{views.plain(' · '.join(said))}]]" if said else "",
    )
    st.markdown("\n\n".join(filter(None, paragraphs)))
    missing = packages.way_out(entry.family)
    if missing:
        st.info(f"Not installed on this computer: `{missing}`", icon=":material/extension:")


def _state(shown: Shown, entry: Entry) -> str:
    if not entry.name:
        return ""
    if entry.name in shown.running:
        return ":blue-badge[:material/hourglass: being worked out]"
    if entry.way is None:
        return ":gray-badge[not looked at yet]"
    if entry.way.whole:
        return f":green-badge[all {shown.n:,} pictures]"
    return f":orange-badge[{entry.way.seen:,} of {shown.n:,} pictures]"


def _sentence(text: str, before: str = "") -> str:
    if not text:
        return ""
    text = text[0].upper() + text[1:] if not before else text[0].lower() + text[1:]
    return before + views.plain(text.rstrip(".") + ".")


def _near(shown: Shown, way: Way) -> str:
    """The pictures nearest to the example in this way of looking."""
    near = way.near(shown.rt, shown.dataset_id, shown.example)
    if near is None:
        return quiet("It has not looked at this example yet.")
    places = [shown.present.places[uid] for uid in (shown.example, *near.uids)]
    example, *others = views.cards(shown.present.items.iloc[places])
    every = way.whole and way.space
    words = f"The nearest among {'all ' if every else ''}{near.among:,} pictures"
    return strip(shown.dataset_id, way.space, example, others) + quiet(words)


def _ignores(shown: Shown, entry: Entry) -> None:
    """The small chart of what it does not mind; of the collection's own pictures where that was measured."""
    kept = None
    if entry.way is not None:
        kept = measured_here(shown.rt.dataset(shown.dataset_id), entry.way.store.spec)
    kept = kept or measured_invariance(entry.name)
    if kept:
        st.html(kept_chart({change.title: kept[name] for name, change in CHANGES.items() if name in kept}))


def _named(shown: Shown, entry: Entry) -> None:
    """The form of ways of looking that something must be written for."""
    try:
        names = names_of(entry.family, shown.rt.dataset(shown.dataset_id))
    except ExplorerError as error:
        state.shown(error)
        names = []
    if names and not _lacking(names):
        st.html(_cost(shown, names))
    with st.container(horizontal=True):
        _buttons(shown, _key(entry), names, trial=entry.family not in UNTRIED)


def _actions(shown: Shown, entry: Entry) -> None:
    finished = entry.way is not None and entry.way.whole and entry.way.space
    own = state.can_build(shown.dataset_id)
    above = _near(shown, entry.way) if entry.way else ""
    if own and not finished and not _lacking([entry.name]):
        above += _cost(shown, [entry.name], entry.way.seen if entry.way else 0)
    if above:
        st.html(above)
    with st.container(horizontal=True):
        if not finished:
            if not own:
                return
            _buttons(shown, _key(entry), [entry.name], trial=entry.way is None and entry.family not in UNTRIED)
        elif st.button("Open the map", key=f"map-{entry.name}", icon=":material/bubble_chart:"):
            state.go("map", d=shown.dataset_id, s=entry.way.space if entry.way else None, sel=None, by=None)
        if own and entry.layers and entry.name == entry.family:
            with st.popover("Layers…", icon=":material/layers:"):
                st.write("A network looks step by step: edges and textures early, whole things late.")
                names = [f"{entry.name}@{layer}" for layer in chosen_layers(entry.layers, entry.name)]
                if names:
                    st.html(_cost(shown, names))
                _buttons(shown, f"{entry.name}-layers", names, trial=True)


def _cost(shown: Shown, names: Sequence[str], seen: int = 0) -> str:
    """What looking at all pictures will take, before it is begun."""
    left = shown.n - seen
    cards = {name: families()[name].card for name in names if name in families()}
    dims = {name: cards[name].dim if name in cards else 0 for name in names}
    which = "Laying out the map" if not left else f"The other {left:,} pictures" if seen else f"All {left:,} pictures"
    return quiet(f"{which}: {costs(dims, left or shown.n, shown.rt.workspace).words}")


def _buttons(shown: Shown, key: str, names: Sequence[str], trial: bool) -> None:
    """Begin to look in these ways: at a few pictures, or at all of them."""
    why = "Something is being worked out for this collection; wait until it has ended." if shown.busy else None
    why = "It needs packages that are not installed on this computer." if _lacking(names) else why
    off = why is not None or not names
    if trial and shown.n > TRIED and st.button(
        f"Try on {TRIED} pictures", key=f"try-{key}", icon=":material/science:", disabled=off, help=why
    ):  # fmt: skip
        state.require("own", shown.dataset_id)
        looks_work.try_out(shown.rt, shown.dataset_id, names, shown.present, shown.example)
        st.rerun()
    if st.button(
        "Look at all pictures this way", key=f"all-{key}", icon=":material/visibility:", disabled=off, help=why
    ):  # fmt: skip
        state.require("own", shown.dataset_id)
        looks_work.look_at_all(shown.rt, shown.dataset_id, names)
        st.rerun()


def _lacking(names: Sequence[str]) -> bool:
    return any(packages.lacking(family_name(name)) for name in names)


def _key(entry: Entry) -> str:
    return entry.name or entry.family
