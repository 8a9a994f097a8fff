"""Layer 6: a fuzz target for every parser (testing.md 2.4), with a committed corpus.

A target is a function of bytes that returns if they were accepted, or refused in our own words, and
raises if anything else came of them: an exception that isn't ours, other events when the bytes come
in pieces (P9, I11), more held or answered than may be (P3, I9), a broken invariant of a machine.
Targets need no atheris: pytest feeds them the corpus, `python -m tests.fuzz` lets atheris look for
more.
"""
