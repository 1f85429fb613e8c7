"""Files of published weights: from the cache of the Hugging Face hub, else downloaded, else a sentence that says what
to do. Nothing is asked of the network once a file is here."""

import os
import re
import socket
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from explorer.errors import BadInput, Missing


def fetch(repository: str, names: Sequence[str], what: str, way_out: str, revision: str | None = None) -> Path:
    """The file of a repository "owner/name" that has one of `names`, the first that there is.

    `what` and `way_out` are for the message of Missing: "The weights 'x' of 'y'", "Download it elsewhere and …".
    Raises BadInput for what is no repository's name.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise BadInput(f"'{repository}' is no repository of the Hugging Face hub: write OWNER/NAME.")
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names:
        try:
            return Path(hf_hub_download(repository, name, revision=revision, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
    require(urlsplit(constants.ENDPOINT).hostname or "the hub", what, way_out)
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, revision=revision))
        except LocalEntryNotFoundError as error:  # one of these too, but it means that the connection broke
            raise Missing(f"{what} could not be downloaded: {error}. {way_out}") from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # no such repository, no permission, no space, no connection: each its own
            raise Missing(f"{what} could not be downloaded: {error}. {way_out}") from error
    raise Missing(f"{what} could not be downloaded: {repository} has none of {', '.join(names)}. {way_out}")


def require(host: str, what: str, way_out: str) -> None:
    """Raise Missing at once if a download cannot start: the packages themselves try for most of a minute."""
    if not _reachable(host):
        raise Missing(f"{what} are not here and {host} is out of reach. {way_out}")


def _reachable(host: str) -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    if urllib.request.getproxies():  # then the proxy looks the host up, and only it can say
        return True
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError:
        return False
    return True
