"""Who somebody is here: the name that their answers stand under, and what they were let in for."""

import streamlit as st

from explorer.errors import ExplorerError
from explorer.sharing.access import Grant, Person
from explorer.sharing.links import NAMED_MOST
from explorer.web import identities, state, views
from explorer.web.access_words import what_it_allows
from explorer.web.runtime import Runtime
from explorer.web.visitors import browser_cookie

GIVEN_BACK = "given-back"


def you(rt: Runtime, person: Person) -> None:
    """The name, and each grant with a way to give it back."""
    browser = st.context.cookies.get(browser_cookie(state.port()), "")
    by_link = any(each.id for each in person.grants)
    st.title("You", anchor=False)
    if person.id == Person.local_owner().id:
        st.write("You opened this app with the link of its launch: everything here is yours.")
        st.caption("The Share page makes links for others, who then see no more than you let them.")
        return
    if said := st.session_state.pop(GIVEN_BACK, ""):
        st.success(said, icon=":material/check:")
    if by_link:
        _name(rt, person, browser)
    else:
        st.markdown(f"Your answers stand under the name **{views.plain(person.name)}**.")
    st.subheader("What you may do here", anchor=False)
    for place, grant in enumerate(person.grants):
        _grant(rt, grant, browser, place)
    if identities.login() is not None and any(not each.id for each in person.grants):
        st.link_button("Log out", "/auth/logout", icon=":material/logout:")


def _name(rt: Runtime, person: Person, browser: str) -> None:
    with st.form("your-name", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Your answers stand under this name", value=person.name, max_chars=NAMED_MOST)
        if st.form_submit_button("Change it"):
            try:
                rt.links.rename(browser, name)
            except ExplorerError as error:
                state.shown(error)
                return
            st.rerun()


def _grant(rt: Runtime, grant: Grant, browser: str, place: int) -> None:
    words = what_it_allows(rt, grant.role, grant.scope)
    with st.container(border=True):
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.markdown(f"**{views.plain(words)}**")
        if not grant.id:
            left.caption("By your account." if grant.title.startswith("account") else "By the link of this launch.")
            return
        left.caption(views.plain(f"By the link for {grant.title}." if grant.title else "By a link."))
        with right.popover("Give it back", icon=":material/logout:"):
            st.write("You no longer see this afterwards. Your answers stay. The same link lets you in again.")
            if st.button("Give it back", key=f"give-back-{place}-{grant.id}", type="primary"):
                try:
                    rt.links.give_back(browser, grant.id)
                except ExplorerError as error:
                    state.shown(error)
                    return
                st.session_state[GIVEN_BACK] = f"Given back: {words}."
                st.rerun()
