"""The application, its commands, its gateway, users and members over HTTP."""

from typing import Any

from tests.fakes.discord import limits
from tests.fakes.discord.call import Answer, Call, Routes
from tests.fakes.discord.refused import FORM, Refused
from tests.fakes.discord.state import Json

CREATES, CREATES_IN_S = 200, 86_400.0
OPTION_ONLY = ("choices", "options")


def me(call: Call) -> Answer:
    private = {"mfa_enabled": False, "locale": "en-US", "verified": True, "email": None}
    return 200, call.world.bot.json | private


def application(call: Call) -> Answer:
    bot = call.world.bot
    said: Json = {"id": bot.id, "name": bot.name, "icon": None, "description": "", "type": None, "bot": bot.json}
    said |= {"verify_key": "0" * 64, "flags": 0, "flags_new": "0", "redirect_uris": [], "interactions_endpoint_url": None}
    said |= {"role_connections_verification_url": None, "owner": bot.json, "approximate_guild_count": len(call.world.guilds)}
    said |= {"approximate_user_install_count": 0, "approximate_user_authorization_count": 0, "explicit_content_filter": 0}
    return 200, said | {"team": None, "eligible_oauth2_scopes": [], "bot_public": True, "bot_require_code_grant": False}


def gateway(call: Call) -> Answer:
    return 200, {"url": call.gateway.url}


def gateway_for_bots(call: Call) -> Answer:
    start = {
        "total": 1000,
        "remaining": max(0, 1000 - call.gateway.identified),
        "reset_after": 86_400_000,
        "max_concurrency": 1,
    }
    return 200, {"url": call.gateway.url, "shards": call.gateway.shards, "session_start_limit": start}


def user(call: Call) -> Answer:
    found = call.world.users.get(call.request.ids["user_id"])
    if found is None:
        raise Refused(10013)
    return 200, found.json


def open_dm(call: Call) -> Answer:
    found = call.world.users.get(str(call.json.get("recipient_id")))
    if found is None:
        raise Refused(10013)
    if found.bot:
        raise Refused(50007)
    return 200, call.world.dm(found).json


def member(call: Call) -> Answer:
    guild = call.world.guilds.get(call.request.ids["guild_id"])
    if guild is None:
        raise Refused(10004)
    if call.request.ids["user_id"] not in call.world.users:
        raise Refused(10013)
    found = guild.members.get(call.request.ids["user_id"])
    if found is None:
        raise Refused(10007)
    return 200, found


def commands(call: Call) -> Answer:
    return 200, call.world.commands


def set_commands(call: Call) -> Answer:
    """Replace all commands. One that was there under the same name keeps its id, and is none of the 200 new ones a day."""
    world, wanted = call.world, list(call.request.json or [])
    if limits.too_many(wanted):
        raise Refused(30032)
    flaws = limits.commands(wanted)
    if flaws:
        raise Refused(FORM, flaws)
    had = {(one["type"], one["name"]): one["id"] for one in world.commands}
    new = [one for one in wanted if (one.get("type") or 1, one["name"]) not in had]
    world.created = [at for at in world.created if world.now_s - at < CREATES_IN_S]
    if len(world.created) + len(new) > CREATES:
        raise Refused(30034, wait_s=CREATES_IN_S)
    world.created += [world.now_s] * len(new)
    world.commands = [_made(call, one, had.get((one.get("type") or 1, one["name"]))) for one in wanted]
    return 200, world.commands


def _made(call: Call, one: Json, id: str | None) -> Json:
    said: Json = {name: one[name] for name in ("name_localizations", "description_localizations") if name in one}
    said |= {"contexts": one.get("contexts"), "integration_types": one.get("integration_types") or [0]}
    said |= {"name": one["name"], "description": one.get("description") or "", "type": one.get("type") or 1, "nsfw": False}
    rights = one.get("default_member_permissions")
    said |= {"default_member_permissions": None if rights is None else str(rights)}
    if one.get("dm_permission") is not None:
        said["dm_permission"] = one["dm_permission"]
    if one.get("options"):
        said["options"] = [_filled(option) for option in one["options"]]
    return said | {"id": id or call.world.snowflake(), "application_id": call.world.bot.id, "version": call.world.snowflake()}


def _filled(option: Json) -> Json:
    """An option without what was null: answers have it so."""
    kept: dict[str, Any] = {name: value for name, value in option.items() if value is not None}
    return kept | {name: [_filled(one) for one in kept[name]] for name in OPTION_ONLY if name in kept}


ROUTES: Routes = {
    ("GET", "/users/@me"): me,
    ("GET", "/users/{user_id}"): user,
    ("POST", "/users/@me/channels"): open_dm,
    ("GET", "/oauth2/applications/@me"): application,
    ("GET", "/applications/@me"): application,
    ("GET", "/applications/{application_id}/commands"): commands,
    ("PUT", "/applications/{application_id}/commands"): set_commands,
    ("GET", "/gateway"): gateway,
    ("GET", "/gateway/bot"): gateway_for_bots,
    ("GET", "/guilds/{guild_id}/members/{user_id}"): member,
}
