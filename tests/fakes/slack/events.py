"""Which events the app is told of, and what stands around each."""

import secrets

from tests.fakes.slack.delivery import Deliverer, Heard
from tests.fakes.slack.oracle import oracle
from tests.fakes.slack.people import TOKEN
from tests.fakes.slack.state import KINDS, Channel, Json, Team, World

TOLD_ANYWAY = ("app_uninstalled", "tokens_revoked")  # to an app that is no longer there


class Events:
    """`wanted`: the events that the manifest subscribes to; None: all."""

    def __init__(self, world: World, deliverer: Deliverer, wanted: list[str] | None, violations: list[str]) -> None:
        self.world, self.deliverer, self.wanted, self.violations = world, deliverer, wanted, violations

    def publish(self, team: Team, event: Json, channel: Channel | None = None) -> None:
        if not self._listens(team, event, channel):
            return
        judge = oracle()
        if judge is not None:
            self.violations += [f"the event {event['type']}: {flaw}" for flaw in judge.event(event)]
        authorized = {"enterprise_id": None, "team_id": team.id, "user_id": team.bot_user, "is_bot": True}
        payload: Json = {"token": TOKEN, "team_id": team.id, "context_team_id": team.id, "context_enterprise_id": None}
        payload |= {"api_app_id": self.world.app_id, "event": event, "type": "event_callback"}
        payload |= {"event_id": self.world.id("Ev"), "event_time": int(self.world.now_s)}
        payload |= {"authorizations": [authorized | {"is_enterprise_install": False}], "is_ext_shared_channel": False}
        payload |= {"event_context": f"4-{secrets.token_hex(8)}"}
        self.deliverer.tell(Heard(self.world, team, "events_api", payload))

    def _listens(self, team: Team, event: Json, channel: Channel | None) -> bool:
        """Whether the app is told: it is there, has subscribed, and may read the channel."""
        kind = event["type"]
        if not team.installed and kind not in TOLD_ANYWAY:
            return False
        name = (
            f"message.{channel.type if channel.type == 'im' else channel.type + 's'}" if kind == "message" and channel else kind
        )
        if self.wanted is not None and name not in self.wanted:
            return False
        if kind == "app_mention" and "app_mentions:read" not in team.scopes:
            return False
        if channel is None:
            return True
        readable = kind != "message" or f"{KINDS[channel.type]}:history" in team.scopes
        return team.bot_user in channel.members and readable
