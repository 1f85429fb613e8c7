"""Dataset Explorer: the server and the Streamlit script in one file.

    streamlit run app.py          # prints the link that opens it
    python -m explorer serve      # the same, and opens the browser

Imported by the server, it makes the ASGI app with our routes and the door in front; run by Streamlit, it is the script
that every browser session executes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from explorer.errors import Unavailable

STYLE = """<style>
.stMainBlockContainer { padding: 4.75rem 2.5rem 3rem; }
.stSidebar [data-testid="stSidebarHeader"] { height: 1rem; }
</style>"""


def main() -> None:
    st.set_page_config(
        page_title="Dataset Explorer", page_icon=str(Path(__file__).parent / "docs" / "icon.png"), layout="wide"
    )
    st.html(STYLE)
    from explorer.web.navigation import navigation  # the server, which runs nothing of this, imports this file too

    try:
        navigation().run()
    except Unavailable as error:
        st.error(str(error), icon=":material/cloud_off:")
        st.button("Try again", icon=":material/refresh:")  # any press runs the page anew


if get_script_run_ctx(suppress_warning=True) is None:
    from explorer.web.server import around

    app = st.App(__file__, **around())  # written out here: `streamlit run` looks for these very words
else:
    main()
