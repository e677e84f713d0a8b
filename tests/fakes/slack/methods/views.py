"""views.*: modals, which an act of a person opens within three seconds, and the Home of each person."""

import json
import secrets
from copy import deepcopy

from tests.fakes.slack import limits
from tests.fakes.slack.call import Call, Methods
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Json, Team, Trigger, User, View, World
from tests.fakes.slack.stored import stored

KEPT = ("type", "title", "submit", "close", "blocks", "private_metadata", "callback_id", "external_id")


def filled(world: World, team: Team, given: Json, id: str) -> Json:
    """A view as Slack keeps it and gives it back."""
    blank: Json = {"id": id, "team_id": team.id, "submit": None, "close": None, "private_metadata": "", "callback_id": ""}
    blank |= {"external_id": "", "state": {"values": {}}, "hash": f"{int(world.now_s)}.{secrets.token_hex(4)}"}
    blank |= {"clear_on_close": bool(given.get("clear_on_close")), "notify_on_close": bool(given.get("notify_on_close"))}
    blank |= {"root_view_id": id, "previous_view_id": None, "app_id": world.app_id, "bot_id": team.bot_id}
    return blank | {"app_installed_team_id": team.id} | stored({key: given[key] for key in KEPT if key in given})


def unique(world: World, team: Team, given: Json, but: str = "") -> None:
    """Raises Refused where an external_id is another view's."""
    name = given.get("external_id")
    if name and any(one.json["external_id"] == name and one.team is team and one.id != but for one in world.views.values()):
        raise Refused("duplicate_external_id")


def spend(call: Call) -> Trigger:
    """The trigger of a request; used now. Raises Refused."""
    id = str(call.args.get("trigger_id") or call.args.get("interactivity_pointer") or "")
    found = call.world.triggers.get(id)
    if found is None or found.team is not call.team:
        raise Refused("invalid_trigger_id")
    if found.used:
        raise Refused("exchanged_trigger_id")
    if call.world.now_s - found.at > limits.TRIGGER_S:
        raise Refused("expired_trigger_id")
    return found


def show(world: World, team: Team, user: User, given: Json) -> View:
    """Put a modal on top of what a person has open."""
    made = View(filled(world, team, given, world.id("V")), team, user)
    if user.stack:
        made.json |= {"root_view_id": user.stack[0].id, "previous_view_id": user.stack[-1].id}
    world.views[made.id] = made
    user.stack.append(made)
    world.record("view", None, made.json, user.id)
    return made


def replace(world: World, view: View, given: Json) -> None:
    """Give a view another content. What was typed stays where block_id and action_id stay."""
    old = view.json
    view.json = filled(world, view.team, given, view.id)
    view.json |= {key: old[key] for key in ("root_view_id", "previous_view_id")}
    known = {block["block_id"] for block in view.json["blocks"]}
    values = old.get("state", {}).get("values", {})
    view.json["state"] = {"values": {key: value for key, value in values.items() if key in known}}
    view.errors = {}
    world.record("home" if view.json["type"] == "home" else "view", None, view.json, view.user.id)


def close(world: World, user: User, view: View, *, everything: bool = False) -> None:
    gone = user.stack[:] if everything else [view]
    for one in gone:
        if one in user.stack:
            user.stack.remove(one)
        world.views.pop(one.id, None)


def open_(call: Call) -> Json:
    trigger = spend(call)
    given = limits.view_of(call.args, "modal")
    unique(call.world, call.team, given)
    trigger.used = True
    if trigger.user.stack:
        close(call.world, trigger.user, trigger.user.stack[-1], everything=True)
    return _shown(call, trigger, given)


def push(call: Call) -> Json:
    trigger = spend(call)
    given = limits.view_of(call.args, "modal")
    if not trigger.user.stack:
        raise Refused("not_found")
    if len(trigger.user.stack) >= limits.STACK:
        raise Refused("push_limit_reached")
    unique(call.world, call.team, given)
    trigger.used = True
    return _shown(call, trigger, given)


def _shown(call: Call, trigger: Trigger, given: Json) -> Json:
    made = show(call.world, call.team, trigger.user, given)
    trigger.heard.view_id = made.id
    return {"view": deepcopy(made.json)}


def update(call: Call) -> Json:
    id, name = call.args.get("view_id"), call.args.get("external_id")
    views = [one for one in call.world.views.values() if one.team is call.team and one.json["type"] == "modal"]
    found = next((one for one in views if (id and one.id == id) or (name and one.json["external_id"] == name)), None)
    if found is None:
        raise Refused("not_found")
    given = limits.view_of(call.args, "modal")
    if call.args.get("hash") and call.args["hash"] != found.json["hash"]:
        raise Refused("hash_conflict")
    unique(call.world, call.team, given, but=found.id)
    replace(call.world, found, given)
    return {"view": deepcopy(found.json)}


def publish(call: Call) -> Json:
    user = call.user("user_id")
    if not call.world.home_tab:
        raise Refused("not_enabled")
    given = limits.view_of(call.args, "home")
    if call.args.get("hash") and user.home and call.args["hash"] != user.home.json["hash"]:
        raise Refused("hash_conflict")
    if user.home is None:
        user.home = View(filled(call.world, call.team, given, call.world.id("V")), call.team, user)
        call.world.views[user.home.id] = user.home
        call.world.record("home", None, user.home.json, user.id)
    else:
        replace(call.world, user.home, given)
    return {"view": json.loads(json.dumps(user.home.json))}


METHODS: Methods = {"views.open": open_, "views.push": push, "views.update": update, "views.publish": publish}
