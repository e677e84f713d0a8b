"""What GitHub's refusals mean: a sentence where somebody must act, a time where one must wait."""

import re
import time
from collections.abc import Mapping
from http import HTTPStatus

import gidgethub
import httpx2

from pipeline.errors import Invalid, Problem, Temporary

LIMIT_S = 60.0  # GitHub: "wait at least one minute" where a secondary limit names no time
MARGIN_S = 1.0  # clocks differ


def limit_s(error: gidgethub.HTTPException) -> float | None:
    """How long a limit of GitHub's wants us to wait; None where it is none.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    """
    if error.status_code not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    after = error.headers.get("retry-after", "")
    if after.isdecimal():
        return float(after) + MARGIN_S
    if error.headers.get("x-ratelimit-remaining") == "0":
        reset = error.headers.get("x-ratelimit-reset", "")
        return max(float(reset) - time.time(), 0.0) + MARGIN_S if reset.isdecimal() else LIMIT_S
    return LIMIT_S if re.search("rate limit|abuse", str(error), re.I) else None


def said(error: gidgethub.HTTPException) -> Invalid | Temporary:
    """What GitHub's refusal means: who must act, and how. Its own words are in `why`."""
    why = str(error)
    match int(error.status_code):
        case 401:
            return refusal(
                "github.revoked", "GitHub does not know this token any more", "Link the account again: /github link."
            )
        case 403 if "archived" in why.lower():
            return refusal(
                "github.archived", "the repository is archived: it takes nothing in", "Ask its owners for the new one.", why=why
            )
        case 403:
            return refusal("github.refused", f"GitHub refuses it: {why}", "Ask an owner for the right.", why=why)
        case 404 | 410:
            return refusal("github.gone", "it is not there, or not for this account to see", "Look at taxonomy.repo.", why=why)
        case 409:
            return refusal("github.conflict", f"GitHub cannot do it as things stand: {why}", why=why)
        case 422 if "already exist" in _details(error).lower():
            return refusal("github.exists", "it is there already", why=_details(error))
        case status if status < 500:
            return refusal("github.unfit", f"GitHub does not take it: {_details(error)}", why=_details(error))
    return Temporary(f"GitHub is not well just now ({int(error.status_code)})", kind="away")


def _details(error: gidgethub.HTTPException) -> str:
    """GitHub's words with those of its single errors, which gidgethub shortens."""
    errors = getattr(error, "errors", None) or ()
    texts = [str(one.get("message") or one.get("code") or "") if isinstance(one, Mapping) else str(one) for one in errors]
    return " ".join(filter(None, (str(error), *texts)))


def refusal(code: str, message: str, fix: str = "", **facts: str) -> Invalid:
    return Invalid(Problem(code, message, "GitHub", fix, facts))


def away(error: httpx2.HTTPError) -> Temporary:
    """No answer came. Of most errors the kind alone is said: the text of some quotes what was sent."""
    why = f": {error}" if isinstance(error, httpx2.ConnectError) else ""
    return Temporary(f"GitHub did not answer: {type(error).__name__}{why}", kind="away")
