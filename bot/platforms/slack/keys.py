"""What Slack knows this labbot by: its tokens and secrets, from the environment alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline import secret
from pipeline.errors import Invalid, Problem

BOT, APP, SIGNING = "LABBOT_SLACK_BOT_TOKEN", "LABBOT_SLACK_APP_TOKEN", "LABBOT_SLACK_SIGNING_SECRET"
CLIENT, SECRET = "LABBOT_SLACK_CLIENT_ID", "LABBOT_SLACK_CLIENT_SECRET"
BEGINS = {BOT: "xoxb-", APP: "xapp-"}  # so that one in another's place is told before Slack is asked


@dataclass(frozen=True, slots=True)
class Keys:
    """`bot`: of one workspace, `client` and `secret`: for many. `app` is for Socket Mode, `signing` for HTTP."""

    bot: str = ""
    app: str = ""
    signing: str = ""
    client: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return "Keys(…)"


def read(environment: Mapping[str, str], *, http: str = "", url: str = "") -> Keys:
    """The keys of an environment. Raises Invalid where something is missing that serving needs.

    `http` is where labbot answers, `url` how Slack reaches it there; both are "" where it does not.
    """
    found = {name: secret.read(environment, name) for name in (BOT, APP, SIGNING, CLIENT, SECRET)}
    for name, begins in BEGINS.items():
        if found[name] and not found[name].startswith(begins):
            raise _missing(name, f"it does not begin with {begins}.")
    if not found[BOT] and not (found[CLIENT] and found[SECRET]):
        raise _missing(BOT, "there is none.")
    if not found[APP] and not found[SIGNING]:
        raise _missing(APP, "there is none, and no signing secret for HTTP.")
    if not found[APP] and not http:
        raise Invalid(
            Problem(
                "slack.http",
                "Slack reaches labbot nowhere.",
                "--http",
                f"Set it to HOST:PORT, where Slack's calls come in, or {APP} for Socket Mode.",
            )
        )
    if found[CLIENT] and not (http and url):
        raise Invalid(
            Problem(
                "slack.url",
                "workspaces cannot install it without an address.",
                "platforms.slack.url",
                "Set it to the https address that leads to --http HOST:PORT.",
            )
        )
    return Keys(*found.values())


def _missing(name: str, told: str) -> Invalid:
    return Invalid(
        Problem(
            "slack.token", told, name, f"Set it, or {name}_FILE to the file that holds it; README.md says where Slack shows it."
        )
    )
