"""Only `credits/ledger` writes balances, and only `locked` locks a wallet: these tests read the source to prove it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LEDGER = ROOT / "credits" / "ledger"
LOCKING = LEDGER / "locking.py"
SOURCES = sorted(
    path
    for room in ("sidekick", "dashboard", "credits", "feedback", "billing")
    for path in (ROOT / room).rglob("*.py")
    # A migration runs alone, before the code that it prepares the tables for.
    if "migrations" not in path.parts
)

MODELS = {"Grant", "CreditPeriod", "Wallet", "LedgerEntry"}
RELATED = {"grants", "credit_periods", "wallet", "ledger_entries"}
WRITES = {"save", "delete", "create", "update", "get_or_create", "update_or_create", "bulk_create", "bulk_update"}
WRITES |= {f"a{name}" for name in WRITES} | {"book", "book_grants", "insert_with_grant"}
RELATED_WRITES = {"add", "set", "remove", "clear"}
# Functions that hand on the rows they are given.
PASSING = {"list", "tuple", "set", "sorted", "reversed", "iter", "next", "enumerate", "get_object_or_404", "replace"}
SQL_WRITE = re.compile(
    r"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE|COPY|MERGE\s+INTO)\s+(ONLY\s+|TABLE\s+)*\"?"
    r"credits_(grant|creditperiod|wallet|ledgerentry)\b",
    re.IGNORECASE,
)
SQL_LOCK = re.compile(
    r"\bcredits_wallet\b.*\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE)\b|LOCK\s+(TABLE\s+)?credits_wallet", re.I | re.S
)

# Values of an enum stand in the enum only: SQL gets them as parameters.
SQL_ENUM = re.compile(r"\b(kind|state|grain)\s*(=|<>|!=|IN\b|<|>)\s*\(?\s*('|\d)|VALUES \((15|1440)\)", re.IGNORECASE)

# Functions that may do so all the same, and why.
EXCEPTIONS = {
    ("credits/emails.py", "unmark"): "`touched` marks a wallet for the emails about low balances; no balance changes",
    ("credits/emails.py", "_take_touched"): "takes such marks away, skips locked wallets and holds its locks by itself",
}


def violations(
    source: str, *, writes: bool = True, locks: bool = True, models: set[str] = MODELS
) -> set[tuple[str, str]]:
    """Return (function, what it does) for each write of a balance, or lock of a wallet, in a module's source."""
    tree = ast.parse(source)
    rows = _names_of_rows(tree, models)
    found = set()
    for function, node in _with_function(tree, "<module>"):
        if writes:
            found |= {(function, what) for what in _writes(node, rows)}
        if locks:
            found |= {(function, what) for what in _locks(node, rows)}
    return found


def _writes(node: ast.AST, rows: set[str]) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in WRITES and _is_row(value, rows):
            yield f"{name}()"
        case ast.Call(func=ast.Attribute(attr=name, value=ast.Attribute(attr=related))) if related in RELATED:
            if name in RELATED_WRITES:
                yield f"{related}.{name}()"
        case ast.Constant(value=str(text)) if SQL_WRITE.search(text):
            yield "SQL that writes"


def _locks(node: ast.AST, rows: set[str]) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(attr="select_for_update", value=value)) if _is_row(value, rows):
            yield "select_for_update()"
        case ast.ImportFrom(module="credits.ledger.locking", names=names):
            yield from (f"import of {alias.name}" for alias in names if alias.name.startswith("_"))
        case ast.Attribute(attr=name, value=ast.Name(id="locking") | ast.Attribute(attr="locking")):
            if name.startswith("_"):
                yield f"locking.{name}"
        case ast.Constant(value=str(text)) if SQL_LOCK.search(text):
            yield "SQL that locks"


def _with_function(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    """Walk the nodes below, each with the name of the innermost function that it stands in."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield inside, child
        yield from _with_function(child, inside)


def _names_of_rows(tree: ast.Module, models: set[str]) -> set[str]:
    """Return the names in a module that may stand for rows or query sets of the ledger's models."""
    rows = set(models)
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                pass
            case _:
                continue
        if models & set(re.findall(r"\w+", ast.unparse(annotation))):
            rows.add(name)
    known = 0
    while known < len(rows):
        known = len(rows)
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[target], value=value) | ast.NamedExpr(target=target, value=value):
                    pass
                case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                    pass
                case ast.ImportFrom(module="credits.models"):
                    rows |= {alias.asname for alias in node.names if alias.asname and alias.name in models}
                    continue
                case _:
                    continue
            if _is_row(value, rows):
                rows |= {name.id for name in ast.walk(target) if isinstance(name, ast.Name)}
    return rows


def _is_row(node: ast.expr, rows: set[str]) -> bool:
    """Whether an expression leads from one of these names, or from an account, to rows of the ledger's models."""
    match node:
        case ast.Name(id=name):
            return name in rows
        case ast.Attribute(attr=name, value=value):
            return name in rows | RELATED or _is_row(value, rows)
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in PASSING:
            return _is_row(first, rows)
        case ast.Call(func=func):
            return _is_row(func, rows)
        case (
            ast.Subscript(value=value) | ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value)
        ):
            return _is_row(value, rows)
        case ast.BoolOp(values=values):
            return any(_is_row(value, rows) for value in values)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_row(body, rows) or _is_row(orelse, rows)
        case ast.ListComp(elt=elt) | ast.SetComp(elt=elt) | ast.GeneratorExp(elt=elt):
            return _is_row(elt, rows)
        case _:
            return False


