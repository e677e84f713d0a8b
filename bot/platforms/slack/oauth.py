"""How workspaces install labbot by themselves: "Add to Slack", and the way back with what Slack gives."""

from typing import TYPE_CHECKING

from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.web.async_client import AsyncWebClient

from bot.house import House
from bot.platforms.slack.installs import Installs, States
from bot.platforms.slack.keys import Keys
from bot.platforms.slack.manifest import SCOPES
from bot.platforms.slack.wire import BASE
from pipeline import vault

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

INSTALL, BACK = "/slack/install", "/slack/oauth_redirect"


def store(house: House) -> Installs:
    """Where installations are kept. Raises Invalid where there is no key to seal them with."""
    return Installs(house.memory, vault.load(house.settings.environment))


def routes(house: House, keys: Keys, installs: Installs, base: str = BASE) -> "list[BaseRoute]":
    """The two pages, for the one ASGI app."""
    from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    settings = AsyncOAuthSettings(
        client_id=keys.client,
        client_secret=keys.secret,
        scopes=SCOPES,
        redirect_uri=f"{house.settings.bot.platforms.slack.url}{BACK}",
        install_path=INSTALL,
        redirect_uri_path=BACK,
        install_page_rendering_enabled=False,  # Slack's own page asks what there is to ask
        installation_store=installs,
        state_store=States(house.memory),
    )
    flow = AsyncOAuthFlow(client=AsyncWebClient(base_url=base), settings=settings)

    async def begins(request: Request) -> Response:
        return to_starlette_response(await flow.handle_installation(to_async_bolt_request(request, b"")))

    async def returns(request: Request) -> Response:
        return to_starlette_response(await flow.handle_callback(to_async_bolt_request(request, b"")))

    return [Route(INSTALL, begins, methods=["GET"]), Route(BACK, returns, methods=["GET"])]
