"""Seeded bugs: the tests tested (testing.md 2.4, layer 12).

Each `*.patch` beside this file is a bug, told in its first line and applied to a temporary copy of
the sources; production code knows nothing of it. `python -m tests.seeded` shows what catches each.
"""
