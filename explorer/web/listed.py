"""The list of a class above its threshold: which pictures, and as files to take away."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from starlette.responses import Response, StreamingResponse

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.judgement import Judgement
from explorer.sharing import exports
from explorer.web import selections, views

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

_AROUND = 8


@dataclass(frozen=True)
class Listed:
    """`rows` (k,) int64 of the space, the likeliest first. What was answered goes by its answer, whatever it looked
    like: `put_in` were answered so below the threshold, `taken_out` otherwise above it."""

    rows: np.ndarray
    put_in: int
    taken_out: int


def listed(judgement: Judgement, place: int, threshold: float) -> Listed:
    """The pictures that are at least so likely of class `place`, set right by the answers."""
    seen = unseen_shares(judgement, place)
    above = (seen >= threshold - 1e-9) & ~judgement.without_class
    right = above.copy()
    right[judgement.part.rows] = judgement.part.y == place
    rows = np.flatnonzero(right)
    rows = rows[np.argsort(-seen[rows], kind="stable")].astype(np.int64)
    return Listed(rows, int((right & ~above).sum()), int((above & ~right).sum()))


def around(judgement: Judgement, place: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows without an answer: the nearest below the threshold and the nearest above it, the least likely first."""
    seen = unseen_shares(judgement, place)
    still = np.flatnonzero(~judgement.scores.answered)
    still = still[np.argsort(seen[still], kind="stable")]
    at = int(np.searchsorted(seen[still], threshold - 1e-9))
    return still[max(at - _AROUND, 0) : at], still[at : at + _AROUND]


def unseen_shares(judgement: Judgement, place: int) -> np.ndarray:
    """(n,) how likely each picture is of the class; of the answered ones, by a classifier that has not seen them."""
    seen = np.array(judgement.scored.probabilities[:, place], np.float64)
    seen[judgement.part.rows] = judgement.left_out[:, place]
    return seen


def list_file(rt: "Runtime", dataset_id: str, query: dict[str, str], ending: str) -> Response:
    """The list as "csv", or with its pictures as "zip". Raises BadInput, NotFound."""
    question = views.question_of(rt, dataset_id, query.get("question", ""))
    class_id = query.get("class", "")
    if class_id not in question.class_ids:
        raise BadInput("The list is about a class that this question does not have (any more); reload the page.")
    dataset = rt.dataset(dataset_id)
    several = question.kind == "attributes"
    seq = rt.answers.latest_seq(question.id)
    space_key = query.get("space", "")
    judgement = rt.live.judgement(dataset_id, question.id, space_key, class_id if several else "", seq)
    place = 1 if several else question.class_ids.index(class_id)
    items = list_items(dataset, judgement, place, _threshold(query))
    name = f"{question.name} {question.class_of(class_id).name}"
    headers = {"cache-control": "no-store", "content-disposition": exports.attachment(f"{name}.{ending}")}
    if ending == "csv":
        content = exports.items_csv(items).encode("utf-8-sig")
        return Response(content, media_type="text/csv; charset=utf-8", headers=headers)
    headers["content-encoding"] = "identity"
    return StreamingResponse(exports.zip_stream(dataset, items), media_type="application/zip", headers=headers)


def list_items(dataset: Dataset, judgement: Judgement, place: int, threshold: float) -> pd.DataFrame:
    """The items of the list with how likely each is and whether it was answered; pictures that are gone left out."""
    rows = listed(judgement, place, threshold).rows
    shares, told = unseen_shares(judgement, place), set(judgement.part.rows.tolist())
    uids = [judgement.space.uids[row] for row in rows]
    found = selections.items_of(dataset, uids)
    at = dict(zip(uids, rows.tolist(), strict=True))
    places = [at[uid] for uid in found["uid"]]
    return found.assign(
        likely=[round(float(shares[row]), 4) for row in places],
        answered=["yes" if row in told else "" for row in places],
    )


def _threshold(query: dict[str, str]) -> float:
    try:
        threshold = float(query.get("at") or "nan")
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        raise BadInput("'at' must be a share from 0 to 1, such as 0.5: how likely a picture of the list is at least.")
    return threshold
