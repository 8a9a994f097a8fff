"""Small memory budgets, and their owners."""

from gapless.core.budget import Limits, MemoryBudget, Shed

SMALL = Limits(warning=100, cleanup=200, limit=400)


def a_budget(**held: tuple[Shed, int]) -> MemoryBudget[str]:
    """Make one at time 0 with holders of so many bytes, all just used."""
    budget = MemoryBudget[str](SMALL, now=0.0)
    for holder, (kind, size) in held.items():
        budget.register(holder, kind, size, now=0.0)
    return budget


def shed_all(budget: MemoryBudget[str], wanted: int = 0) -> list[str]:
    """Be an owner that sheds all of each victim."""
    named: list[str] = []
    while (victim := budget.next_victim(wanted)) is not None:
        assert victim.size == budget.held_by(victim.holder)
        budget.release(victim.holder, victim.size)
        named.append(victim.holder)
    return named


def refuse_all(budget: MemoryBudget[str], wanted: int = 0) -> list[str]:
    """Be an owner that frees nothing."""
    named: list[str] = []
    while (victim := budget.next_victim(wanted)) is not None:
        named.append(victim.holder)
    return named
