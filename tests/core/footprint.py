"""How many bytes an object and all it alone refers to take: for proofs that nothing grows (P3)."""

import gc
import sys
from types import FunctionType, ModuleType

SHARED = (type, ModuleType, FunctionType)


def footprint(thing: object) -> int:
    """Add up `sys.getsizeof` of everything reachable, classes and modules apart."""
    seen: dict[int, object] = {}
    todo = [thing]
    while todo:
        each = todo.pop()
        if id(each) not in seen and not isinstance(each, SHARED):
            seen[id(each)] = each
            todo.extend(gc.get_referents(each))
    return sum(map(sys.getsizeof, seen.values()))
