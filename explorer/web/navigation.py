"""The pages that a person may use, as the bar at the top shows them."""

from dataclasses import dataclass, replace

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from explorer.sharing.access import Person
from explorer.web import state
from explorer.web.runtime import runtime

NEW_LINK = "new-link"
MORE = "More"
"""What stands in the menu at the end of the bar: eight titles are what 1,280 pixels hold beside it."""


@dataclass(frozen=True)
class Place:
    """A page: its file without ending (and its address), its title, its icon, the menu that it stands in."""

    name: str
    title: str
    icon: str
    menu: str = ""


PLACES = (
    Place("datasets", "Collections", "photo_library"),
    Place("map", "Map", "bubble_chart"),
    Place("similar", "Similar", "image_search"),
    Place("groups", "Groups", "category"),
    Place("odd", "Odd ones out", "priority_high"),
    Place("label", "Label", "label"),
    Place("results", "How good?", "verified"),
    Place("share", "Share", "ios_share"),
    Place("looks", "Ways of looking", "visibility", MORE),
    Place("compare", "Compare", "compare", MORE),
    Place("you", "You", "account_circle", MORE),
)


def navigation() -> StreamlitPage:
    """The page that was asked for, with the bar above it. Pages that are not for this person stand at their addresses
    all the same: they say why they are closed, which "page not found" would not."""
    person = state.me()
    ids = runtime().workspace.dataset_ids() if person is not None else []
    offered = [place.name for place in PLACES if offers(person, place.name, ids)]
    in_menu = [place for place in PLACES if place.menu and place.name in offered]
    bar: dict[str, list[StreamlitPage]] = {}
    for place in PLACES:
        menu = place.menu if len(in_menu) > 1 and len(offered) > len(in_menu) + 2 else ""
        bar.setdefault(menu, []).append(
            st.Page(
                f"pages/{place.name}.py", title=place.title, icon=f":material/{place.icon}:", url_path=place.name,
                default=place.name == PLACES[0].name, visibility="visible" if place.name in offered else "hidden",
            )
        )  # fmt: skip
    page = st.navigation(bar, position="top")
    if page.url_path != "share":
        st.session_state.pop(NEW_LINK, None)  # a secret is shown once
    return page


def offers(person: Person | None, page: str, dataset_ids: list[str]) -> bool:
    """Whether a page is for this person. Whoever is to answer one question is not shown what came of it, which would
    sway the next answers."""
    if person is None or page == "you":
        return person is not None
    if page == "results":
        held = [each for each in person.grants if each.role != "label" or not each.scope.question]
        person = replace(person, grants=tuple(held))
    return any(state.open_to(person, page, each) for each in dataset_ids or [""])


def home(person: Person, dataset_ids: list[str]) -> str | None:
    """The page where somebody who may not see whole collections belongs; None if nothing is open to them."""
    return next((page for page in ("label", "results") if offers(person, page, dataset_ids)), None)
