"""auth.*, oauth.v2.access and apps.uninstall: how the app comes into a workspace and goes out of it.

apps.connections.open is in sockets.py.
"""

from tests.fakes.slack.call import Call, Methods
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Json, Team, World

CODE_S = 600.0  # a code of OAuth lives ten minutes


def test(call: Call) -> Json:
    team = call.team
    said = {"url": f"https://{team.name.lower()}.slack.com/", "team": team.name, "user": "labbot", "team_id": team.id}
    return said | {"user_id": team.bot_user, "bot_id": team.bot_id, "is_enterprise_install": False}


def revoke(call: Call) -> Json:
    if call.flag("test"):
        return {"revoked": False}
    lose(call.world, call.team, "token_revoked")
    return {"revoked": True}


def uninstall(call: Call) -> Json:
    _client(call.world, call.args)
    lose(call.world, call.team, "account_inactive", gone=True)
    return {"uninstalled": True}


def lose(world: World, team: Team, error: str, *, gone: bool = False) -> None:
    """The token of a workspace is dead from now on, and the app is told. `gone`: it was uninstalled."""
    world.dead[team.bot_token] = error
    world.tokens.pop(team.bot_token, None)
    events: list[Json] = [{"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [team.bot_user]}}]
    if gone:
        events.insert(0, {"type": "app_uninstalled"})
    for event in events:
        team.tell(event | {"event_ts": world.ts()})
    team.installed = False


def _client(world: World, args: Json) -> None:
    if args.get("client_id") != world.client[0]:
        raise Refused("invalid_client_id")
    if args.get("client_secret") != world.client[1]:
        raise Refused("bad_client_secret")


def access(world: World, args: Json) -> Json:
    """Exchange a code for a bot token. It comes without a token, so it is no Call."""
    _client(world, args)
    if not args.get("code"):
        raise Refused("invalid_code")
    found = world.codes.pop(str(args["code"]), None)
    if found is None or world.now_s - found[2] > CODE_S:
        raise Refused("invalid_code")
    team, user, _ = found
    if not team.installed:
        team.install()
    said: Json = {"app_id": world.app_id, "authed_user": {"id": user}, "scope": ",".join(sorted(team.scopes))}
    said |= {"token_type": "bot", "access_token": team.bot_token, "bot_user_id": team.bot_user, "enterprise": None}
    return said | {"team": {"id": team.id, "name": team.name}, "is_enterprise_install": False}


METHODS: Methods = {"auth.test": test, "auth.revoke": revoke, "apps.uninstall": uninstall}
