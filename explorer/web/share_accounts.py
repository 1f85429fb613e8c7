"""What people with accounts may do, by their addresses, on the Share page."""

import streamlit as st

from explorer.errors import ExplorerError
from explorer.sharing.accounts import AccountStore, Role
from explorer.web import identities, state, views
from explorer.web.access_words import day, what_it_allows
from explorer.web.runtime import Runtime
from explorer.web.share_links import chosen_role, chosen_scope
from explorer.web.state import View


def accounts_of(rt: Runtime) -> AccountStore | None:
    """Where people can log in, or a proxy says who comes; else None."""
    known = identities.login() is not None or rt.visitors.proxies.header
    return rt.visitors.accounts if known else None


def accounts(view: View, store: AccountStore) -> None:
    """Give a role to an address or a domain, and the roles that there are."""
    st.caption("Whoever logs in with such an address may do this, without a link. Nobody else sees anything.")
    with st.container(border=True):
        left, right = st.columns(2, gap="large")
        with left:
            role = chosen_role("role-role")
        with right:
            pattern = st.text_input(
                "Address, or @ and a domain", placeholder="ada@museum.org or @museum.org", key="role-pattern",
                help="A domain stands for everybody whose address ends with it; * for everybody who can log in.",
            )  # fmt: skip
            scope = chosen_scope(view, role, "role-scope")
            if st.button("Let them in", icon=":material/person_add:", key="role-add"):
                state.require("own", scope.dataset)
                try:
                    store.add(pattern, role, scope)
                except ExplorerError as error:
                    state.shown(error)
                else:
                    st.rerun()
    for each in store.all(view.dataset.id):
        if state.can("own", each.scope.dataset):
            _role(view, store, each)


def _role(view: View, store: AccountStore, role: Role) -> None:
    with st.container(border=True, key=f"role-{role.id}"):
        left, right = st.columns([7, 4], vertical_alignment="center")
        who = "Everybody who can log in" if role.pattern == "*" else role.pattern
        left.markdown(f"**{views.plain(who)}**")
        left.markdown(views.plain(what_it_allows(view.rt, role.role, role.scope)))
        left.caption(f"since {day(role.created)}")
        with (
            right.container(horizontal=True, horizontal_alignment="right"),
            st.popover("Take back", icon=":material/person_remove:"),
        ):
            st.write("They are out at once, unless a link or another line here lets them in. Their answers stay.")
            if st.button("Take it back", key=f"role-revoke-{role.id}", type="primary"):
                state.require("own", role.scope.dataset)
                try:
                    store.revoke(role.id)
                except ExplorerError as error:
                    state.shown(error)
                else:
                    st.rerun()
