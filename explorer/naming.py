"""Ids for datasets, made from the names people give them."""

import re
import unicodedata

from explorer.workspace import RESERVED, Workspace


def free_id(workspace: Workspace, name: str) -> str:
    """An id for a dataset of that name which no dataset has yet."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50] or "pictures"
    taken = {*workspace.dataset_ids(), *RESERVED}
    return next(found for found in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if found not in taken)