def _excepted(path: Path, found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    name = path.relative_to(ROOT).as_posix()
    return {each for each in found if (name, each[0]) not in EXCEPTIONS}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_ledger_writes_balances_and_only_locked_locks(path: Path) -> None:
    found = violations(path.read_text(), writes=LEDGER not in path.parents, locks=path != LOCKING)
    assert _excepted(path, found) == set()


@pytest.mark.parametrize("path", sorted(LEDGER.glob("*.py")), ids=lambda path: path.name)
def test_every_line_of_the_ledger_is_booked_in_one_place(path: Path) -> None:
    source = path.read_text()
    booked = {"book()", "book_grants()", "insert_with_grant()", "SQL that writes"}
    written = {what for _, what in violations(source, locks=False, models={"LedgerEntry"})} - booked
    by_sql = "INSERT INTO credits_ledgerentry" in source
    assert (written, by_sql) == (set(), path.name == "entries.py")


@pytest.mark.parametrize(("name", "function"), EXCEPTIONS)
def test_every_exception_is_needed(name: str, function: str) -> None:
    assert function in {found for found, _ in violations((ROOT / name).read_text())}


def enum_values(source: str) -> list[str]:
    """Return the strings of a module that compare a kind, a state or a grain with a literal."""
    constants = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [text for text in constants if isinstance(text, str) and SQL_ENUM.search(text)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_kinds_states_and_grains_are_parameters_of_sql(path: Path) -> None:
    assert enum_values(path.read_text()) == []


@pytest.mark.parametrize(
    "sql", ["kind = 0", "WHERE g.kind IN (1, 2)", "h.state = 'open'", "l.kind <> 'voided'", "grain=15", "VALUES (15)"]
)
def test_a_literal_of_an_enum_is_found(sql: str) -> None:
    assert enum_values(f"cursor.execute({sql!r})")


IMPORT = "from credits.models import CreditPeriod, Grant, LedgerEntry, Wallet\n"
PLANTED = [
    "Wallet.objects.create(account=account)",
    "Wallet.objects.filter(account=account).update(debt=0)",
    "models.Wallet.objects.update(debt=0)",
    "Grant._default_manager.filter(period=None).exclude(kind=3).delete()",
    "Grant(account=account, amount=1).save()",
    "LedgerEntry.objects.bulk_create([])",
    "LedgerEntry.objects.book([])",
    "grant = Grant.objects.get(id=1)\ngrant.remaining = 0\ngrant.save(update_fields=['remaining'])",
    "if grant := Grant.objects.first():\n    grant.delete()",
    "rows = CreditPeriod.objects.filter(closed_at=None)\nlater = rows.order_by('id')\nlater.update(used=0)",
    "for one in sorted(Grant.objects.all(), key=str):\n    one.save()",
    "[one.save() for one in Grant.objects.all()]",
    "def spend(given: Grant) -> None:\n    given.save()",
    "def spend(all_given: 'list[Grant]') -> None:\n    for given in all_given:\n        given.save()",
    "account.grants.update(remaining=0)",
    "request.user.wallet.save()",
    "account.grants.add(grant)",
    "account.credit_periods.filter(closed_at=None).update(used=0)",
    "from credits.models import Grant as Given\nGiven.objects.create(amount=1)",
    "cursor.execute('UPDATE credits_wallet SET debt = 0')",
    "cursor.execute('WITH x AS (INSERT INTO credits_grant (amount) VALUES (1)) SELECT 1')",
    "cursor.execute(f'delete from credits_ledgerentry WHERE {which}')",
    "cursor.execute('UPDATE ONLY credits_creditperiod SET used = 0')",
    "Wallet.objects.select_for_update().get(account=account)",
    "mine = Wallet.objects.filter(account=account)\nmine.select_for_update().get()",
    "Wallet.objects.filter(account=account).select_for_update(of=('self',)).first()",
    "cursor.execute('SELECT 1 FROM credits_wallet WHERE account_id = %s FOR UPDATE')",
    "cursor.execute('SELECT 1 FROM credits_wallet w\\n WHERE w.held > 0 FOR NO KEY UPDATE')",
    "from credits.ledger import locking\nlocking._lock([account.id])",
    "from credits.ledger.locking import _lock\n_lock([account.id])",
]
HARMLESS = [
    "Plan.objects.update(name='x')",
    "Grant.objects.filter(account=account).count()",
    "grants.grant(account.id, 5)\ngrants.void(grant, 5)",
    "grant = Grant.objects.get(id=1)\npayment.save()",
    "report = {}\nreport.update(grants=Grant.objects.count())",
    "with locked([account.id], now) as wallets:\n    seen = set(wallets)",
    "Transaction.objects.select_for_update().filter(account__wallet__debt=0)",
    "cursor.execute('SELECT * FROM credits_grant')",
    "cursor.execute('UPDATE credits_hold SET state = %s')",
    "cursor.execute('SELECT 1 FROM billing_transaction FOR UPDATE')",
    "Grant(amount=1)",
]


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_violation_is_found(code: str) -> None:
    assert violations(IMPORT + code)


@pytest.mark.parametrize("code", HARMLESS)
def test_what_writes_no_balance_passes(code: str) -> None:
    assert violations(IMPORT + code) == set()
