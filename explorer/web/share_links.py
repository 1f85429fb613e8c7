"""Links that let others in, on the Share page: making one, and those that there are."""

import datetime
import time

import streamlit as st

from explorer.errors import ExplorerError
from explorer.sharing.access import Grant, Person, Scope
from explorer.sharing.links import NAMED_MOST, Link
from explorer.web import state, views
from explorer.web.access_words import ROLE_MEANS, ROLE_WORDS, ago, day, end_of, today, what_it_allows
from explorer.web.components.copier import copier
from explorer.web.navigation import NEW_LINK, PLACES, offers
from explorer.web.state import View

LASTS = {"week": "A week", "month": "A month", "ever": "Until I take it back", "day": "Until a certain day…"}
_DAYS = {"week": 7, "month": 30}
_STATES = {"": ":green-badge[works]", "paused": ":orange-badge[paused]", "ended": ":gray-badge[has ended]"}
_STATES |= {"revoked": ":gray-badge[taken back]"}


def root() -> str:
    """Scheme, name and port under which the browser reached the app."""
    scheme, _, rest = (st.context.url or "").partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}" if rest else ""


def chosen_role(key: str) -> str:
    """What a link or an account is to allow, in words."""
    return st.radio(
        "What may they do?", list(ROLE_WORDS), format_func=ROLE_WORDS.__getitem__,
        captions=list(ROLE_MEANS.values()), key=key,
    )  # fmt: skip


def new_link(view: View) -> None:
    """The form of a new link; its address is shown this once, since nothing but a hash of it is kept."""
    if NEW_LINK in st.session_state:
        _shown_once(view)
        return
    with st.container(border=True):
        left, right = st.columns(2, gap="large")
        with left:
            role = chosen_role("link-role")
            scope = chosen_scope(view, role, "link-scope")
        with right:
            name = st.text_input(
                "Whom does it greet? (optional)", max_chars=NAMED_MOST, placeholder="for example: Ada", key="link-name",
                help="Answers are kept under this name. Without it, the link asks everybody for theirs.",
            )  # fmt: skip
            seats = st.number_input(
                "For how many people?", min_value=1, value=None, step=1, placeholder="any number", key="link-seats"
            )
            ends = _ends()
            start = _start(view, role, scope)
        if st.button("Make the link", type="primary", icon=":material/add_link:", key="link-make"):
            person = state.require("own", scope.dataset)
            try:
                link, secret = view.rt.links.create(
                    role, scope, name=name, ends=ends, seats=int(seats) if seats else None, start=start,
                    created_by=person.id,
                )  # fmt: skip
            except ExplorerError as error:
                state.shown(error)
                return
            st.session_state[NEW_LINK] = (link.id, f"{root()}/join#{secret}")
            st.rerun()


def chosen_scope(view: View, role: str, key: str) -> Scope:
    """Where a role holds: one question, this collection, or all of them where the person owns all."""
    dataset, scopes = view.dataset, {}
    if role != "own":
        for question_id, name in state.question_names(view.rt, dataset.id, "look").items():
            scopes[f"Only the question “{name}”"] = Scope(dataset.id, question_id)
    scopes[f"All of “{dataset.name}”"] = Scope(dataset.id)
    if state.can("own"):
        scopes["All collections, also later ones"] = Scope()
    names = list(scopes)
    first = 0
    if role != "label":  # only who answers is mostly wanted for one question
        first = names.index(f"All of “{dataset.name}”")
    elif state.get("q"):
        first = next((place for place, one in enumerate(scopes.values()) if one.question == state.get("q")), 0)
    return scopes[st.selectbox("Where?", names, index=first, key=f"{key}-{role}-{dataset.id}")]


def _ends() -> float | None:
    lasts = st.selectbox("How long does it work?", list(LASTS), format_func=LASTS.__getitem__, key="link-lasts")
    if lasts == "ever":
        return None
    if lasts == "day":
        first = today() + datetime.timedelta(days=1)
        chosen = st.date_input("Until the end of this day", value=first, min_value=today(), key="link-day")
        return end_of(chosen) if isinstance(chosen, datetime.date) else None
    return time.time() + _DAYS[lasts] * 86_400


