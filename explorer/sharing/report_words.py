"""What the report's page says, place by place, so that HTML and PDF say the same."""

import datetime
import unicodedata

from explorer.sharing.report import Figure, ReportData
from explorer.sharing.untested import listed, percent

CLASSES_SHOWN, CONFUSION_SHOWN, PEOPLE_SHOWN, UNTESTED_SHOWN = 10, 6, 3, 8
NAME, NOTE, SENTENCE = 40, 70, 420
"""Characters."""
KINDS = {
    "classes": "each picture belongs to one class",
    "attributes": "several may be true of one picture",
    "grades": "grades, in this order",
}
HOW_JUDGED = "Each answer was judged by a classifier that had seen neither it nor pictures nearly the same."

_KEPT = {"Cc": " ", "Cs": "\N{REPLACEMENT CHARACTER}"}

Table = list[list[str]]


def tiles(data: ReportData) -> list[tuple[str, str]]:
    """The figures at the top: each with what it is."""
    right = share_words(data.accuracy) if data.accuracy else "not known yet"
    checks = f"{data.random_checks:,}"
    return [
        (f"{data.pictures:,}", "pictures"),
        (f"{data.answered:,}", "answered"),
        (right, "right, on pictures like those answered"),
        (checks, "drawn by lot, as random checks"),
    ]


def verdict(data: ReportData) -> str:
    return clipped(data.finish, SENTENCE) or "No finish line was set: nothing is promised about how complete this is."


def judgement(data: ReportData) -> list[str]:
    """How good it is and how that is known, in sentences."""
    said = [data.quality and f"{data.quality} {HOW_JUDGED}", data.in_the_collection, *data.extra, data.threshold]
    return [clipped(each, SENTENCE) for each in said if each] or ["Nothing has been judged yet."]


def class_table(data: ReportData) -> Table:
    """A header and a row for each class; columns that nobody filled are left out."""
    shown = data.classes[:CLASSES_SHOWN]
    columns = [
        ("class", [clipped(one.name, NAME) + (" (none of these)" if one.none else "") for one in shown]),
        ("what counts", [clipped(one.note, NOTE) for one in shown]),
        ("answers", [f"{one.answers:,}" for one in shown]),
        ("right when it says so", [share_words(one.precision) if one.precision else "" for one in shown]),
        ("found of what there is", [share_words(one.recall) if one.recall else "" for one in shown]),
        ("in the collection", [count_words(one.in_collection) if one.in_collection else "" for one in shown]),
    ]
    kept = [(head, cells) for head, cells in columns if any(cells) or head in ("class", "answers")]
    table = [[head for head, _ in kept], *(list(row) for row in zip(*(cells for _, cells in kept), strict=True))]
    rest = data.classes[CLASSES_SHOWN:]
    if rest:
        last = dict.fromkeys((head for head, _ in kept), "")
        last |= {"class": f"and {len(rest):,} more", "answers": f"{sum(one.answers for one in rest):,}"}
        table.append(list(last.values()))
    return table


def confusion_table(data: ReportData) -> Table:
    """Answered down, guessed across; empty where there is none or it would be too large."""
    if not data.confusion or len(data.classes) > CONFUSION_SHOWN:
        return []
    names = [clipped(one.name, 18) for one in data.classes]
    rows = ([name, *(f"{count:,}" for count in row)] for name, row in zip(names, data.confusion, strict=True))
    return [["answered, and taken for:", *names], *rows]


def confusions(data: ReportData) -> list[str]:
    """The most frequent mistakes in words, where the table would be too large."""
    if not data.confusion or len(data.classes) <= CONFUSION_SHOWN:
        return []
    names = [clipped(one.name, NAME) for one in data.classes]
    wrong = [
        (count, answered, guessed)
        for answered, row in enumerate(data.confusion)
        for guessed, count in enumerate(row)
        if answered != guessed and count
    ]
    wrong.sort(key=lambda one: (-one[0], one[1], one[2]))
    return [
        f"“{names[a]}” taken for “{names[g]}”: {count:,} of {sum(data.confusion[a]):,}" for count, a, g in wrong[:6]
    ]


def answering(data: ReportData) -> list[str]:
    """Who answered, how many, when, and how the pictures came up."""
    said = []
    for one in data.people[:PEOPLE_SHOWN]:
        said.append(f"{clipped(one.name, NAME)}: {count_of(one.answers, 'answer')}, {days(one.first, one.last)}.")
    rest = data.people[PEOPLE_SHOWN:]
    if rest:
        said.append(f"{len(rest):,} more people: {count_of(sum(one.answers for one in rest), 'answer')}.")
    if data.other_answers:
        said.append("Among them " + ", ".join(f"{count:,} “{word}”" for word, count in data.other_answers) + ".")
    if data.chosen:
        said.append(
            "How the pictures came up: " + listed([f"{word} {count:,}" for word, count in data.chosen], 6) + "."
        )
    return said or ["Nobody has answered yet."]


def failure_words(answered: str, guessed: str, sure: float) -> str:
    return f"“{clipped(answered, 24)}”, taken for “{clipped(guessed, 24)}”, {percent(sure)} sure"


def not_tested(data: ReportData) -> list[str]:
    shown = [clipped(each, SENTENCE) for each in data.untested[:UNTESTED_SHOWN]]
    rest = len(data.untested) - len(shown)
    return [*shown, *([f"{rest} more."] if rest > 0 else [])] or ["Nothing was found that was left out."]


def foot(data: ReportData) -> str:
    return " · ".join(
        [f"Made on {day(data.made_at)}", *(f"{clipped(a, NAME)} {clipped(b, 80)}" for a, b in data.versions)]
    )


def share_words(figure: Figure) -> str:
    """91 % (86–95 %)"""
    return f"{100 * figure.value:.0f} % ({100 * figure.low:.0f}–{100 * figure.high:.0f} %)"


def count_words(figure: Figure) -> str:
    """about 1,900 (1,600–2,250); a number that is known is said plainly"""
    if figure.low == figure.high:
        return f"{figure.value:,.0f}"
    return f"about {rounded(figure.value):,} ({rounded(figure.low):,}–{rounded(figure.high):,})"


def rounded(value: float) -> int:
    """To what can be kept in mind: 48,312 is 48,500, 1,903 is 1,900, 153 is 150; under a hundred as it is."""
    for above, step in ((10_000, 500), (1_000, 50), (100, 10)):
        if value >= above:
            return round(value / step) * step
    return round(value)


def count_of(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def day(at: float) -> str:
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return f"{moment.day} {moment:%B %Y}"


def days(first: float, last: float) -> str:
    """9–10 October 2025; whole dates where the month changes"""
    a, b = day(first), day(last)
    if a == b:
        return a
    return f"{a.split()[0]}–{b}" if a.split()[1:] == b.split()[1:] else f"{a} – {b}"


def clipped(text: str, most: int) -> str:
    """On one line, at most so long, and without what no encoding can write."""
    text = " ".join("".join(_KEPT.get(unicodedata.category(sign), sign) for sign in text).split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
