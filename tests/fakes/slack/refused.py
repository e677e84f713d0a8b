"""What Slack answers when it refuses: an error code, and for some of them sentences in `response_metadata.messages`."""

from collections.abc import Iterable
from typing import Any

# Codes that every method may give (the reference lists them at few): of tokens, scopes, arguments, rates.
COMMON = frozenset(
    "not_authed invalid_auth account_inactive token_revoked token_expired missing_scope not_allowed_token_type no_permission "
    "invalid_arguments invalid_arg_name invalid_form_data invalid_json json_not_object invalid_post_type missing_post_type "
    "request_timeout ratelimited rate_limited team_access_not_granted team_added_to_org fatal_error internal_error "
    "service_unavailable method_deprecated deprecated_endpoint access_denied org_login_required ekm_access_denied "
    "unknown_method enterprise_is_restricted two_factor_setup_required accesslimited".split()
)
# Nobody who keeps to the written rules meets these: tests take them for faults of the one who asked.
BLAMED = frozenset(
    "unknown_method invalid_arguments invalid_arg_name invalid_json json_not_object invalid_post_type missing_scope "
    "msg_too_long no_text invalid_blocks invalid_blocks_format msg_blocks_too_long msg_blocks_too_many too_many_attachments "
    "markdown_text_conflict invalid_metadata_format invalid_metadata_schema metadata_too_large invalid_chunks "
    "missing_recipient_team_id missing_recipient_user_id view_too_large push_limit_reached duplicate_external_id "
    "invalid_status thread_ts_required thread_ts_not_allowed invalid_name missing_argument not_allowed_token_type "
    "cant_update_message cant_delete_message message_not_owned_by_app invalid_trigger_id exchanged_trigger_id "
    "not_agent_app cannot_dm_bot invalid_limit users_list_not_supplied alt_txt_too_large streaming_state_conflict "
    "block_mismatch invalid_attachments bad_timestamp method_not_supported_for_channel_type".split()
)


class Refused(Exception):
    """`more`: further fields of the answer, as `needed` and `provided` of missing_scope."""

    def __init__(self, error: str, messages: Iterable[str] = (), *, status: int = 200, **more: Any) -> None:
        self.error, self.messages, self.status, self.more = error, list(messages), status, more
        super().__init__(f"{error} {self.messages or ''} {more or ''}".strip())

    @property
    def blame(self) -> bool:
        """Whether the one who asked should have known."""
        return self.error in BLAMED

    @property
    def body(self) -> dict[str, Any]:
        said: dict[str, Any] = {"ok": False, "error": self.error} | self.more
        return said | ({"response_metadata": {"messages": self.messages}} if self.messages else {})
