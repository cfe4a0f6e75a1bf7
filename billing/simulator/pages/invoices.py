"""The invoice of a transaction as a PDF: one page of text, written by hand."""

from __future__ import annotations

from billing.simulator.commerce import money
from billing.simulator.schemas.customers import Customer
from billing.simulator.schemas.times import parse
from billing.simulator.schemas.transactions import Transaction

TOP = 780
STEP = 18


def pdf(transaction: Transaction, customer: Customer) -> bytes:
    """Returns a valid PDF 1.4 with the invoice's number, lines and totals."""
    content = "BT /F1 11 Tf\n" + "\n".join(_shown(transaction, customer)) + "\nET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        f"<< /Length {len(content.encode('cp1252', 'replace'))} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Font << /F1 5 0 R >> >>",
    ]
    return _file([text.encode("cp1252", "replace") for text in objects])


def _shown(transaction: Transaction, customer: Customer) -> list[str]:
    """Returns each text at its place: names to the left, amounts in a column of their own."""
    drawn = []
    for number, (left, right) in enumerate(_rows(transaction, customer)):
        y = TOP - STEP * number
        for x, text in ((60, left), (430, right)):
            if text:
                drawn.append(f"1 0 0 1 {x} {y} Tm ({_escaped(text)}) Tj")
    return drawn


def _rows(transaction: Transaction, customer: Customer) -> list[tuple[str, str]]:
    currency, details = transaction["currency_code"], transaction["details"]
    totals = details["totals"]
    rows = [
        (f"Invoice {transaction['invoice_number']}", "Paddle simulator"),
        (f"{parse(transaction['billed_at'] or transaction['created_at']):%d %B %Y}".lstrip("0"), "No real money"),
        (customer["email"], ""),
        ("", ""),
    ]
    rows += [
        (f"{line['quantity']} x {line['product']['name']}", money.written(line["totals"]["subtotal"], currency))
        for line in details["line_items"]
    ]
    sums = {
        "Subtotal": totals["subtotal"],
        "Tax": totals["tax"],
        "Total": totals["total"],
        "Credit": totals["credit"],
        "Paid": totals["grand_total"],
    }
    return [*rows, ("", ""), *((label, money.written(amount, currency)) for label, amount in sums.items())]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _file(objects: list[bytes]) -> bytes:
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    # The table lists where each object begins, in bytes; readers look for it from the end.
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)
