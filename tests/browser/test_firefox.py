"""The kinds of faults that differ between browsers, once more in Firefox."""

from __future__ import annotations

import time_machine

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
