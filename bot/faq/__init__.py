"""Questions answered from markdown, with the source, or an honest no: `Faq(paths).ask(question)`."""

from bot.faq.answer import Faq, Hit, Reply
from bot.faq.load import Entry

__all__ = ["Entry", "Faq", "Hit", "Reply"]
