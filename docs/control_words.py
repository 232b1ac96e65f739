"""The table of control words as Markdown, from the program's own. `python docs/control_words.py`
prints it; a test holds that docs/instrument.md has it.
"""

from stream.live.words import WORDS, Word


def table() -> str:
    """One row a word."""
    head = (
        "| word | value | what it does | keys | MIDI | DMX | OSC |\n|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_row(word) for word in WORDS.values())])


def _row(word: Word) -> str:
    keys = " ".join(f"`{key.key}`" for key in word.keys)
    knobs = [f"CC {number}" for number in word.controllers]
    knobs += [f"note {pad.note}{f' ({pad.value})' if pad.value else ''}" for pad in word.pads]
    slots = ", ".join(str(slot) for slot in word.slots)
    osc = f"`{word.osc_address}`"
    cells = (f"`{word.name}`", word.takes, word.does, keys, ", ".join(knobs), slots, osc)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(table())
