"""Find the comparisons and boolean operators of a module, and change one of them. Pure: text in, text out."""

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = ast.Compare | ast.BoolOp | ast.UnaryOp

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
"""What each comparison may become: its neighbour at the bound, and its opposite."""
HIT = "mutant_hit"
"""The name of the function that `instrumented` code calls with the number of a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one expression. `start` and `end` are offsets in the UTF-8 bytes of the module."""

    path: str
    line: int
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.before}  ->  {self.after}"


def mutants(path: str, source: str) -> list[list[Mutant]]:
    """Return for each place of a module, in order, the changes that can be made there."""
    return [_changes(path, source, place) for place in _places(ast.parse(source))]


def mutated(source: str, mutant: Mutant) -> str:
    """Return the module with the change. The parentheses keep what surrounds the expression as it was."""
    raw = source.encode()
    return (raw[: mutant.start] + f"({mutant.after})".encode() + raw[mutant.end :]).decode()


def instrumented(source: str, first: int) -> str:
    """Return the module so changed that it calls `mutant_hit` with the number of each place that is evaluated.

    The places are numbered from `first` on, in the order of `mutants`. The function must return None.
    """
    tree = ast.parse(source)
    numbers = {id(place): number for number, place in enumerate(_places(tree), start=first)}
    return ast.unparse(ast.fix_missing_locations(_Instrument(numbers).visit(tree)))


class _Instrument(ast.NodeTransformer):
    """Replaces each place by `mutant_hit(number) or (place)`."""

    def __init__(self, numbers: dict[int, int]) -> None:
        self._numbers = numbers

    def visit(self, node: ast.AST) -> ast.AST:
        number = self._numbers.get(id(node))
        visited: ast.AST = self.generic_visit(node)
        if number is None:
            return visited
        hit = ast.Call(func=ast.Name(id=HIT, ctx=ast.Load()), args=[ast.Constant(value=number)], keywords=[])
        return ast.BoolOp(op=ast.Or(), values=[hit, visited])  # type: ignore[list-item]


def _places(node: ast.AST) -> Iterator[Place]:
    """Yield the places in order. Those inside of f-strings are left out: Python 3.11 does not say where they stand."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            continue
        negated = isinstance(child, ast.UnaryOp) and isinstance(child.op, ast.Not)
        if isinstance(child, ast.Compare | ast.BoolOp) or negated:
            yield child  # type: ignore[misc]
        yield from _places(child)


def _changes(path: str, source: str, place: Place) -> list[Mutant]:
    start, end = _span(source, place)
    before = ast.unparse(place)
    return [
        Mutant(path=path, line=place.lineno, start=start, end=end, before=before, after=ast.unparse(changed))
        for changed in _changed(place)
    ]


def _changed(place: Place) -> Iterator[ast.expr]:
    if isinstance(place, ast.UnaryOp):
        yield place.operand
    elif isinstance(place, ast.BoolOp):
        yield ast.BoolOp(op=ast.And() if isinstance(place.op, ast.Or) else ast.Or(), values=place.values)
    else:
        for number, operator in enumerate(place.ops):
            for other in COMPARISONS[type(operator)]:
                copy = deepcopy(place)
                copy.ops[number] = other()
                yield copy


def _span(source: str, place: Place) -> tuple[int, int]:
    """Return where a place begins and ends, in bytes: `ast` counts columns in them."""
    lengths = [len(line.encode()) for line in source.splitlines(keepends=True)]
    assert place.end_lineno is not None
    assert place.end_col_offset is not None
    start = sum(lengths[: place.lineno - 1]) + place.col_offset
    return start, sum(lengths[: place.end_lineno - 1]) + place.end_col_offset
