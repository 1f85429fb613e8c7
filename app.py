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

STYLE = """<style>
.stMainBlockContainer { padding: 4.75rem 2.5rem 3rem; }
.stSidebar [data-testid="stSidebarHeader"] { height: 1rem; }
</style>"""


def main() -> None:
    st.set_page_config(
        page_title="Dataset Explorer", page_icon=str(Path(__file__).parent / "docs" / "icon.png"), layout="wide"
    )
    st.html(STYLE)
    pages = [
        st.Page(
            "pages/datasets.py", title="Collections", icon=":material/photo_library:", url_path="datasets", default=True
        ),
        st.Page("pages/map.py", title="Map", icon=":material/bubble_chart:", url_path="map"),
        st.Page("pages/similar.py", title="Similar", icon=":material/image_search:", url_path="similar"),
        st.Page("pages/groups.py", title="Groups", icon=":material/category:", url_path="groups"),
        st.Page("pages/odd.py", title="Odd ones out", icon=":material/priority_high:", url_path="odd"),
        st.Page("pages/looks.py", title="Ways of looking", icon=":material/visibility:", url_path="looks"),
        st.Page("pages/label.py", title="Label", icon=":material/label:", url_path="label"),
        st.Page("pages/results.py", title="How good?", icon=":material/verified:", url_path="results"),
        st.Page("pages/compare.py", title="Compare", icon=":material/compare:", url_path="compare"),
        st.Page("pages/share.py", title="Share", icon=":material/ios_share:", url_path="share"),
    ]
    st.navigation(pages, position="top").run()


if get_script_run_ctx(suppress_warning=True) is None:
    from explorer.web.server import around

    app = st.App(__file__, **around())  # written out here: `streamlit run` looks for these very words
else:
    main()
