"""Bodies about notification settings and client tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from billing.simulator.bodies.body import Body, Words


class NewSetting(Body):
    description: Words
    destination: Words
    subscribed_events: Annotated[list[str], Field(min_length=1)]
    type: Literal["url"] = "url"
    active: bool = True
    api_version: int = 1
    include_sensitive_fields: bool = False
    traffic_source: Literal["platform", "simulation", "all"] = "all"


class SettingChange(Body):
    description: Words = ""
    destination: Words = ""
    subscribed_events: Annotated[list[str], Field(min_length=1)] | None = None
    active: bool = True
    api_version: int = 1
    include_sensitive_fields: bool = False
    traffic_source: Literal["platform", "simulation", "all"] = "all"


class NewToken(Body):
    name: Words
    description: str | None = None
