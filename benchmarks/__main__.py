"""`python -m benchmarks NAME [--json]`: run one benchmark, or without a name all of them.

A benchmark is a module of this package with `run() -> {"figures": {id: number}, "detail": {…}}`. It may have
`TARGETS = {id: ">= 60"}`, and `plot(result) -> plotly figure`. `--json` prints one JSON object as the last line;
without it a table is printed and a plot is written to benchmarks/results/. What a module's `markdown(result)` gives is
put into README.md by `--readme`, between `<!-- NAME -->` and `<!-- end NAME -->`.
"""

import argparse
import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.machine import commit, machine

RESULTS = Path(__file__).resolve().parent / "results"
README = Path(__file__).resolve().parents[1] / "README.md"
COMPARE = {">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "=": lambda a, b: a == b}


def benchmarks() -> dict[str, str]:
    """Name -> what it measures, of every module here that has a `run`."""
    found = {}
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        source = Path(__file__).with_name(f"{info.name}.py").read_text(encoding="utf-8")
        if "\ndef run(" in source:
            found[info.name] = source.lstrip('"').split("\n")[0].rstrip('"')
    return found


def measure(name: str) -> dict[str, Any]:
    """Run a benchmark and say on what, with which code."""
    on, code = machine(), commit()
    start = time.perf_counter()
    result = importlib.import_module(f"benchmarks.{name}").run()
    figures = {key: round(float(value), 6) for key, value in result["figures"].items()}
    detail = {**result.get("detail", {}), "seconds": round(time.perf_counter() - start, 1)}
    return {"name": name, "machine": on, "commit": code, "figures": figures, "detail": detail}


def kept(target: str, value: float) -> bool:
    """Does `value` keep a target such as ">= 60"?"""
    relation, number = target.split()
    return bool(COMPARE[relation](value, float(number)))


def table(result: dict[str, Any], targets: dict[str, str]) -> str:
    """The figures with their targets, for a terminal."""
    width = max([len(key) for key in [*result["figures"], *targets]] + [6])
    lines = [f"{result['name']}, {result['commit']}, {result['machine']['cpu']}, {result['machine']['cores']} cores"]
    lines.append(f"{'figure':<{width}}  {'value':>12}  {'target':>10}")
    for key, value in result["figures"].items():
        target = targets.get(key, "")
        verdict = "" if not target else ("  kept" if kept(target, value) else "  MISSED")
        lines.append(f"{key:<{width}}  {value:>12,.4g}  {target:>10}{verdict}")
    lines += [f"{key:<{width}}  {'not measured':>12}  {targets[key]:>10}" for key in targets.keys() - result["figures"]]
    return "\n".join(lines)


def plot(result: dict[str, Any], targets: dict[str, str]) -> Any:
    """Each figure as a bar relative to its target (1 = the target itself); without one, its value."""
    import plotly.graph_objects as go

    figures = result["figures"]
    numbers = {key: float(targets[key].split()[1]) for key in figures if key in targets}
    against = {key: figures[key] / number for key, number in numbers.items() if number}
    chosen = against or figures
    colours = ["#0f766e" if key not in targets or kept(targets[key], figures[key]) else "#b45309" for key in chosen]
    words = [f"{figures[key]:,.4g}" + (f"  ({targets[key]})" if key in targets else "") for key in chosen]
    chart = go.Figure(
        go.Bar(x=list(chosen.values()), y=list(chosen), orientation="h", text=words, marker_color=colours)
    )
    if against:
        chart.add_vline(x=1, line_dash="dash", line_color="#555")
        chart.update_xaxes(title="as a share of the target")
    chart.update_layout(
        title=f"{result['name']}: {result['machine']['cpu']}, {result['machine']['cores']} cores, {result['commit']}",
        template="plotly_white",
        height=140 + 44 * len(chosen),
        width=900,
        margin={"l": 220},
    )
    chart.update_yaxes(autorange="reversed")
    return chart


def quote(name: str, text: str, readme: Path = README) -> None:
    """Put `text` in place of what stands in the README between the marks of benchmark `name`."""
    opening, closing = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, found, rest = readme.read_text(encoding="utf-8").partition(opening)
    _, ended, after = rest.partition(closing)
    if not found or not ended:
        raise ValueError(f"{readme.name} has no place marked {opening} … {closing}.")
    readme.write_text(f"{before}{opening}\n{text.strip()}\n{closing}{after}", encoding="utf-8")


def write_plot(module: ModuleType, result: dict[str, Any], targets: dict[str, str]) -> list[Path]:
    """results/NAME.html, and NAME.png where there is a Chromium to take it with."""
    from benchmarks.running import chromium, open_browser

    chart = module.plot(result) if hasattr(module, "plot") else plot(result, targets)
    RESULTS.mkdir(exist_ok=True)
    page = RESULTS / f"{result['name']}.html"
    chart.write_html(page, include_plotlyjs="directory", config={"displaylogo": False})
    written = [page]
    if chromium():
        with open_browser() as browser:
            tab = browser.new_page(viewport={"width": 900, "height": int(chart.layout.height or 500)})
            tab.goto(page.as_uri())
            tab.wait_for_selector(".main-svg")
            tab.screenshot(path=page.with_suffix(".png"))
        written.append(page.with_suffix(".png"))
    return written


def main() -> int:
    there = benchmarks()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        epilog="there are: " + "; ".join(f"{name} ({about})" for name, about in there.items()),
    )
    parser.add_argument("name", nargs="?", help="one of them; without it, all")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--readme", action="store_true", help="put its table into README.md")
    parser.add_argument("--list", action="store_true", help="say what there is")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {about}" for name, about in there.items()))
        return 0
    if options.name and options.name not in there:
        print(f"There is no benchmark '{options.name}'. There are: {', '.join(there)}.", file=sys.stderr)
        return 2
    missed = 0
    for name in [options.name] if options.name else there:
        result = measure(name)
        module = importlib.import_module(f"benchmarks.{name}")
        targets: dict[str, str] = getattr(module, "TARGETS", {})
        missed += any(not kept(targets[key], value) for key, value in result["figures"].items() if key in targets)
        if options.readme and hasattr(module, "markdown"):
            quote(name, module.markdown(result))
        if options.json:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        else:
            print(table(result, targets))
            for path in write_plot(module, result, targets):
                print(f"wrote {path}")
            print(flush=True)
    return 1 if missed and not options.json else 0


if __name__ == "__main__":
    sys.exit(main())
