"""Discord's limits as we know them are those of its own file, where that has them, and talk stays within them."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.core import talk
from bot.core.commands import COMPLETIONS
from bot.platforms.discord import limits

OPENAPI = Path(__file__).resolve().parents[4] / "shared" / "data" / "discord" / "openapi.json"


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    if not OPENAPI.is_file():
        pytest.skip("Discord's OpenAPI file lies in ../shared, which is not here")
    found: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]
    return found


@pytest.mark.parametrize(
    ("schema", "field", "bound", "limit"),
    [
        ("IncomingWebhookInteractionRequest", "content", "maxLength", limits.CONTENT),
        ("MessageCreateRequest", "attachments", "maxItems", limits.FILES),
        ("MessageCreateRequest", "components", "maxItems", limits.COMPONENTS),
        ("MessageAttachmentRequest", "filename", "maxLength", limits.FILE_NAME),
        ("TextDisplayComponentForMessageRequest", "content", "maxLength", limits.DISPLAYED),
        ("ActionRowComponentForMessageRequest", "components", "maxItems", limits.ROW),
        ("ButtonComponentForMessageRequest", "label", "maxLength", limits.BUTTON),
        ("ButtonComponentForMessageRequest", "custom_id", "maxLength", limits.CUSTOM_ID),
        ("StringSelectComponentForMessageRequest", "options", "maxItems", limits.OPTIONS),
        ("StringSelectComponentForMessageRequest", "placeholder", "maxLength", limits.PLACEHOLDER),
        ("StringSelectOptionForRequest", "label", "maxLength", limits.OPTION),
        ("StringSelectOptionForRequest", "value", "maxLength", limits.OPTION),
        ("UnfurledMediaRequestWithAttachmentReferenceRequired", "url", "maxLength", limits.URL),
        ("ModalInteractionCallbackRequestData", "title", "maxLength", limits.DIALOG_TITLE),
        ("LabelComponentForModalRequest", "label", "maxLength", limits.LABEL),
        ("LabelComponentForModalRequest", "description", "maxLength", limits.DESCRIPTION),
        ("TextInputComponentForModalRequest", "value", "maxLength", limits.TYPED),
        ("TextInputComponentForModalRequest", "max_length", "maximum", limits.TYPED),
        ("TextInputComponentForModalRequest", "placeholder", "maxLength", limits.TYPED_PLACEHOLDER),
        ("RadioGroupComponentForModalRequest", "options", "minItems", limits.RADIOS[0]),
        ("RadioGroupComponentForModalRequest", "options", "maxItems", limits.RADIOS[1]),
        ("FileUploadComponentForModalRequest", "max_values", "maximum", limits.UPLOADS),
        ("ApplicationCommandCreateRequest", "name", "maxLength", limits.COMMAND_NAME),
        ("ApplicationCommandCreateRequest", "description", "maxLength", limits.COMMAND_DESCRIPTION),
        ("ApplicationCommandCreateRequest", "options", "maxItems", limits.COMMAND_OPTIONS),
    ],
)
def test_a_limit_is_what_discords_own_file_says(
    schemas: dict[str, Any], schema: str, field: str, bound: str, limit: int
) -> None:
    assert schemas[schema]["properties"][field][bound] == limit


def test_a_nonce_is_as_long_as_discords_own_file_says(schemas: dict[str, Any]) -> None:
    kinds = schemas["MessageCreateRequest"]["properties"]["nonce"]["oneOf"]

    assert [kind["maxLength"] for kind in kinds if "maxLength" in kind] == [limits.NONCE]


def test_the_file_is_looser_than_discord_in_two_places(schemas: dict[str, Any]) -> None:
    assert schemas["MessageCreateRequest"]["properties"]["content"]["maxLength"] > limits.CONTENT
    assert schemas["ModalInteractionCallbackRequestData"]["properties"]["components"]["maxItems"] > limits.DIALOG_PARTS


def test_what_talk_allows_is_within_discords_limits() -> None:
    assert min(limits.CUSTOM_ID, limits.OPTION) >= talk.TOKEN
    assert min(limits.BUTTON, limits.OPTION, limits.PLACEHOLDER) >= talk.LABEL
    assert talk.OPTIONS <= limits.OPTIONS
    assert talk.BUTTONS <= limits.ROW * (limits.ROWS - 1)
    assert talk.CARD + talk.TITLE < limits.DISPLAYED
    assert talk.DIALOG_TITLE <= limits.DIALOG_TITLE
    assert talk.DIALOG_FIELDS <= limits.DIALOG_PARTS
    assert talk.FIELD_LABEL <= limits.LABEL
    assert talk.FIELD_HINT <= limits.DESCRIPTION
    assert talk.FIELD_TEXT <= limits.TYPED
    assert COMPLETIONS <= limits.CHOICES