def _start(view: View, role: str, scope: Scope) -> str:
    """Path and query of the page that it opens: one that the link opens, as it stands now."""
    guest = Person("", "", (Grant(role, scope),))
    titles = {each.name: each.title for each in PLACES if offers(guest, each.name, [view.dataset.id])}
    titles = {name: title for name, title in titles.items() if name not in ("datasets", "you")}
    first = next((name for name in ("label" if role == "label" else "map", "results") if name in titles), "")
    page = st.selectbox(
        "What does it open?", list(titles), index=list(titles).index(first), format_func=titles.__getitem__,
        key=f"link-start-{role}-{bool(scope.question)}",
        help="As you see that page now: with the same filter, selection and way of comparing.",
    )  # fmt: skip
    more = {"d": view.dataset.id}
    if scope.question:
        more |= {"q": scope.question, "f": ""}
        if scope.question != state.get("q"):
            more |= {"set": "", "class": "", "attr": "", "t": "", "target": ""}
    return state.link_to(page, **more)


def _shown_once(view: View) -> None:
    link_id, address = st.session_state[NEW_LINK]
    try:
        link = view.rt.links.get(link_id)
    except ExplorerError as error:
        del st.session_state[NEW_LINK]
        state.shown(error)
        return
    with st.container(border=True):
        st.markdown(f"**The link for {views.plain(link.name) if link.name else 'whoever you send it to'}**")
        copier(address, key=f"new-link-{link_id}")
        st.warning("It is shown this once: copy it now. Whoever has it can come in.", icon=":material/key:")
        st.caption(views.plain(f"{what_it_allows(view.rt, link.role, link.scope)}; {_until(link)}."))
        if st.button("Done", key="link-done"):
            del st.session_state[NEW_LINK]
            st.rerun()


def links_there(view: View) -> None:
    """Every link into this collection: whom it lets in for what, and a way to stop it at once."""
    links = [each for each in view.rt.links.all(view.dataset.id) if state.can("own", each.scope.dataset)]
    now = time.time()
    live = [each for each in links if each.closed(now) in ("", "paused")]
    over = [each for each in links if each not in live]
    if not live:
        st.caption("No link lets anybody in. Make one above and send it to the people who know these pictures.")
    for link in live:
        _link(view, link, now)
    if over:
        with st.expander(f"{len(over):,} that no longer work"):
            for link in over:
                _link(view, link, now)


def _link(view: View, link: Link, now: float) -> None:
    closed = link.closed(now)
    with st.container(border=True, key=f"link-{link.id}"):
        left, right = st.columns([7, 4], vertical_alignment="center")
        left.markdown(f"**{views.plain(link.name or 'Anybody who has it')}** {_STATES[closed]}")
        left.markdown(views.plain(what_it_allows(view.rt, link.role, link.scope)))
        left.caption(f"{_terms(link)} · {ago(link.last_used, now)} · made on {day(link.created)}")
        if closed in ("ended", "revoked"):
            return
        with right.container(horizontal=True, horizontal_alignment="right"):
            if closed == "paused":
                if st.button("Resume", key=f"resume-{link.id}", icon=":material/play_arrow:"):
                    _change(view, link, "resume")
            elif st.button("Pause", key=f"pause-{link.id}", icon=":material/pause:", help="Nobody gets in meanwhile."):
                _change(view, link, "pause")
            with st.popover("Take back", icon=":material/link_off:"):
                st.write("Whoever came in by it is out at once. Their answers stay. It cannot be given again.")
                if st.button("Take it back for good", key=f"revoke-{link.id}", type="primary"):
                    _change(view, link, "revoke")


def _change(view: View, link: Link, how: str) -> None:
    state.require("own", link.scope.dataset)
    try:
        if how == "revoke":
            view.rt.links.revoke(link.id)
        else:
            view.rt.links.pause(link.id, how == "pause")
    except ExplorerError as error:
        state.shown(error)
        return
    st.rerun()


def _terms(link: Link) -> str:
    people = "nobody" if not link.people else "1 person" if link.people == 1 else f"{link.people:,} people"
    of = f" of {link.seats:,}" if link.seats is not None else ""
    return f"{people}{of} in · {_until(link)}"


def _until(link: Link) -> str:
    return f"until {day(link.ends)}" if link.ends is not None else "no end date"
