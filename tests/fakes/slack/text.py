"""Slack's own markup: what a person types as it arrives, and who a text would mention.

In mrkdwn `<...>` is a link, a mention or a command; `&`, `<` and `>` that are none of it are sent as `&amp;`, `&lt;`, `&gt;`.
"""

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
ACTS = re.compile(r"<(?:@([UW][A-Z0-9]+)|!(channel|here|everyone)|!subteam\^(S[A-Z0-9]+))(?:\|[^>]*)?>")
LOUD = re.compile(r"@(channel|here|everyone)\b")  # acts only where `parse` is full or `link_names` is set
TYPED = re.compile(r"<@[UW][A-Z0-9]+>|<#C[A-Z0-9]+>|<https?://[^>|\s]+\|[^>]+>|https?://[^\s<>]+")


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def typed(text: str, channels: dict[str, str]) -> str:
    """A message as its reader hears it: mentions, channels (id -> name) and links in `<...>`, all else escaped.

    A client makes chips of what is picked (`<@U1>`, `<#C1>`) and links of addresses; `<!channel>` typed is only text.
    """
    made, at = [], 0
    for found in TYPED.finditer(text):
        made.append(escape(text[at : found.start()]))
        made.append(_chip(found.group(), channels))
        at = found.end()
    return "".join([*made, escape(text[at:])])


def _chip(part: str, channels: dict[str, str]) -> str:
    if part.startswith("<#"):
        return f"<#{part[2:-1]}|{channels.get(part[2:-1], '')}>"
    if part.startswith("http"):
        return f"<{part.replace('&', '&amp;')}>"
    return part


def rich(text: str) -> list[Json]:
    """The rich_text block that a client sends along with what is typed."""
    parts, at = [], 0
    for found in TYPED.finditer(text):
        if found.start() > at:
            parts.append({"type": "text", "text": text[at : found.start()]})
        parts.append(_element(found.group()))
        at = found.end()
    if text[at:]:
        parts.append({"type": "text", "text": text[at:]})
    if not parts:
        return []
    return [{"type": "rich_text", "block_id": "rich", "elements": [{"type": "rich_text_section", "elements": parts}]}]


def _element(part: str) -> Json:
    if part.startswith("<@"):
        return {"type": "user", "user_id": part[2:-1]}
    if part.startswith("<#"):
        return {"type": "channel", "channel_id": part[2:-1]}
    url, _, label = part.strip("<>").partition("|")
    return {"type": "link", "url": url} | ({"text": label} if label else {})


def mentioned(text: str, *, loud: bool = False) -> list[tuple[str, str]]:
    """(kind, whom) of every mention that would act: user, usergroup, or broadcast with channel, here or everyone."""
    found = [_whom(one) for one in ACTS.finditer(text)]
    return found + ([("broadcast", one.group(1)) for one in LOUD.finditer(text)] if loud else [])


def _whom(found: re.Match[str]) -> tuple[str, str]:
    user, broadcast, group = found.groups()
    if user:
        return "user", user
    return ("broadcast", broadcast) if broadcast else ("usergroup", group)


def in_blocks(blocks: Any) -> list[tuple[str, str]]:
    """Every mention that would act in blocks: in mrkdwn texts, markdown blocks, task cards' and tables' rich text."""
    found: list[tuple[str, str]] = []
    for one in walk(blocks):
        kind, text = one.get("type"), one.get("text")
        if kind in ("mrkdwn", "markdown") and isinstance(text, str):
            found += mentioned(text)
        elif kind in ("user", "usergroup") and f"{kind}_id" in one:
            found.append((kind, str(one[f"{kind}_id"])))
        elif kind == "broadcast":
            found.append(("broadcast", str(one.get("range"))))
    return found


def walk(value: Any) -> Iterator[Json]:
    """Every object in a nest of objects and lists."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from walk(one)
