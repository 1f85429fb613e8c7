"""What a question can be taken away as: tables, folders, the question itself, the report."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.portable import export_question
from explorer.learning.portable_scores import portable_classifier
from explorer.learning.questions import Question
from explorer.sharing import exports
from explorer.sharing.answer_sheet import SURE, AnswerSheet, as_csv, as_jsonl, as_parquet
from explorer.sharing.class_folders import class_folders
from explorer.sharing.report_html import report_html
from explorer.sharing.report_pdf import report_pdf
from explorer.web import views
from explorer.web.reporting import report_of

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

FORMATS = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "jsonl": (as_jsonl, "application/x-ndjson"),
    "parquet": (as_parquet, "application/vnd.apache.parquet"),
}


def answers_file(rt: "Runtime", dataset_id: str, query: dict[str, str], ending: str) -> Response:
    """Every picture with its answer and, with `space`, its guess, as one of FORMATS."""
    question = _question(rt, dataset_id, query)
    write, media_type = FORMATS[ending]
    sheet = sheet_of(rt, rt.dataset(dataset_id), question, query)
    return _stream(write(sheet), f"{question.name} answers.{ending}", media_type)


def classes_zip(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> Response:
    """A folder for each class; with `guessed` (a share) also of the pictures that nobody has answered."""
    question = _question(rt, dataset_id, query)
    dataset = rt.dataset(dataset_id)
    guessed = _share(query, "guessed")
    if guessed is not None and not query.get("space"):
        raise BadInput("Guesses come from a space: the address lacks 'space='.")
    pieces = class_folders(dataset, sheet_of(rt, dataset, question, query), guessed)
    return _stream(pieces, f"{question.name}.zip", "application/zip")


def question_json(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> Response:
    """The question with its answers as one file that another installation imports; with `space` also the classifier
    as it stands there. Of several attributes, which have a classifier each, the answers alone."""
    question = _question(rt, dataset_id, query)
    classifier = None
    if query.get("space"):
        scores = rt.live.scores(dataset_id, question.id, query["space"], rt.answers.latest_seq(question.id))
        if scores.classifier is not None:
            classifier = portable_classifier(scores.space, scores.classifier, scores.class_ids)
    content = json.dumps(
        export_question(rt.catalog, question.id, rt.dataset(dataset_id), classifier), ensure_ascii=False, indent=1
    )
    return _file(content.encode(), f"{question.name} question.json", "application/json")


def report(rt: "Runtime", dataset_id: str, query: dict[str, str], ending: str) -> Response:
    """The one-page report, "html" or "pdf"; with `class` (and `target`) also how far that class's finish line is."""
    question = _question(rt, dataset_id, query)
    dataset = rt.dataset(dataset_id)
    sheet = sheet_of(rt, dataset, question, {})
    target = _share(query, "target") or 0.95
    data = report_of(rt, dataset, sheet, query.get("space", ""), query.get("class", ""), target)
    if ending == "pdf":
        return _file(report_pdf(data), f"{question.name} report.pdf", "application/pdf")
    return _file(report_html(data).encode(), f"{question.name} report.html", "text/html; charset=utf-8")


def sheet_of(rt: "Runtime", dataset: Dataset, question: Question, query: dict[str, str]) -> AnswerSheet:
    """The table of a question as of now; with guesses if `space` names one and enough was answered."""
    several = question.kind == "attributes"
    plain = AnswerSheet(
        question=question,
        items=dataset.items[["uid", "path", "caption", "status"]],
        answers=rt.answers.current(question.id),
        verdicts=rt.answers.attributes_with_seq(question.id)[0] if several else {},
        how=rt.answers.provenance(question.id),
        sure_from=_share(query, "sure") or SURE,
    )
    if not query.get("space"):
        return plain
    space = rt.space(dataset.id, query["space"])
    scores = rt.live.scores(dataset.id, question.id, space.key, rt.answers.latest_seq(question.id))
    if not scores.ready:
        return plain
    guesses = {"probabilities": scores.probabilities, "class_ids": scores.class_ids, "rows": scores.space.rows}
    return AnswerSheet(**{**vars(plain), **guesses})


def _question(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> Question:
    if not query.get("question"):
        raise BadInput("The address lacks 'question='.")
    return views.question_of(rt, dataset_id, query["question"])


def _share(query: dict[str, str], name: str) -> float | None:
    """A share of the address, such as .9; None where there is none. Raises BadInput."""
    if not query.get(name):
        return None
    try:
        share = float(query[name])
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise BadInput(f"'{name}' must be a share above 0 and at most 1, such as 0.9, not '{query[name][:40]}'.")
    return share


def _headers(name: str) -> dict[str, str]:
    # identity: a stream that is compressed on its way is held back until enough has come together
    return {
        "cache-control": "no-store",
        "content-encoding": "identity",
        "content-disposition": exports.attachment(name),
    }


def _stream(pieces: Iterator[bytes], name: str, media_type: str) -> Response:
    return StreamingResponse(pieces, media_type=media_type, headers=_headers(name))


def _file(content: bytes, name: str, media_type: str) -> Response:
    return Response(content, media_type=media_type, headers=_headers(name))
