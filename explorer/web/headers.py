"""The headers that every answer carries: what its page may load, who may frame it, what it tells other sites.

Three policies: the app (Streamlit's front end, our components), our own little pages (coming in, being refused), and
everything that is no page at all. Why the app's is not stricter stands in security.md.
"""

import base64
import functools
import hashlib
import re

from explorer.web import index

STYLE = """body{font:16px/1.6 system-ui,sans-serif;color:#1c2423;background:#f4f5f4;margin:0;display:grid;
min-height:100vh;place-items:center}main{background:#fff;border:1px solid #dfe3e1;border-radius:8px;
padding:2rem 2.5rem;max-width:32rem;margin:1rem}h1{font-size:1.3rem;margin:0 0 .6rem}p{margin:.5rem 0}
code{background:#f4f5f4;padding:.1em .4em;border-radius:4px}"""
"""Of our own little pages; their policy lets in this one by its hash."""
_EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_NO_PAGES = ("/x/", "/media/", "/_stcore/")


def headers_of(path: str, little: bool = False) -> dict[str, str]:
    """Names (lower case) and values for an answer from `path`; `little`: it is one of our own little pages."""
    if little:
        policy, framed = little_policy(), "DENY"
    elif path.startswith(_NO_PAGES):
        policy, framed = "default-src 'none'; frame-ancestors 'none'", "DENY"
    else:
        policy, framed = app_policy(), "SAMEORIGIN"
    return {**_EVERYWHERE, "content-security-policy": policy, "x-frame-options": framed}


@functools.cache
def app_policy() -> str:
    """What the app runs under. Streamlit imports the components' scripts, which come as strings, as `blob:`."""
    inline = " ".join(_hash(script) for script in re.findall(r"<script>(.*?)</script>", index.html(), re.DOTALL))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' blob: {inline}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' blob:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
        )
    )


@functools.cache
def little_policy() -> str:
    """A page whose only script is a file of ours and whose only style is STYLE."""
    return (
        f"default-src 'none'; script-src 'self'; style-src {_hash(STYLE)}; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
