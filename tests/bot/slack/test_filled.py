"""A modal that somebody sent off reads back as the fields of its dialog, by their names."""

from bot.platforms.slack.filled import values


def test_a_modal_that_was_sent_is_read_back_by_the_names_of_its_fields() -> None:
    file = {"id": "F77", "name": "qna.yaml", "size": 3, "url_private_download": "https://files.example/F77"}
    state = {
        "name": {"value": {"type": "plain_text_input", "value": "Bob"}},
        "why": {"value": {"type": "plain_text_input", "value": None}},
        "licence": {"value": {"type": "radio_buttons", "selected_option": None}},
        "model": {"value": {"type": "static_select", "selected_option": {"text": {}, "value": "tiny"}}},
        "keep": {"value": {"type": "checkboxes", "selected_options": []}},
        "agree": {"value": {"type": "checkboxes", "selected_options": [{"value": "yes"}]}},
        "file": {"value": {"type": "file_input", "files": [file]}},
        "none": {"value": {"type": "file_input", "files": None}},
        "later": {"value": {"type": "datepicker", "selected_date": "2026-01-01"}},
    }

    assert values(state) == (
        {"name": "Bob", "why": "", "licence": "", "model": "tiny", "keep": "no", "agree": "yes"},
        [file],
    )


def test_a_modal_without_anything_in_it_has_no_fields_and_no_files() -> None:
    assert values({}) == ({}, [])
