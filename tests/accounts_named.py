"""Finds statements that read or write usage without naming its accounts.

Once usage is spread over machines by account, a statement that names no account asks every one of them. PostgreSQL's
own parser reads the statement. Each reference to a usage table needs a condition of its own, at its own level:
`account_id` is what came from outside, or it is what a list, a function or a sub-select yields, or it equals a column
that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pglast import ast, enums, parse_sql
from pglast.parser import ParseError

USAGE = frozenset({"credits_usageevent", "credits_usagerollup"})
ACCOUNT = "account_id"
# psycopg's placeholders, where there are parameters.
PLACEHOLDER = re.compile(r"%(?:%|[sbt]|\([^)]*\)[sbt])")

Column = tuple[str, str]


def mentions_usage(sql: str) -> bool:
    return "credits_usage" in sql


@cache
def unnamed(sql: str, *, bound: bool = False) -> tuple[str, ...]:
    """Return sentences about each part that touches usage without an account; none where all of it names one.

    `bound`: it has psycopg's placeholders.
    """
    if bound:
        sql = PLACEHOLDER.sub(lambda found: "%" if found[0] == "%%" else "$1", sql)
    try:
        statements = parse_sql(sql)
    except ParseError as error:
        return (f"what can't be read: {error}",)
    return tuple(fault for raw in statements for fault in _of_statement(raw.stmt))


def _of_statement(statement: Any) -> Iterator[str]:
    if isinstance(statement, ast.SelectStmt | ast.UpdateStmt | ast.DeleteStmt | ast.InsertStmt):
        yield from _of_level(statement, Level())
        return
    for node in _below(statement):
        if isinstance(node, ast.RangeVar) and node.relname in USAGE:
            yield f"{type(statement).__name__} touches the whole of {node.relname}"
        elif not isinstance(node, ast.RangeVar):
            yield from _of_statement(node)


@dataclass
class Level:
    """One SELECT, UPDATE, DELETE or INSERT: the meaning of its names, and its columns that come from outside of it."""

    outer: Level | None = None
    ctes: frozenset[str] = frozenset()
    # Alias to table; None for a function, a sub-select or a CTE.
    relations: dict[str, str | None] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)
    # A column is given as soon as all columns that it equals are given.
    rules: list[tuple[Column, frozenset[Column]]] = field(default_factory=list)
    given: set[Column] = field(default_factory=set)

    def usage(self) -> list[str]:
        return [alias for alias, table in self.relations.items() if table in USAGE]

    def is_given(self, column: Column) -> bool:
        if column[0] in self.relations:
            return self.relations[column[0]] is None or column in self.given
        return self.outer is not None and self.outer.is_given(column)

    def columns(self, reference: ast.ColumnRef) -> list[Column]:
        """Return the columns that a reference may mean. A bare account is the one that USING merged, or usage's."""
        names = [getattr(part, "sval", "*") for part in reference.fields or ()]
        if len(names) > 1:
            return [(names[-2], names[-1])]
        if names[0] == ACCOUNT and self.merged:
            return [(alias, ACCOUNT) for alias in sorted(self.merged)]
        owners = (self.usage() if names[0] == ACCOUNT else []) or list(self.relations)
        return [(owners[0], names[0])] if len(owners) == 1 else [("", names[0])]

    def conclude(self) -> None:
        before = -1
        while before < len(self.given):
            before = len(self.given)
            self.given |= {column for column, sources in self.rules if all(map(self.is_given, sources))}


def _of_level(statement: Any, level: Level) -> Iterator[str]:
    with_clause = getattr(statement, "withClause", None)
    for cte in with_clause.ctes if with_clause else ():
        # A recursive CTE sees itself; another one with a table's name sees that table.
        itself = {cte.ctename} if with_clause and with_clause.recursive else set()
        yield from _of_level(cte.ctequery, Level(level.outer, level.ctes | itself))
        level.ctes |= {cte.ctename}
    target = getattr(statement, "relation", None)
    if isinstance(statement, ast.InsertStmt):
        yield from _of_insert(statement)
    elif target is not None:
        _enter(target, level)
    for clause in ("fromClause", "usingClause"):
        for item in getattr(statement, clause, None) or ():
            _enter(item, level)
    for condition in _conditions(getattr(statement, "whereClause", None)):
        _learn(condition, level, None)
    level.conclude()
    for alias in level.usage():
        if (alias, ACCOUNT) not in level.given:
            yield f"{level.relations[alias]} (as {alias}) without its account"
    yield from _moved(statement, target, level)
    for inner in _selects(statement):
        yield from _of_level(inner, Level(level, level.ctes))


