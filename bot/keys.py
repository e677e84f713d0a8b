"""Every key of the bot's in Redis: what it holds, whether these are a person's words, and when it goes."""

from dataclasses import dataclass

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Key:
    """One kind of key: what it holds, whether these are a person's words, when it goes ("" for never by itself)."""

    pattern: str
    holds: str
    words: bool
    expires: str = ""


KEYS = (
    Key("bot:alias:{platform}:{workspace}:{user}", "the id of ours for somebody on a platform", False),
    Key("bot:accounts:{person}", "the keys of somebody's aliases", False),
    Key("bot:moved", "which id of ours somebody went by goes by which now, since they were linked", False),
    Key("bot:code:{digest}", "whose a code of /link is, by a hash of it, and when it was made", False, "10 minutes"),
    Key("bot:coded:{person}", "the hash of somebody's newest code", False, "10 minutes"),
    Key(
        "bot:linking:{person}",
        "the code with which somebody links their GitHub account just now, sealed, and where they are told",
        False,
        "16 minutes",
    ),
    Key(
        "bot:install:{platform}:{where}", "a workspace's or an organization's installation: tokens, sealed by the vault", False
    ),
    Key("bot:installed:{platform}:{team}", "which installation a workspace has", False),
    Key("bot:oauth:{platform}:{state}", "that somebody set out to install labbot, by a hash", False, "10 minutes"),
    Key("bot:user:{platform}:{person}", "what a platform calls somebody, and their language there", False),
    Key(
        "bot:room:{place}", "the channel or thread in which a conversation goes on; of a mention as long as that is kept", False
    ),
    Key("bot:rooms:{platform}:{room}", "the conversation that goes on in a channel or thread", False),
    Key("bot:ack:{platform}:{event}", "how an interaction is answered: its token, and by which message", False, "15 minutes"),
    Key("bot:menu:{platform}", "which commands a platform was given last", False),
    Key("bot:late:{platform}", "messages whose last edit waits, since old ones are edited rarely", False),
    Key("bot:person:{person}", "name, GitHub user name, sign-off name and mail", True),
    Key("bot:inbox:{platform}:{event}", "an event until it is decided, then only that it was", True, "retention.inbox_days"),
    Key("bot:todo:{platform}", "ids of events that are not decided yet, in order", False),
    Key(
        "bot:outbox:{platform}|{place}",
        "what was decided in a place and not done yet: messages to show, runs to start or cancel",
        True,
    ),
    Key("bot:place:{place}", "title, parent, draft and people of a conversation", True, "retention.conversations_days"),
    Key("bot:order:{place}", "keys of a conversation's messages, in order", False, "retention.conversations_days"),
    Key("bot:talk:{place}", "the messages of a conversation, the bot's and people's", True, "retention.conversations_days"),
    Key(
        "bot:sent:{place}",
        "what a platform calls each message, and which revision it shows",
        False,
        "retention.conversations_days",
    ),
    Key("bot:slot:{place}", "which message stands in each slot", False, "retention.conversations_days"),
    Key("bot:typed:{person}:{dialog}", "what somebody typed into a dialog that they closed", True, "a day"),
    Key(
        "bot:file:{platform}:{message}",
        "which file was uploaded for a message, or which picture",
        False,
        "a day",
    ),
    Key("bot:asked:{person}", "the dialog that is open for somebody", True, "a day"),
    Key("bot:draft:{draft}", "a draft: its answers, its authors, its undo", True, "retention.discarded_days once discarded"),
    Key("bot:drafts:{person}", "ids of the drafts that somebody writes", False),
    Key("bot:places:{person}", "the conversations that somebody takes part in", False),
    Key("bot:used:{person}:{act}", "when somebody did what a quota counts", False, "the longest quota"),
    Key("bot:watch", "runs whose steps are to be told, on which platform and where", False),
    Key("bot:faq:{asked}", "a question, what the FAQ found, its thumb, a maintainer's reply", True, "retention.questions_days"),
    Key("bot:questions", "ids of those questions, by when they were asked", False),
    Key(
        "bot:turn:{turn}",
        "a question to the model, its answer, which model gave it, its thumb",
        True,
        "retention.conversations_days",
    ),
    Key(
        "bot:turns:{place}",
        "ids of the turns of a conversation, by when they were asked",
        False,
        "retention.conversations_days",
    ),
    Key("bot:kept", "maintainers' answers that are to become entries of the FAQ", True),
    Key("bot:paused:{scope}", "features that an operator has paused there, and why", True),
    Key("bot:audit", "what operators did, to whom, when and why; people by ids of ours", True),
    Key("bot:lock:place:{place}", "who handles an event of that place now", False, "the lease"),
    Key(
        "bot:lock:deliver:{platform}|{place}", "who shows on a platform what a place of another has for it", False, "the lease"
    ),
    Key("bot:lock:tidy", "who takes away now what is older than it may be", False, "the lease"),
    Key("bot:lock:link:{person}", "whose /link is decided now", False, "the lease"),
    Key("bot:lock:draft:{draft}", "who changes that draft now", False, "the lease"),
)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in seconds."""

    inbox_s: float = 7 * DAY_S
    conversations_s: float = 30 * DAY_S
    discarded_s: float = 7 * DAY_S
    questions_s: float = 90 * DAY_S
    runs_s: float = 90 * DAY_S
    runs_bytes: int = 0  # 0 for no limit
