"""Every limit of Discord's that we touch, each with its source.

Names of sources: "reference" is developers/components/reference, "messages" resources/message, "interactions"
interactions/receiving-and-responding, "commands" interactions/application-commands, "threads" topics/threads, "rates"
topics/rate-limits, all of discord/discord-api-docs; "spec" is openapi.json of discord/discord-api-spec. Lengths are in
characters: Discord counts code points (discord-api-docs#1315, an answer of its staff), its apps UTF-16 code units, of
which a text never has fewer. We count code units and fit both.
"""

# --- messages
CONTENT = 2000  # messages; the spec's 4,000 are for people who pay
FILES = 10  # attachments of a message: messages
FILE_BYTES = 10 * 1024 * 1024  # of one file, where neither a server nor an interaction says more: reference
REQUEST_BYTES = 25 * 1024 * 1024  # of all that is sent at once: reference
SENT_BYTES = REQUEST_BYTES - 1024 * 1024  # of the files; the rest is for the message itself and the form around them
FILE_NAME = 1024  # spec, MessageAttachmentRequest
NONCE = 25  # messages; with enforce_nonce the same nonce is the same message for "the past few minutes"
EPHEMERAL = 1 << 6  # flags: messages
LOADING = 1 << 7  # of the note that an answer comes
SUPPRESS_EMBEDS = 1 << 2
COMPONENTS_V2 = 1 << 15  # once set, a message never loses it: reference

# --- components of messages
COMPONENTS = 40  # of a message with Components v2, nested ones counted: reference
DISPLAYED = 4000  # characters of all its text displays: discord.py, LayoutView.content_length; not in Discord's pages
ROWS = 5  # action rows of a message without Components v2: reference
ROW = 5  # buttons of an action row: reference
BUTTON = 80  # label of a button: reference
CUSTOM_ID = 100  # of every component and dialog: reference
OPTIONS = 25  # of a select: reference
OPTION = 100  # label, value and description of an option: reference
PLACEHOLDER = 150  # of a select: reference
URL = 2048  # of a file component's attachment://NAME: spec

# --- dialogs
DIALOG_TITLE = 45  # interactions
DIALOG_PARTS = 5  # top-level components; the spec allows 40, Discord does not: interactions
LABEL = 45  # of a label component: reference
DESCRIPTION = 100  # of a label component: reference
TYPED = 4000  # value and max_length of a text input: reference
TYPED_PLACEHOLDER = 100  # of a text input: reference
RADIOS = (2, 10)  # options of a radio group: reference
UPLOADS = 10  # files of a file upload: reference

# --- interactions
TOKEN_S = 15 * 60.0  # an interaction's token lives; later ones are refused (50027): interactions
CHOICES = 25  # of an autocomplete: commands

# --- commands
COMMAND_NAME = 32  # commands
COMMAND_DESCRIPTION = 100  # commands
COMMAND_OPTIONS = 25  # commands

# --- threads and channels
THREAD_NAME = 100  # threads

# --- rates
EDITS = (5, 5.0)  # messages and edits of a channel in so many seconds: discord-api-docs#20; the headers rule
OLD_S = 3600.0  # a message older than this is edited at most once a minute (30046): discord-api-docs#4413
OLD_EDIT_S = 60.0
REQUESTS = (50, 1.0)  # of a bot, callbacks of interactions not counted: rates
