"""The report says what is known and what is not, on one page, whatever the names are."""

import io
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier
from explorer.learning.evaluation import evaluate
from explorer.learning.questions import Question, QuestionClass
from explorer.learning.standing import CurrentAnswer, Provenance
from explorer.sharing import report_words as words
from explorer.sharing.answer_sheet import AnswerSheet
from explorer.sharing.report import Failure, Figure, Judged, ReportData, report_data
from explorer.sharing.report_html import report_html
from explorer.sharing.report_pdf import report_pdf
from explorer.sharing.untested import percent, silent_parts, unlike_answered

NOON = 1_760_000_000.0


def _question(kind: str = "classes", names: tuple[str, ...] = ("glass negative", "print")) -> Question:
    classes = tuple(QuestionClass(f"c{place}", name, place) for place, name in enumerate(names))
    return Question("q", "d", "Which kind?", kind, "as it lies in the box", classes, 0.0)


def _collection(n: int = 200) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "uid": [f"{i:03}.jpg" for i in range(n)],
            "path": [f"box/{i:03}.jpg" for i in range(n)],
            "caption": [f"No. {i}" for i in range(n)],
            "status": ["gone" if i >= n - 10 else "ok" for i in range(n)],
            "meta:box": [["A", "B", "C"][i % 3] for i in range(n)],
            "meta:year": [1850.0 + i for i in range(n)],
            "meta:number": [str(i) for i in range(n)],
        }
    )


def _sheet(rows: list[int], kind: str = "classes", people: tuple[str, ...] = ("ann",), **how: object) -> AnswerSheet:
    said = {"policy": "useful", "probability": 0.5, "blind": True, "at": NOON, "seq": 0, "person_id": ""} | how
    answers = {
        f"{row:03}.jpg": CurrentAnswer(
            f"c{place % 2}", "yes", place, people[place % len(people)], "", NOON + 60 * place
        )
        for place, row in enumerate(rows)
    }
    return AnswerSheet(_question(kind), _collection(), answers, how=dict.fromkeys(answers, Provenance(**said)))


def _judged(m: int, wrong: tuple[int, ...] = ()) -> Judged:
    y = np.arange(m) % 2
    p = np.where(np.arange(2) == y[:, None], 0.8, 0.2)
    for place, at in enumerate(wrong):
        p[at] = [0.05 + 0.01 * place, 0.95 - 0.01 * place][:: 1 if y[at] == 0 else -1]
    return Judged([f"{3 * row:03}.jpg" for row in range(m)], y, p, np.arange(m))


def test_the_figures_are_those_of_the_answers():
    sheet = _sheet([3 * row for row in range(40)])
    data = report_data(sheet, "Archive", NOON, _judged(40, wrong=(4, 6, 9)))
    assert (data.pictures, data.answered, data.random_checks) == (190, 40, 0)
    assert data.confusion == ((18, 2), (1, 19))
    assert [one.answers for one in data.classes] == [20, 20]
    assert data.classes[0].precision is not None
    assert data.classes[0].precision.value == pytest.approx(18 / 19)
    assert data.classes[0].recall is not None
    assert data.classes[0].recall.value == pytest.approx(18 / 20)
    assert data.classes[0].recall.low < 0.78 < 0.97 < data.classes[0].recall.high
    assert [one.uid for one in data.failures] == ["012.jpg", "018.jpg", "027.jpg"], "the surest first"
    assert data.failures[0].answered == "glass negative"
    assert data.failures[0].guessed == "print"
    assert data.failures[0].caption == "No. 12"
    (ann,) = data.people
    assert (ann.name, ann.answers, ann.last - ann.first) == ("ann", 40, 39 * 60)


