"""agents.sessions.* and assistant.threads.*: what a thread with the agent shows of its work."""

from tests.fakes.slack import limits
from tests.fakes.slack.call import Call, Methods
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Channel, Json, Session

STATUSES = ("active", "processing", "suspended", "closed")


def _place(call: Call) -> tuple[str, str]:
    """The channel and thread of a session. Raises Refused."""
    channel = call.channel("channel_id")
    if not call.world.agent or call.team.bot_user not in channel.members:
        raise Refused("not_authorized")
    if not call.args.get("thread_ts"):
        raise Refused("thread_ts_required")
    if call.world.find(call.team, channel.id, str(call.args["thread_ts"])) is None:
        raise Refused("thread_not_found")
    return channel.id, str(call.args["thread_ts"])


def set_status(call: Call) -> Json:
    place = _place(call)
    status, title = str(call.args["status"]), str(call.args.get("title") or "")
    if status not in STATUSES:
        raise Refused("invalid_status")
    if len(title) > limits.TITLE:
        raise Refused("invalid_name")
    if call.args.get("initiator_user_id"):
        call.user("initiator_user_id")
    session = call.world.sessions.get(place)
    if session is None:
        call.world.sessions[place] = Session(status, title, call.world.now_s)
    else:
        session.status, session.at = status, call.world.now_s
    return {}


def rename(call: Call) -> Json:
    place, title = _place(call), str(call.args["title"])
    if not 1 <= len(title) <= limits.TITLE:
        raise Refused("invalid_name")
    session = call.world.sessions.get(place)
    if session is None:
        raise Refused("session_not_found")
    session.title = title
    return {}


def _thread(call: Call, channel: Channel) -> str:
    ts = str(call.args.get("thread_ts") or "")
    if call.world.find(call.team, channel.id, ts) is None:
        raise Refused("invalid_thread_ts")
    return ts


def status(call: Call) -> Json:
    channel = call.channel("channel_id")
    place = channel.id, _thread(call, channel)
    call.world.statuses[place] = str(call.args["status"]), call.world.now_s
    return {}


def title(call: Call) -> Json:
    channel = call.channel("channel_id")
    place, name = (channel.id, _thread(call, channel)), str(call.args["title"])
    session = call.world.sessions.setdefault(place, Session("active", "", call.world.now_s))
    session.title = name
    return {}


def prompts(call: Call) -> Json:
    """Suggested prompts: at most four, of a thread, or in the agent view of the whole of the direct messages."""
    channel = call.channel("channel_id")
    if not call.world.agent:
        raise Refused("not_agent_app")
    given = call.args["prompts"]
    sound = isinstance(given, list) and all(isinstance(one, dict) and one.get("title") and one.get("message") for one in given)
    if not sound or len(given) > 4:
        raise Refused("invalid_arguments", ["[ERROR] up to 4 prompts with title and message [json-pointer:/prompts]"])
    thread = _thread(call, channel) if call.args.get("thread_ts") else ""
    call.world.prompts[channel.id, thread] = given
    return {}


METHODS: Methods = {
    "agents.sessions.setStatus": set_status,
    "agents.sessions.rename": rename,
    "assistant.threads.setStatus": status,
    "assistant.threads.setTitle": title,
    "assistant.threads.setSuggestedPrompts": prompts,
}
