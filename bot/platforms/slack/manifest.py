"""The manifest from which an operator makes the Slack app: the surfaces that labbot has, and the least scopes for them."""

from collections.abc import Mapping
from typing import Any

from bot.core.words import FALLBACK, Table
from bot.platforms.slack.hear import COMMAND

SHORTCUTS = ("ask", "skill")
EVENTS = (
    "agent_session_stopped",
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "assistant_thread_started",
    "message.channels",
    "message.groups",
    "message.im",
    "tokens_revoked",
)
SCOPES = (
    "app_mentions:read",  # app_mention
    "assistant:write",  # suggested prompts
    "channels:history",  # message.channels; conversations.replies, to look for a message of ours
    "chat:write",  # everything that is said
    "commands",  # the slash command and the shortcuts
    "files:read",  # what people send
    "files:write",  # qna.yaml and long answers
    "groups:history",  # the same in private channels
    "im:history",  # message.im
    "im:write",  # conversations.open
    "users:read",  # names and languages
)


def manifest(tables: Mapping[str, Table], url: str = "", *, many: bool = False) -> dict[str, Any]:
    """The app's manifest. `url`: where Slack reaches labbot, "" for Socket Mode; `many`: workspaces install it by OAuth."""
    words = tables[FALLBACK]
    events = f"{url}/slack/events"
    hook = {"url": events} if url else {}
    shortcuts = [
        {
            "name": str(words[f"menu.message.{name}"])[:24],
            "type": "message",
            "callback_id": name,
            "description": str(words[f"menu.{name}"])[:150],
        }
        for name in SHORTCUTS
    ]
    command = {
        "command": COMMAND,
        "description": str(words["slack.command"]),
        "usage_hint": str(words["slack.usage"]),
        "should_escape": True,
        **hook,
    }
    redirects = {"redirect_urls": [f"{url}/slack/oauth_redirect"]} if many else {}
    return {
        "display_information": {"name": "labbot", "description": str(words["slack.about"])},
        "features": {
            "agent_view": {"agent_description": str(words["slack.about"]), "suggested_prompts": []},
            "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
            "bot_user": {"display_name": "labbot", "always_online": True},
            "shortcuts": shortcuts,
            "slash_commands": [command],
        },
        "oauth_config": {**redirects, "scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {**({"request_url": events} if url else {}), "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **({"request_url": events} if url else {})},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not url,
            "token_rotation_enabled": False,
        },
    }
