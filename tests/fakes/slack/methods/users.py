"""users.* and team.info."""

from tests.fakes.slack.call import Call, Methods, page
from tests.fakes.slack.state import Json


def info(call: Call) -> Json:
    return {"user": call.user().json(locale=call.flag("include_locale"))}


def listed(call: Call) -> Json:
    some, more = page(call, list(call.team.users.values()), 200)
    locale = call.flag("include_locale")
    return {"members": [one.json(locale=locale) for one in some], "cache_ts": int(call.world.now_s)} | more


def team(call: Call) -> Json:
    domain = call.team.name.lower()
    icon = {"image_34": f"{call.world.base}/icon.png", "image_default": True}
    said = {"id": call.team.id, "name": call.team.name, "domain": domain, "email_domain": "", "icon": icon}
    return {"team": said | {"url": f"https://{domain}.slack.com/"}}


METHODS: Methods = {"users.info": info, "users.list": listed, "team.info": team}
