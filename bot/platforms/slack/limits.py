"""Every limit of Slack's that we show by, each with its source.

Names of sources: "blocks" is slackblocks 3.0.0, `_limits.py`, which agrees with docs.slack.dev's block-kit pages; a
repository with a number is a report of somebody who met it. Slack says nowhere whether it counts code points or UTF-16
code units, of which a text never has fewer: we count code units and fit both.
"""

# --- messages
BLOCKS = 50  # of a message: blocks
TOTAL = 11_000  # characters of all blocks of a message: about 12,000, in no page; 11,341 were refused once: bolt-js#2867
SECTION = 3000  # text of a section: blocks
HEADER = 150  # blocks
ACTIONS = 25  # elements of an actions block: blocks
ALT = 2000  # alt_text of an image: blocks
BUTTON = 75  # label of a button or of a feedback button: blocks
TABLE_ROWS = 100  # blocks
TABLE_COLUMNS = 20  # blocks
TABLE_TEXT = 10_000  # characters of all cells of a table: docs.slack.dev, table block

# --- selects and dialogs
OPTION = 75  # label of an option: blocks
OPTION_VALUE = 150  # blocks
RADIOS = (2, 10)  # options of radio buttons, with which one alone could not be left unchosen: blocks
VIEW_BLOCKS = 100  # of a modal or a home tab: blocks
VIEW_TEXT = 50_000  # characters of a view, of about 250 KB at up to 4 bytes each: docs.slack.dev, views
DIALOG_TITLE = 24  # title, send and close of a modal: blocks
HINT = 2000  # of an input: blocks
TYPED = 3000  # of a plain_text_input: blocks
