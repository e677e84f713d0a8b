"""GitHub's device flow: a code is typed in at GitHub's own page, and this labbot gets a token for whoever typed it.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps#device-flow
No secret of the application's is needed, so none has to lie on a machine that people share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from pipeline.errors import Invalid, Problem, Temporary
from pipeline.github.client import GitHub, Hub, session
from pipeline.github.refusals import away

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
RETRY = "Begin again: /github link."


@dataclass(frozen=True, slots=True)
class Code:
    """What is typed in where, within `expires_s`; how often may be asked whether it was. `device_code` is a secret."""

    user_code: str
    url: str
    device_code: str = field(repr=False)
    expires_s: float = 900.0
    interval_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, and where tokens end what renews it. Seconds from now, 0 for never. `scopes` as GitHub granted them."""

    token: str = field(repr=False)
    scopes: str = ""
    expires_s: float = 0.0
    refresh: str = field(default="", repr=False)
    refresh_s: float = 0.0


async def begin(hub: Hub, client: str, scopes: Sequence[str]) -> Code:
    """Ask for a code. Raises Temporary, or Invalid (github.client) where GitHub does not know the application."""
    said = await _ask(hub, "/login/device/code", {"client_id": client, "scope": " ".join(scopes)})
    if "device_code" not in said:
        why = str(said.get("error_description") or said.get("error") or "")
        fix = "Set github.client to the client id of an application of yours whose device flow is on."
        raise Invalid(Problem("github.client", f"GitHub gives no code: {why}", "github.client", fix, {"why": why}))
    times = (float(said.get("expires_in", 900)), float(said.get("interval", 5)))
    return Code(str(said["user_code"]), str(said["verification_uri"]), str(said["device_code"]), *times)


async def poll(hub: Hub, client: str, code: Code) -> Grant | None:
    """Ask whether the code was typed in; None: not yet. Raises Invalid (github.denied, github.expired), Temporary."""
    said = await _ask(
        hub, "/login/oauth/access_token", {"client_id": client, "device_code": code.device_code, "grant_type": GRANT}
    )
    return None if said.get("error") == "authorization_pending" else _grant(said)


async def renew(hub: Hub, client: str, refresh: str) -> Grant:
    """A token for one that ends. Each renewing one is good once. Raises Invalid (github.revoked), Temporary."""
    asked = {"client_id": client, "grant_type": "refresh_token", "refresh_token": refresh}
    said = await _ask(hub, "/login/oauth/access_token", asked)
    if "access_token" not in said:
        raise Invalid(Problem("github.revoked", "the token ended and cannot be renewed", "GitHub", RETRY))
    return _grant(said)


async def whose(hub: Hub, token: str) -> tuple[str, str]:
    """The login of a token's owner, and their id, which stays when they rename themselves."""
    async with GitHub(hub, token) as github:
        user = await github.get("/user")
    return str(user["login"]), str(user["id"])


def _grant(said: Mapping[str, Any]) -> Grant:
    match said.get("error"):
        case None:
            ends = (float(said.get("expires_in", 0)), str(said.get("refresh_token", "")))
            return Grant(
                str(said["access_token"]), str(said.get("scope", "")), *ends, float(said.get("refresh_token_expires_in", 0))
            )
        case "slow_down":
            pause_s = float(said.get("interval", 10))
            raise Temporary("GitHub wants to be asked less often", kind="busy", wait_s=pause_s)
        case "expired_token" | "token_expired":
            raise Invalid(Problem("github.expired", "nobody typed the code in while it was good", "GitHub", RETRY))
        case "access_denied":
            raise Invalid(Problem("github.denied", "the link was refused at GitHub", "GitHub", RETRY))
        case error:
            raise Invalid(
                Problem("github.client", f"GitHub gives no token: {error}", "github.client", facts={"why": str(error)})
            )


async def _ask(hub: Hub, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    async with session(hub) as line:
        try:
            answer = await line.post(f"{hub.web.rstrip('/')}{path}", data=dict(form), headers={"accept": "application/json"})
            found = answer.json()
        except httpx2.HTTPError as error:
            raise away(error) from None
        except ValueError:
            raise Temporary("GitHub's answer is not JSON") from None
    if answer.status_code >= 500 or answer.status_code == 429 or not isinstance(found, dict):
        raise Temporary(f"GitHub is not well just now ({answer.status_code})", kind="away")
    return found
