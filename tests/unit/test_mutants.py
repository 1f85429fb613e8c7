"""The runner tells a stub that is noticed from one that is not, and from one that says nothing."""

from pathlib import Path

import pytest

from tests.mutants.runner import ROOT, Stub, Verdict, check, edited, run
from tests.mutants.stubs import STUBS

PART = "def double(x):\n    return 2 * x\n\n\ndef name():\n    return 'part'\n"
TEST = "from part import double\n\n\ndef test_double():\n    assert double(3) == 6\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "tests").mkdir(parents=True)
    (root / "part.py").write_text(PART)
    (root / "tests" / "test_part.py").write_text(TEST)
    return root


def _stub(old: str, new: str, file: str = "part.py") -> Stub:
    return Stub("x", "x", file, old, new, ("tests/test_part.py",))


@pytest.mark.parametrize(
    ("stub", "verdict", "detail"),
    [
        (_stub("return 2 * x", "return 6 * x"), Verdict.NOTICED, "tests/test_part.py::test_double"),
        (_stub("return 'part'", "return 'whole'"), Verdict.SURVIVED, "green"),
        (_stub("return 3 * x", "return x"), Verdict.ERROR, "0 times in part.py"),
        (_stub("return", "return 1 +"), Verdict.ERROR, "2 times in part.py"),
        (_stub("return 2 * x", "return ("), Verdict.ERROR, "never closed"),
        (_stub("def double(x)", "def single(x)"), Verdict.ERROR, "did not run"),  # the test cannot even be imported
        (_stub("x", "y", file="gone.py"), Verdict.ERROR, "gone.py is not there"),
    ],
)
def test_verdicts(tree, stub, verdict, detail):
    found = check(stub, tree)
    assert found.verdict is verdict, found.detail
    assert detail in found.detail
    assert (tree / "part.py").read_text() == PART


def test_one_survivor_is_a_failure(tree):
    lines: list[str] = []
    noticed, survives = _stub("return 2 * x", "return 0"), _stub("return 'part'", "return 'whole'")
    assert run([noticed], 1, tree, lines.append) == 0
    assert run([noticed, survives], 1, tree, lines.append) == 1
    assert lines[-1] == "1 of 2 stubs were noticed"


def test_nothing_is_said_where_the_tests_fail_anyway(tree):
    (tree / "part.py").write_text(PART.replace("2 * x", "5 * x"))
    lines: list[str] = []
    assert run([_stub("return 5 * x", "return 0")], 1, tree, lines.append) == 2
    assert "nothing can be said" in lines[-1]


def test_there_are_enough_stubs_and_each_has_a_name_and_tests():
    assert len(STUBS) >= 12
    assert len({stub.name for stub in STUBS}) == len(STUBS)
    for stub in STUBS:
        assert stub.tests
        for test in stub.tests:
            assert (ROOT / test.split("::")[0]).is_file(), f"{stub.name}: {test}"


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.name)
def test_every_stub_still_fits_the_code(stub):
    text = (ROOT / stub.file).read_text(encoding="utf-8")
    assert edited(text, stub) != text
