"""The stubs: real parts replaced by something that only looks as if it worked."""

from tests.mutants.runner import Stub

STUBS: list[Stub] = []
