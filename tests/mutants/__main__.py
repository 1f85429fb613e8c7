"""`python -m tests.mutants [NAME …] [--list] [--workers N]`"""

import argparse
import sys

from tests.mutants.runner import run
from tests.mutants.stubs import STUBS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Do the tests notice broken parts?")
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    unknown = set(options.names) - {stub.name for stub in STUBS}
    if unknown:
        print(f"There is no stub {', '.join(sorted(unknown))}; --list shows them.", file=sys.stderr)
        return 2
    chosen = [stub for stub in STUBS if not options.names or stub.name in options.names]
    if options.list:
        for stub in chosen:
            print(f"{stub.name}: {stub.breaks} ({stub.file})")
        return 0
    return run(chosen, options.workers)


if __name__ == "__main__":
    sys.exit(main())
