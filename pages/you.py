"""Who you are here, and what you were let in for."""

import streamlit as st

from explorer.web import state
from explorer.web.runtime import runtime
from explorer.web.you import GIVEN_BACK, you

state.adopt_url("you")
person = state.me()
if person is not None and not person.grants and GIVEN_BACK in st.session_state:
    state.empty("You have given everything back", "Nothing here is open to this browser any more.")
if person is None or not person.grants:
    person = state.require("look")
you(runtime(), person)
