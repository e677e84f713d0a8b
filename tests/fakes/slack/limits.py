"""The limits of messages, views and metadata that stand in no file of shapes; each is tested at the limit and one past it.

From ../shared/facts/chat-platforms.md, section 2. The sum of 12,000 characters a message is undocumented; the size of
metadata is not told in numbers: 8,000 characters of JSON are taken here.
"""

import json
from typing import Any

from tests.fakes.slack import blocks as judge
from tests.fakes.slack.refused import Refused
from tests.fakes.slack_blocks import text_length

Json = dict[str, Any]
TEXT, EDIT, MARKDOWN, BLOCKS_TEXT = 40_000, 4_000, 12_000, 12_000
ATTACHMENTS, METADATA, VIEW_BYTES, STACK, TITLE = 100, 8_000, 250_000, 3, 200
TRIGGER_S, RESPONSE_S, RESPONSES, STATUS_S, SESSION_S = 3.0, 1800.0, 5, 120.0, 3600.0


def blocks_of(args: Json, *, error: str = "invalid_blocks") -> list[Json] | None:
    """The blocks of a message, judged; None where none were given. Raises Refused."""
    given = args.get("blocks")
    if given is None or given == "":
        return None
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Refused("invalid_blocks_format")
    flaws = judge.of_message(given)
    if any("message-wide limit" in flaw for flaw in flaws) or text_length(given) > BLOCKS_TEXT:
        raise Refused("msg_blocks_too_long")
    if any(judge.ONE_TABLE in flaw for flaw in flaws):
        raise Refused("invalid_attachments", flaws)  # a table counts as an attachment
    if flaws:
        raise Refused(error, flaws)
    return given


def body_of(args: Json, *, most: int = TEXT) -> Json:
    """Text, blocks and attachments of a message to post. Raises Refused.

    `most`: characters of the text; at 40,000 Slack cuts, at less it refuses.
    """
    text, markdown = args.get("text") or "", args.get("markdown_text") or ""
    if markdown and (text or args.get("blocks")):
        raise Refused("markdown_text_conflict")
    if len(markdown) > MARKDOWN:
        raise Refused("msg_too_long")
    if len(text) > most and most < TEXT:
        raise Refused("msg_too_long")
    blocks, attached = blocks_of(args), _attachments(args)
    said: Json = {"text": markdown or text[:TEXT]}
    if blocks is not None:
        said["blocks"] = blocks
    if attached:
        said["attachments"] = attached
    if not (said["text"] or blocks or attached):
        raise Refused("no_text")
    return said


def _attachments(args: Json) -> list[Json]:
    found = args.get("attachments") or []
    if not isinstance(found, list):
        raise Refused("invalid_attachments")
    if len(found) > ATTACHMENTS:
        raise Refused("too_many_attachments")
    return found


def metadata_of(args: Json) -> Json | None:
    """Raises Refused where it is not {"event_type": …, "event_payload": {…}}, or too large."""
    found = args.get("metadata")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise Refused("invalid_metadata_format")
    if found and not (isinstance(found.get("event_type"), str) and isinstance(found.get("event_payload"), dict)):
        raise Refused("invalid_metadata_schema")
    if len(json.dumps(found)) > METADATA:
        raise Refused("metadata_too_large")
    return found


def view_of(args: Json, kind: str) -> Json:
    """The view of a request, judged. Raises Refused."""
    view = args.get("view")
    if not isinstance(view, dict):
        raise Refused("invalid_arguments", ["[ERROR] must be a valid JSON object [json-pointer:/view]"])
    if len(json.dumps(view)) > VIEW_BYTES:
        raise Refused("view_too_large")
    flaws = judge.of_view(view)
    if view.get("type") != kind and not flaws:
        flaws = [f"[ERROR] must be a {kind} view [json-pointer:/view/type]"]
    if flaws:
        raise Refused("invalid_arguments", flaws)
    return view
