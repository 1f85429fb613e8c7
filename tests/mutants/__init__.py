"""`python -m tests.mutants`: replace real parts by stubs, one at a time; each must turn at least one test red."""
