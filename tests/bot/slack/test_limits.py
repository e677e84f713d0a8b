"""Slack's limits as we know them are those of slackblocks, where that has them, and talk stays within them."""

import pytest
from slackblocks import _limits as theirs

from bot.core import talk
from bot.platforms.slack import limits
from tests.fakes import slack_blocks


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (limits.BLOCKS, theirs.MESSAGE_BLOCKS_MAX_ITEMS),
        (limits.SECTION, theirs.SECTION_TEXT_MAX_LENGTH),
        (limits.HEADER, theirs.HEADER_TEXT_MAX_LENGTH),
        (limits.ACTIONS, theirs.ACTIONS_ELEMENTS_MAX_ITEMS),
        (limits.BUTTON, theirs.BUTTON_TEXT_MAX_LENGTH),
        (limits.BUTTON, theirs.FEEDBACK_BUTTON_TEXT_MAX_LENGTH),
        (limits.TABLE_ROWS, theirs.TABLE_ROWS_MAX_ITEMS),
        (limits.TABLE_COLUMNS, theirs.TABLE_COLUMNS_MAX_ITEMS),
        (limits.OPTION, theirs.OPTION_TEXT_MAX_LENGTH),
        (limits.OPTION_VALUE, theirs.OPTION_VALUE_MAX_LENGTH),
        (limits.RADIOS[1], theirs.RADIO_BUTTONS_OPTIONS_MAX_ITEMS),
        (limits.VIEW_BLOCKS, theirs.VIEW_BLOCKS_MAX_ITEMS),
        (limits.DIALOG_TITLE, theirs.VIEW_TITLE_MAX_LENGTH),
        (limits.DIALOG_TITLE, theirs.VIEW_SUBMIT_MAX_LENGTH),
        (limits.HINT, theirs.INPUT_HINT_MAX_LENGTH),
        (limits.TYPED, theirs.PLAIN_TEXT_INPUT_MAX_LENGTH_MAX),
    ],
)
def test_a_limit_is_what_slackblocks_says(limit: int, said: int) -> None:
    assert limit == said


def test_all_texts_of_a_message_stay_under_what_slack_refused_once_and_what_markdown_may_be() -> None:
    assert limits.TOTAL < slack_blocks.TEXT < theirs.MARKDOWN_TOTAL_TEXT_MAX_LENGTH


def test_what_talk_allows_is_within_slacks_limits() -> None:
    assert min(theirs.ACTION_ID_MAX_LENGTH, limits.OPTION_VALUE, theirs.VIEW_CALLBACK_ID_MAX_LENGTH) >= talk.TOKEN
    assert min(limits.BUTTON, limits.OPTION) >= talk.LABEL
    assert talk.BUTTONS <= limits.ACTIONS
    assert talk.OPTIONS <= theirs.SELECT_OPTIONS_MAX_ITEMS
    assert talk.TITLE <= limits.HEADER
    assert talk.TEXT <= limits.SECTION
    assert talk.DIALOG_TITLE <= limits.DIALOG_TITLE
    assert talk.FIELD_LABEL <= theirs.INPUT_LABEL_MAX_LENGTH
    assert talk.FIELD_TEXT <= limits.TYPED