def test_near_duplicates_widen_the_intervals_and_fail_once():
    sheet, one = _sheet([3 * row for row in range(40)]), _judged(40, wrong=(4, 6, 9))
    alone = report_data(sheet, "Archive", NOON, one).classes[0].recall
    twins = Judged(one.uids, one.y, one.probabilities, np.arange(40) // 4)
    data = report_data(sheet, "Archive", NOON, twins)
    together = data.classes[0].recall
    assert alone is not None
    assert together is not None
    assert together.low < alone.low - 0.1
    assert [each.uid for each in data.failures] == ["012.jpg", "027.jpg"], "012 and 018 are nearly the same"


def test_what_it_was_not_tested_on():
    said = report_data(_sheet([0, 3, 6, 9, 12, 15, 18, 21]), "Archive", NOON, unlike=19, changed=1).untested
    text = " ".join(said)
    assert "“glass negative” (4), “print” (4)" in text
    assert "no picture was drawn by lot" in text
    assert "unlike anything that was answered: 19 (10 %)" in text
    assert "by box: B (63), C (63)." in text
    assert "by year: 1887.8 to 1925.6 (38), 1925.6 to 1963.4 (38), 1963.4 to 2001.2 (38) and 1 more." in text
    assert "number" not in text, "a column of different texts parts nothing"
    assert "one person gave every answer" in text
    assert "1 answer was about files that have been edited since" in text
    assert "guess in view" not in text

    many = _sheet(list(range(100)), people=("ann", "bo"), policy="random", blind=False)
    said = report_data(many, "Archive", NOON, both=12).untested
    assert [sentence.split()[0] for sentence in said] == ["Pictures", "100"]
    assert said[1] == "100 answers were given with the guess in view, which may have swayed them."
    assert "no picture was answered by two" in " ".join(report_data(many, "Archive", NOON).untested)
    gone = _sheet([0, 195, 196])
    assert "2 answers were about pictures that are no longer there." in report_data(gone, "Archive", NOON).untested


def test_parts_are_named_only_where_they_are_parts():
    items = pd.DataFrame({"uid": list("abcdef"), "meta:same": ["x"] * 6, "meta:empty": [None, "", "p", "p", "q", "q"]})
    answered = np.array([True, True, True, False, False, False])
    assert silent_parts(items, answered) == ["Pictures with no answer like them, by empty: q (2)."]
    more = {"group": ["1", "1", "1", "2", "2", None]}
    assert silent_parts(items, answered, more)[-1] == "Pictures with no answer like them, by group: 2 (2)."
    assert silent_parts(items, np.ones(6, bool), more) == []


def test_pictures_unlike_anything_answered_are_counted():
    rng = np.random.default_rng(0)
    middle = np.repeat(np.eye(3, 16, dtype="f4"), [300, 200, 50], axis=0)
    vectors = middle + rng.normal(scale=0.1, size=(550, 16)).astype("f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.sort(np.concatenate([rng.permutation(300)[:40], 300 + rng.permutation(200)[:40]]))
    found = unlike_answered(vectors, rows, np.arange(80))
    assert 50 <= found <= 50 + 0.12 * 500, "the third kind, and few of the others"
    assert unlike_answered(vectors, rows[:10], np.arange(10)) == 0
    assert unlike_answered(vectors, rows, np.zeros(80, int)) == 0, "near-duplicates all: nothing to go by"


def test_attributes_are_judged_one_by_one():
    question = _question("attributes", ("dog", "red"))
    yes, no = (CurrentAnswer("c0", value, 1, "ann", "", NOON) for value in ("yes", "no"))
    verdicts = {"000.jpg": {"c0": yes, "c1": yes}, "001.jpg": {"c0": no, "c1": no}, "002.jpg": {"c0": yes, "c1": no}}
    answers = {"000.jpg": yes, "001.jpg": no, "002.jpg": yes}
    sheet = AnswerSheet(question, _collection(), answers, verdicts)
    y = np.array([[1, 1], [0, 0], [1, -1]])
    p = np.array([[0.9, 0.2], [0.7, 0.1], [0.8, 0.9]])
    data = report_data(sheet, "Archive", NOON, Judged(list(answers), y, p, np.arange(3)))
    assert [one.answers for one in data.classes] == [2, 1]
    assert data.confusion == ()
    assert data.classes[0].precision is not None
    assert data.classes[0].precision.value == pytest.approx(2 / 3)
    assert data.classes[1].precision is None, "it was never said where the answer is known"
    assert [(one.answered, one.guessed) for one in data.failures] == [("red", "not red"), ("not dog", "dog")]
    report_pdf(data)


def test_grades_say_how_far_off_they_are():
    data = report_data(_sheet([0, 3, 6, 9], "grades"), "Archive", NOON, _judged(4))
    assert data.extra == ("100 % are at most one grade off.",)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="shapes"):
        report_data(_sheet([0, 3]), "Archive", NOON, Judged(["000.jpg"], np.zeros(2), np.zeros((1, 2)), np.zeros(1)))


def test_numbers_as_a_person_says_them():
    assert words.count_words(Figure(1903, 1604, 2249)) == "about 1,900 (1,600–2,250)"
    assert words.count_words(Figure(12, 12, 12)) == "12"
    assert words.count_words(Figure(48_312, 47_900, 48_790)) == "about 48,500 (48,000–49,000)"
    assert words.share_words(Figure(0.914, 0.861, 0.948)) == "91 % (86–95 %)"
    assert [percent(share) for share in (0, 0.001, 0.07, 0.998, 1)] == ["0 %", "under 1 %", "7 %", "over 99 %", "100 %"]
    assert words.days(NOON, NOON + 86_400) == "9–10 October 2025"
    assert words.days(NOON, NOON + 40 * 86_400) == "9 October 2025 – 18 November 2025"


# --- the page ---

HOSTILE = "<script>alert(1)</script>\"'&]]> שלום 漢字 \ud800 \x00 =1+1 <b>"


def _thumb() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 256, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()


def _full(text: str = "Žižkův γ Ж", classes: int = 3) -> ReportData:
    sheet = _sheet([3 * row for row in range(40)])
    question = _question(names=tuple(f"{text} {place}" for place in range(classes)))
    people = {"ann": text}
    sheet = AnswerSheet(**{**vars(sheet), "question": question, "people": people})
    y, groups = np.arange(40) % classes, np.arange(40)
    fit = fit_classifier(np.random.default_rng(1).normal(size=(40, 8)).astype("f4") / 3, y, classes, groups)
    judged = Judged(list(sheet.answers), y, fit.loo_probabilities(), groups)
    quality = evaluate(fit, y, [one.name for one in question.classes], groups)
    failures = (Failure("a", text, text, text, 0.97, _thumb()), Failure("b", text, text, text, 0.9, b"no picture"))
    data = report_data(
        sheet, text, NOON, judged, quality, in_collection={"c0": Figure(1903, 1604, 2249)}, finish=f"Review {text}.",
        threshold=text, in_the_collection=text, versions=[(text, text)],
    )  # fmt: skip
    return ReportData(**{**vars(data), "question": text, "note": text, "failures": failures})


class _Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href") and not value.startswith("data:")]

    def handle_data(self, data):
        self.said += data


def test_the_page_needs_nothing_and_runs_nothing():
    page = report_html(_full(HOSTILE))
    page.encode()
    read = _Page(page)
    assert read.fetched == []
    assert not {"script", "b", "iframe", "link"} - {"b"} & set(read.tags)
    assert read.tags.count("b") == 4, "the four figures, none of the question's"
    assert "default-src 'none'" in page
    assert read.tags.count("img") == 2


def test_html_and_pdf_say_the_same():
    data = _full()
    page = re.sub(r"\s+", " ", _Page(report_html(data)).said)
    printed = _printed(data)
    for text in (
        *words.judgement(data), *words.answering(data), *words.not_tested(data), words.verdict(data), words.foot(data),
        *(cell for row in words.class_table(data) for cell in row), *(figure for figure, _ in words.tiles(data)),
    ):  # fmt: skip
        assert unescape(text) in page
        assert text in printed
    assert "about 1,900 (1,600–2,250)" in page
    assert "97 % sure" in page


def _printed(data: ReportData) -> str:
    """What the PDF's paragraphs hold, read from what it is drawn from."""
    from explorer.sharing.report_pdf import _Letters, _story

    def texts(part: object) -> list[str]:
        if isinstance(part, list | tuple):
            return [text for one in part for text in texts(one)]
        if hasattr(part, "_cellvalues"):
            return texts(part._cellvalues)
        return [part.getPlainText()] if hasattr(part, "getPlainText") else []

    return "\n".join(texts(_story(data, _Letters())))


@pytest.mark.parametrize("text", ["a", "Žižkův γ Ж", HOSTILE, "word " * 80, "x" * 500])
@pytest.mark.parametrize("classes", [2, 6, 14])
def test_the_pdf_is_one_page_whatever_is_in_it(text, classes):
    data = _full(text, classes)
    many = tuple(f"{text} {place}" for place in range(12))
    pdf = report_pdf(ReportData(**{**vars(data), "untested": many}))
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert re.search(rb"/MediaBox \[ 0 0 595\.\d+ 841\.\d+ \]", pdf)
    assert b"/Subtype /Image" in pdf


def test_letters_that_the_pdf_lacks_are_counted_and_said():
    from explorer.sharing.report_pdf import _Letters

    letters = _Letters()
    assert letters.marked("Žižka Ω Ж & <") == "Žižka Ω Ж &amp; &lt;"
    assert (letters.lost, letters.foreign) == (0, False)
    assert letters.marked("a漢b") == 'a<font name="STSong-Light">漢</font>b'
    assert letters.marked("これ漢") == '<font name="HeiseiKakuGo-W5">これ漢</font>'
    assert letters.foreign
    assert letters.marked("שלום") == "\N{REPLACEMENT CHARACTER}" * 4
    assert letters.lost == 4


def test_an_empty_report_is_a_report():
    sheet = AnswerSheet(_question(), _collection(), {})
    data = report_data(sheet, "Archive", NOON)
    assert "Nobody has answered yet." in report_html(data)
    assert "not known yet" in report_html(data)
    assert report_pdf(data).startswith(b"%PDF-")
