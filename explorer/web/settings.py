"""What the Results page keeps with a question: a threshold and a target for each class."""

from explorer.learning.questions import Question


def of_classes(question: Question, setting: str) -> dict[str, float]:
    """A setting that is a dictionary of shares by class id; damaged ones, and those of a lost class, left out."""
    raw = question.settings.get(setting)
    held = raw if isinstance(raw, dict) else {}
    return {
        class_id: float(value)
        for class_id, value in held.items()
        if class_id in question.class_ids and isinstance(value, int | float) and 0 <= value <= 1
    }
