"""`scheduler` is built in few floors: a module stands one floor above the highest of those that it imports."""

from functools import cache

import grimp

MOST = 10
"""values and the state 5, the cycle 3 (`cycle_state` to `admission_cycle`), simulation and forecast 2. Never more."""


def highest(graph: grimp.ImportGraph) -> list[str]:
    """Return the longest chain of imports, the lowest module first. No circles: import-linter sees to that."""

    @cache
    def chain(module: str) -> tuple[str, ...]:
        below = [chain(each) for each in sorted(graph.find_modules_directly_imported_by(module))]
        return (*max(below, key=len, default=()), module)

    return list(max((chain(module) for module in sorted(graph.modules)), key=len))


def graph_of(*imports: tuple[str, str]) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    return graph


def test_the_longest_chain_is_found() -> None:
    assert highest(graph_of(("d", "a"), ("c", "b"), ("b", "a"))) == ["a", "b", "c"]


def test_the_scheduler_has_few_floors() -> None:
    """What only type checkers import is not counted."""
    graph = grimp.build_graph("scheduler", cache_dir=None, exclude_type_checking_imports=True)

    found = highest(graph)

    assert len(graph.modules) > 50
    assert len(found) <= MOST, " <- ".join(found)