def _of_insert(statement: ast.InsertStmt) -> Iterator[str]:
    target = statement.relation
    if target and target.relname in USAGE and ACCOUNT not in {column.name for column in statement.cols or ()}:
        yield f"INSERT INTO {target.relname} doesn't list its account"


def _moved(statement: Any, target: ast.RangeVar | None, level: Level) -> Iterator[str]:
    """The account of a row may not change, because it decides on which machine the row lies."""
    conflict = getattr(statement, "onConflictClause", None)
    changed = conflict.targetList if conflict else statement.targetList if isinstance(statement, ast.UpdateStmt) else ()
    if target is not None and target.relname in USAGE and ACCOUNT in {column.name for column in changed or ()}:
        yield f"{target.relname}: a row's account may not change"


def _enter(item: Any, level: Level) -> set[str]:
    """Note the relations of a FROM item, and the conditions of its joins. Returns their aliases."""
    if isinstance(item, ast.JoinExpr):
        left, right = _enter(item.larg, level), _enter(item.rarg, level)
        _join(item, left, right, level)
        return left | right
    if isinstance(item, ast.RangeTableSample):
        return _enter(item.relation, level)
    table = item.relname if isinstance(item, ast.RangeVar) and item.relname not in level.ctes else None
    alias = item.alias.aliasname if item.alias else getattr(item, "relname", f"unnamed {len(level.relations)}")
    level.relations[alias] = table
    return {alias}


def _join(join: ast.JoinExpr, left: set[str], right: set[str], level: Level) -> None:
    """Note the conditions of a join. Those of an outer join hold only for the side that may be missing."""
    kinds = enums.JoinType
    sides = {kinds.JOIN_INNER: left | right, kinds.JOIN_LEFT: right, kinds.JOIN_RIGHT: left}
    narrowed = sides.get(join.jointype, set()) if join.jointype is not None else set()
    if ACCOUNT in {column.sval for column in join.usingClause or ()}:
        level.merged |= left | right
        for one, other in ((one, other) for one in left for other in right):
            for here, there in ((one, other), (other, one)):
                if here in narrowed:
                    level.rules.append(((here, ACCOUNT), frozenset({(there, ACCOUNT)})))
    for condition in _conditions(join.quals):
        _learn(condition, level, narrowed)


def _conditions(node: Any) -> Iterator[Any]:
    """Yield the conditions that must all hold: the parts that AND joins."""
    if isinstance(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.AND_EXPR:
        for part in node.args or ():
            yield from _conditions(part)
    elif node is not None:
        yield node


def _learn(condition: Any, level: Level, narrowed: set[str] | None) -> None:
    """Note what one condition says columns equal, of the relations in `narrowed`, or of all."""
    sides: list[tuple[Any, Any]] = []
    if isinstance(condition, ast.SubLink) and condition.subLinkType == enums.SubLinkType.ANY_SUBLINK:
        sides = [(condition.testexpr, None)] if not condition.operName else []
    elif isinstance(condition, ast.A_Expr) and [name.sval for name in condition.name or ()] == ["="]:
        if condition.kind in (enums.A_Expr_Kind.AEXPR_IN, enums.A_Expr_Kind.AEXPR_OP_ANY):
            sides = [(condition.lexpr, condition.rexpr)]
        elif condition.kind == enums.A_Expr_Kind.AEXPR_OP:
            sides = [(condition.lexpr, condition.rexpr), (condition.rexpr, condition.lexpr)]
    for one, other in sides:
        if isinstance(one, ast.ColumnRef):
            sources = {column for node in _here(other) for column in _columns(node, level)}
            for column in level.columns(one):
                if narrowed is None or column[0] in narrowed:
                    level.rules.append((column, frozenset(sources)))


def _columns(node: Any, level: Level) -> list[Column]:
    return level.columns(node) if isinstance(node, ast.ColumnRef) else []


def _selects(statement: Any) -> Iterator[Any]:
    """Yield the SELECTs right inside of a statement, wherever they stand, but for those of its WITH."""
    for name in statement:
        if name != "withClause":
            for node in _here(getattr(statement, name)):
                if isinstance(node, ast.SelectStmt):
                    yield node


def _here(node: Any) -> Iterator[Any]:
    """Yield a node and all below it, down to the next SELECT, which is the last of its branch."""
    if isinstance(node, tuple):
        for part in node:
            yield from _here(part)
    elif isinstance(node, ast.Node):
        yield node
        if not isinstance(node, ast.SelectStmt):
            yield from (found for child in _below(node) for found in _here(child))


def _below(node: Any) -> Iterator[Any]:
    for name in node:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ast.Node):
                yield part
