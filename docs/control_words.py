"""The table of control words as Markdown, from the program's own. `python docs/control_words.py`
prints it; a test holds that docs/instrument.md has it.
"""

from stream.live.words import WORDS, Word


def table() -> str:
    """One row a word."""
    head = "| word | value | what it does | keys | OSC |\n|---|---|---|---|---|"
    return "\n".join([head, *(_row(word) for word in WORDS.values())])


def _row(word: Word) -> str:
    keys = " ".join(f"`{key.key}`" for key in word.keys)
    cells = (f"`{word.name}`", word.takes, word.does, keys, f"`{word.osc_address}`")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(table())
