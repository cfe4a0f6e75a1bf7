"""The invoice of a transaction as a PDF: one page of text, written by hand."""

from __future__ import annotations

from billing.simulator.commerce import money
from billing.simulator.schemas import Entity, moment_of

TOP = 780
STEP = 18
SUMS = {"Subtotal": "subtotal", "Tax": "tax", "Total": "total", "Credit": "credit", "Paid": "grand_total"}


def pdf(transaction: Entity, customer: Entity) -> bytes:
    """A valid PDF 1.4 with the invoice's number, lines and totals."""
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


def _shown(transaction: Entity, customer: Entity) -> list[str]:
    """Each text at its place: names to the left, amounts in a column of their own."""
    drawn = []
    for number, (left, right) in enumerate(_rows(transaction, customer)):
        y = TOP - STEP * number
        for x, text in ((60, left), (430, right)):
            if text:
                drawn.append(f"1 0 0 1 {x} {y} Tm ({_escaped(text)}) Tj")
    return drawn


def _rows(transaction: Entity, customer: Entity) -> list[tuple[str, str]]:
    currency, details = transaction["currency_code"], transaction["details"]
    totals = details["totals"]
    rows = [
        ("Invoice " + transaction["invoice_number"], "Paddle simulator"),
        (f"{moment_of(transaction['billed_at']):%d %B %Y}".lstrip("0"), "No real money"),
        (customer["email"], ""),
        ("", ""),
    ]
    rows += [
        (f"{line['quantity']} x {line['product']['name']}", money.written(line["totals"]["subtotal"], currency))
        for line in details["line_items"]
    ]
    named = (
        ("Subtotal", "subtotal"),
        ("Tax", "tax"),
        ("Total", "total"),
        ("Credit", "credit"),
        ("Paid", "grand_total"),
    )
    return [*rows, ("", ""), *((label, money.written(totals[name], currency)) for label, name in named)]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _file(objects: list[bytes]) -> bytes:
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)
