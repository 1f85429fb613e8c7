"""What the server says: plain words for a terminal, or, with EXPLORER_LOG=json, one JSON object a line.

A line about a request has its id, its path, status and time, and whom it came from by address: never a query, a cookie
or a body, since links and pages carry there what nobody else should have.
"""

import json
import logging
import os
import re
import secrets
import sys
import time
from contextvars import ContextVar
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from explorer.errors import BadInput

_LOG = logging.getLogger("explorer")
_request: ContextVar[str] = ContextVar("explorer_request", default="")
_HIDDEN = "…"
_SECRETS = (
    (re.compile(r"(?i)\b(token|secret|password|code|state|client_secret|id_token|access_token)=[^\s&\"']+"), r"\1=…"),
    (re.compile(r"/join#[^\s\"']+"), "/join#…"),
    (re.compile(r"\b(_streamlit_\w+|explorer_\w*\d+)=[^\s;\"']+"), r"\1=…"),
    (re.compile(r"(\w+://[^\s:/@]+):[^\s@/]+@"), r"\1:…@"),
    (re.compile(r"(/_stcore/upload_file/)[^\s\"']+"), r"\1…"),
)
"""Patterns of what must not be read by whoever may read the log. Uploads carry a session's id in their path."""


def as_json() -> bool:
    """Whether EXPLORER_LOG asks for JSON. Raises BadInput for another word than json and plain."""
    wanted = os.environ.get("EXPLORER_LOG", "").strip().lower()
    if wanted not in ("", "plain", "json"):
        raise BadInput(f"EXPLORER_LOG is '{wanted}'; it can be json or plain.")
    return wanted == "json"


def clean(text: str) -> str:
    """The text without what opens doors."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class JsonLines(logging.Formatter):
    """A record as one line of JSON: at (UTC), level, logger, message; request and trace where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "at": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
        }
        if _request.get():
            line["request"] = _request.get()
        line |= getattr(record, "said", {})
        if record.exc_info:
            line["trace"] = clean(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def install() -> None:
    """Send everything that this process logs to stderr as JSON lines, Streamlit's and uvicorn's words among it."""
    import streamlit.logger

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.INFO)
    logging.captureWarnings(True)

    def joined(logger: logging.Logger) -> None:
        logger.handlers.clear()
        logger.propagate = True

    for each in list(logging.root.manager.loggerDict.values()):
        if isinstance(each, logging.Logger) and each.handlers:
            joined(each)
    streamlit.logger.setup_formatter = joined  # Streamlit gives each of its loggers a handler of its own, when made


def say(text: str) -> None:
    """A sentence about the server itself: a line on the terminal, or in the log."""
    if as_json():
        _LOG.info(text.strip())
    else:
        print(text, flush=True)


class Requests:
    """ASGI middleware: an id for each request, which its answer carries as `x-request-id`, and a line about it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        number = secrets.token_hex(8)
        before = _request.set(number)
        began = time.perf_counter()
        status, size = 0, 0

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), (b"x-request-id", number.encode())]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close" and not status:
                status = 403
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception:
            status = status or 500
            _LOG.exception("the request ended in an error")
            raise
        finally:
            client = scope.get("client")
            said = {
                "method": scope.get("method", "WEBSOCKET"),
                "path": clean(scope["path"])[:500],
                "status": status,
                "ms": round((time.perf_counter() - began) * 1000, 1),
                "bytes": size,
                "from": client[0] if client else "",
            }
            _LOG.info("request", extra={"said": said})
            _request.reset(before)
