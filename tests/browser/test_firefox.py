"""The kinds of faults that differ between browsers, once more in Firefox."""

from __future__ import annotations

from datetime import timedelta
from urllib.request import Request, urlopen

import time_machine

from sidekick.accounts import tokens
from sidekick.accounts.models import DeviceSession
from tests.browser import customers
from tests.browser.conftest import TUESDAY
from tests.browser.firefox import Firefox


def test_a_tab_swaps_the_page_and_back_returns(firefox: Firefox, clock: time_machine.Traveller) -> None:  # N4
    firefox.sign_in(customers.ordinary(TUESDAY))
    firefox.open("/dashboard/credits")
    firefox.click("#tabs a", "Billing")
    firefox.find("h1", "Billing")
    firefox.wait_for_path("/dashboard/billing")
    firefox.driver.go_back()
    firefox.find("h1", "Credits")
    assert firefox.path == "/dashboard/credits"


def test_a_poll_and_a_lost_answer_leave_a_session_that_goes_on(
    firefox: Firefox, clock: time_machine.Traveller
) -> None:  # A6
    """A poll's answer is a 304 with cookies, and Firefox takes them."""
    firefox.sign_in(customers.ordinary(TUESDAY))
    firefox.open("/dashboard/credits")
    clock.shift(timedelta(minutes=6))
    firefox.run("""
        const { live, liveTag } = document.querySelector("[data-live]").dataset;
        const headers = { "Sidekick-Poll": "1", "HX-Request": "true", "If-None-Match": liveTag };
        fetch(live, { headers }).then(({ status }) => { window.polled = status; });
    """)
    firefox.wait_until("window.polled === 304")
    session = DeviceSession.objects.get()
    assert session.previous_jti
    token = firefox.driver.get_cookie(tokens.REFRESH_COOKIE)["value"]
    claims = tokens.read(tokens.RefreshToken, token)
    assert claims
    assert claims.jti == session.current_jti
    clock.shift(timedelta(minutes=6))
    lost = Request(f"{firefox.url}/dashboard/billing", headers={"Cookie": f"{tokens.REFRESH_COOKIE}={token}"})  # noqa: S310
    assert urlopen(lost).status == 200  # noqa: S310
    clock.shift(timedelta(minutes=9))
    for section in ("Billing", "Feedback", "Credits"):
        firefox.click("#tabs a", section)
        firefox.find("h1", section)
        clock.shift(timedelta(minutes=6))
    assert DeviceSession.objects.get().revoked_at is None
