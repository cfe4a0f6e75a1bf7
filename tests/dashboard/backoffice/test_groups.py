from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client

from credits.models import Grant
from sidekick.accounts.models import DeviceSession, User
from tests.conftest import make_user
from tests.dashboard.backoffice import rows

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]


@pytest.mark.parametrize(
    ("group", "may"),
    [("Support", {"give", "suspend", "end"}), ("Finance", {"give", "take", "claim"})],
)
def test_each_group_may_do_its_work_and_no_more(  # O1
    client: Client, sign_in: SignIn, alice: User, group: str, may: set[str]
) -> None:
    call_command("operator_groups")
    call_command("operator_groups")
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.groups.add(Group.objects.get(name=group))
    sign_in(client, clerk)
    sign_in(Client(), alice)
    why = {"reason": "They asked for it."}
    payment = rows.payment(1, None)
    client.post(f"/admin/billing/waitingpayment/{payment.pk}/change/", {"belongs_to": alice.email, **why})
    move = {"token": str(uuid4()), "account": alice.email, "amount": "5", **why}
    client.post("/admin/credits/grant/give/", move)
    given = Grant.objects.filter(kind=Grant.Kind.COURTESY).first()
    if given:
        client.post(f"/admin/credits/grant/{given.pk}/take-back/", move)
        given.refresh_from_db()
    session = alice.device_sessions.get()
    ended = {"action": "end_sessions", "_selected_action": [str(session.pk)], **why}
    client.post("/admin/accounts/devicesession/", ended)
    session.refresh_from_db()
    client.post("/admin/accounts/user/", {"action": "suspend", "_selected_action": [str(alice.pk)], **why})
    alice.refresh_from_db()
    payment.refresh_from_db()
    done = {
        "give": given is not None,
        "take": bool(given and given.withdrawn),
        "claim": payment.account_id == alice.id,
        "end": session.revoked_because == DeviceSession.Ended.BY_OPERATOR,
        "suspend": not alice.is_active,
    }
    assert {name for name, happened in done.items() if happened} == may
    assert client.get(f"/admin/accounts/user/{alice.pk}/timeline/").status_code == 200
    assert client.get("/admin/credits/aimodel/add/").status_code == 403
