"""The full screen at the terminal: the conversations, the card that stands above each, and the prompt.

One task hears what changes, another reads the store; both end in `_draw`. While the store is away the screen stays as
it is and the reading is tried again. What is typed and not sent is kept in a file, and taken up again at the next start.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from bot.core.cards import say_problem, shown
from bot.core.records import Conversation
from bot.core.talk import Act, Answer, Choice, Dialog, Press, Said, direct
from bot.core.words import Words
from bot.platforms.terminal.dialog import Chip, Chooser, Form, Popup, Prompt, Unsent
from bot.platforms.terminal.hear import act_of
from bot.platforms.terminal.say import Desk
from bot.platforms.terminal.view import CSS, ECHO, INK, KEYS, THEME, Head, Once, Pinned, Talk, Talks
from bot.rows import Message
from pipeline.errors import Invalid, Temporary

KEEP_S = 0.5  # what kill -9 may lose of what is typed
PAUSE_S = 0.06  # between a key and its completions, so that fast typing asks once
FRAME_S = 0.04  # a stream is drawn at most this often
AGAIN_S = 1.0  # between two attempts to read a store that is away
ANSWER_S = 2.0  # how long a dialog that was sent off waits for its refusal
SETTLE_S = 0.3  # the same, once something else was answered: a refusal comes after the card it changed
OPENED_S = 30.0  # a conversation that appears this soon after an act is what the act opened
ENDS = (signal.SIGTERM, signal.SIGHUP)


class Screen(App[None]):
    """The terminal front end; `send` hands in what a person did, `desk` says what there is to see."""

    ENABLE_COMMAND_PALETTE = False
    CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys, action, priority=True) for keys, action in KEYS]

    def __init__(
        self,
        desk: Desk,
        words: Words,
        *,
        send: Callable[[Act, str], Awaitable[None]],
        complete: Callable[[str, str], Awaitable[list[str]]],
        unsent: Path,
        title: str,
        mine: Callable[[str], bool] = lambda event: False,
    ) -> None:
        super().__init__()
        self.desk, self.words, self.send, self.unsent, self.mine = desk, words, send, Unsent(unsent), mine
        self.place, self.places = direct("terminal", desk.person), list[Conversation]()
        self.talks, self.names = Talks(), {desk.person: words("screen.you")}
        self.stale, self.wake = set[str](), asyncio.Event()  # places to read
        self.news = set[str]()  # places with something that was not looked at
        self.said = ""  # the notice
        self.acted, self.acted_at, self.echoes = -OPENED_S, self.place, 0
        self.form: Form | None = None
        self.keeping, self.drawing, self.closing = Once(self, self._keep), Once(self, self._draw), Once(self, self._close)
        self.head, self.foot = Head(title, words("screen.main")), Static(id="foot", markup=False)
        self.pinned, self.talk, self.popup = Pinned(), Talk(), Popup(complete)
        self.prompt = Prompt(self.popup, words("screen.prompt"))

    def compose(self) -> ComposeResult:
        yield self.head
        with Vertical(id="column"):
            yield self.pinned
            yield self.talk
        yield self.popup
        with Horizontal(id="ask"):
            yield Static("›", id="sign")
            yield self.prompt
        yield self.foot

    def on_mount(self) -> None:
        self.unsent.read()
        self.register_theme(THEME)
        self.theme = THEME.name
        self.place = self.unsent.place or self.place
        self.prompt.put(self.unsent.texts.get(self.place, ""))
        self.prompt.focus()
        self.talk.anchor()
        self.watch(self.screen, "focused", self._draw_foot, init=False)
        self._draw_foot()
        for one in ENDS:
            asyncio.get_running_loop().add_signal_handler(one, self._end)
        self._follow()
        self._read()

    def on_unmount(self) -> None:
        self._keep()
        for one in ENDS:
            asyncio.get_running_loop().remove_signal_handler(one)

    async def action_leave(self) -> None:
        await self._typed()
        self._end()

    async def action_copy_or_leave(self) -> None:
        """Ctrl-C copies what the mouse has marked, and leaves if that is nothing."""
        marked = self.screen.get_selected_text()
        if not marked:
            return await self.action_leave()
        self.copy_to_clipboard(marked)
        self.screen.clear_selection()

    def _end(self) -> None:
        self._keep()
        self.exit()

    def notice(self, text: str) -> None:
        """Say something in the status bar, in place of the keys; "" takes it away."""
        self.said = text
        self._draw_foot()

    @work
    async def _follow(self) -> None:
        """Hear what changes: a dialog opens, a stream is drawn a few times a second, the rest is drawn at once."""
        async for change in self.desk.changes():
            match change:
                case str():
                    self._again(change)
                case Message(body=Dialog() as dialog):
                    self._ask(change, dialog)
                case Message():
                    self._hear(change)

    def _hear(self, message: Message) -> None:
        fresh = not self.talks.has(message)
        self.talks.take(message)
        if self.form and self.form.sending and message.place == self.form.asked.place:
            self.closing.again(SETTLE_S)
        if message.place != self.place:
            self.news.add(message.place)
            self._draw_head()
        if self.mine(message.event) and message.place != self.acted_at and message.place in self._known():
            self._follow_into(message.place)  # what I did here goes on there
        if fresh:  # its place may be new, and what was said before it, by people, is told by nobody
            self._again(message.place)
        elif message.live:
            self.drawing.soon(FRAME_S)
        else:
            self._draw()

    def _again(self, place: str) -> None:
        self.stale.add(place)
        self.wake.set()

    @work
    async def _read(self) -> None:
        """Read what is stale, again and again while the store is away; then the dialog that is still open."""
        started = False
        while True:
            try:
                await self._read_places()
                while self.stale:
                    await self._read_talk(next(iter(self.stale)))
                if not started:
                    started = True
                    await self._resume()
                await self.wake.wait()
                self.wake.clear()
            except Temporary:
                self._draw()
                await asyncio.sleep(AGAIN_S)

    async def _read_places(self) -> None:
        found = await self.desk.places()
        known = {one.place for one in self.places}
        self.places = found
        opened = [one.place for one in found if one.place not in known]
        if not known:
            self._follow_into(self.place if self.place in opened else found[0].place)
        elif opened and time.monotonic() - self.acted < OPENED_S:
            self._follow_into(opened[-1])
        self._draw_head()

    def _follow_into(self, place: str) -> None:
        """Go where the conversation went; what is being typed was meant for there, so it comes along."""
        text, self.acted = self.prompt.text, -OPENED_S
        if place != self.place:
            self.prompt.load_text("")
        self._go(place)
        if text != self.prompt.text:
            self.prompt.put("\n".join(filter(None, (self.prompt.text, text))))

    async def _read_talk(self, place: str) -> None:
        found = await self.desk.talk(place)
        strangers = {one.who for one in found if one.who} - self.names.keys()
        if strangers:
            self.names |= dict.fromkeys(strangers, self.words("screen.somebody")) | await self.desk.store.names(strangers)
        self.stale.discard(place)
        self.talks.keep(place, found)
        for message in found:
            self.talks.take(message)
        if place == self.place:
            self._draw()

    async def _resume(self) -> None:
        asked = await self.desk.asked()
        if asked and asked.key != self.unsent.closed and isinstance(asked.body, Dialog):
            self._ask(asked, asked.body)

    def _draw(self) -> None:
        """Bring the screen up to what was read of this place."""
        self.drawing.stop()
        slot = "home" if self.places and self.place == self.places[0].place else "draft."
        card, messages = self.talks.of(self.place, slot)
        with self.batch_update():
            self.pinned.draw(card)
            self.talk.draw(messages, self.names, self.talks.became)

    def _draw_head(self) -> None:
        self.head.draw(self.places, self._here(), self.news, self.size.width)

    def _draw_foot(self) -> None:
        keys = "screen.keys.button" if isinstance(self.focused, Chip) else "screen.keys"
        self.foot.update(Text(f" {shown(self.said)}", INK["now"]) if self.said else Text(f" {self.words(keys)}", INK["quiet"]))

    def on_resize(self) -> None:
        self._draw_head()

    async def _act(self, act: Act, place: str = "") -> None:
        self.acted, self.acted_at = time.monotonic(), place or self.place
        await self.send(act, self.acted_at)

    async def on_prompt_sent(self, event: Prompt.Sent) -> None:
        text = event.text
        if text.strip() == "/quit":
            return self._end()
        if not text.strip():
            return
        try:
            act = act_of(text)
        except Invalid as error:
            return self.notice(say_problem(self.words, error.problems[0]))
        self._echo(f"[{act.files[0].name}]" if isinstance(act, Said) and act.files else text.strip())
        await self._act(act)
        self._keep()

    def _echo(self, text: str) -> None:
        """Show at once what was sent; the store's own copy takes its place."""
        self.echoes += 1
        key = f"echo:{self.echoes}"
        self.talks.take(Message(key, self.place, ECHO + self.echoes, 0.0, self.desk.person, Answer(text)))
        self.talk.anchor()
        self._draw()

    async def on_chip_pressed(self, event: Chip.Pressed) -> None:
        if isinstance(event.what, Choice):
            self.push_screen(Chooser(event.what), self._chosen)
        else:
            self.prompt.focus()
            await self._act(Press(event.what.token))

    async def _chosen(self, token: str | None) -> None:
        if token:
            self.prompt.focus()
            await self._act(Press(token))

    def on_key(self, event: events.Key) -> None:
        """Bring back to the prompt who types, or gives up, on a button."""
        if event.key == "escape" or (event.is_printable and event.character):
            self._type(event.character if event.is_printable and event.character else "")

    def on_paste(self, event: events.Paste) -> None:
        self._type(event.text)

    def _type(self, text: str) -> None:
        if isinstance(self.focused, Chip) and len(self.screen_stack) == 1:
            self.prompt.focus()
            self.prompt.insert_typed(text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a dialog the keys are the dialog's, but for leaving."""
        return action not in ("walk", "page", "turn", "go") or len(self.screen_stack) == 1

    async def _typed(self) -> None:
        """Wait until the keys before this one have done what they do: keys of the app overtake those of a field."""
        done = asyncio.Event()
        if self.focused and self.focused.call_later(done.set):
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), KEEP_S)

    async def action_walk(self, by: int) -> None:
        await self._typed()
        if by > 0 and self.focused is self.prompt and await self._completed():
            return
        stops = [self.prompt, *self.talk.chips(), *self.pinned.query(Chip)]  # what was just asked is nearest
        at = next((index for index, one in enumerate(stops) if one is self.focused), 0)
        self.screen.set_focus(stops[(at + by) % len(stops)])

    async def _completed(self) -> bool:
        """Take the completion; who typed a command faster than the popup came is worth a moment's wait."""
        text = self.prompt.text
        if text.startswith("/") and self.popup.typed != text:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.popup.ask(self.place, text), KEEP_S)
        return self.prompt.take()

    async def action_page(self, by: int) -> None:
        await self._typed()
        pane = self.pinned if self.focused in self.pinned.row.children else self.talk
        pane.scroll_page_up(animate=False) if by < 0 else pane.scroll_page_down(animate=False)

    def _known(self) -> set[str]:
        """The threads there are; the main conversation is nowhere anybody is led."""
        return {one.place for one in self.places[1:]}

    def _here(self) -> int:
        return next((index for index, one in enumerate(self.places) if one.place == self.place), 0)

    async def action_turn(self, by: int) -> None:
        await self._typed()
        if self.places:
            self._go(self.places[(self._here() + by) % len(self.places)].place)

    async def action_go(self, number: int) -> None:
        await self._typed()
        if number <= len(self.places):
            self._go(self.places[number - 1].place)

    def _go(self, place: str) -> None:
        """Show a conversation: what is known of it at once, what is new when it is read."""
        if place != self.place:
            self._collect()
            self.place = self.unsent.place = place
            self.prompt.put(self.unsent.texts.get(place, ""))
            self.prompt.focus()
        self.news.discard(place)
        self.talk.anchor()
        self._draw()
        self._draw_head()
        self._again(place)

    def on_text_area_changed(self) -> None:
        self.keeping.soon(KEEP_S)
        self._look(self.prompt.text)

    @work(exclusive=True, group="look")
    async def _look(self, typed: str) -> None:
        await asyncio.sleep(PAUSE_S)
        corner = self.prompt.region
        self.popup.styles.margin = (0, 0, self.size.height - corner.y, max(0, corner.x - 3))
        await self.popup.ask(self.place, typed)

    def _collect(self) -> None:
        self.unsent.texts[self.place] = self.prompt.text
        if self.form and not self.form.sending:
            self.unsent.dialogs[self.form.dialog.token] = self.form.typed()

    def _keep(self) -> None:
        """Write down what is typed and not sent. A few kilobytes: quicker than handing it to a thread."""
        self.keeping.stop()
        self._collect()
        self.unsent.write()

    def _ask(self, asked: Message, dialog: Dialog) -> None:
        """Open a dialog; one that comes back refused is open already, and says why."""
        if self.form and self.form.same(dialog):
            self.closing.stop()
            return self.form.refuse(asked.errors)
        self._close()
        self.form = Form(asked, dialog, self.unsent.dialogs.get(dialog.token, {}), self.words)
        self.push_screen(self.form)

    def on_form_typed(self) -> None:
        self.keeping.soon(KEEP_S)

    async def on_form_sent(self, event: Form.Sent) -> None:
        await self._act(event.act, event.form.asked.place)
        self.unsent.dialogs.pop(event.act.token, None)
        self.closing.again(ANSWER_S)
        self._keep()

    def on_form_closed(self, event: Form.Closed) -> None:
        self.unsent.closed = event.form.asked.key
        self._close()
        self._keep()

    def _close(self) -> None:
        """Take the dialog away; what was typed and not sent waits for the next time it opens."""
        self.closing.stop()
        if self.form:
            self._collect()
            form, self.form = self.form, None
            form.dismiss()
