"""Words: the one table of everything that can be changed, or done, while a session runs.

    WORDS ──► Controls.change      what a word takes, and where it is kept
          ──► window keys, OSC addresses, MIDI controllers, the control socket
          ──► recorded performances
          ──► the table in docs/instrument.md (a test holds it)

A new word is one entry here, and a field of `Look` or `Style` to keep it in. Data only.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "whole", "switch", "name", "action"]

NEXT = "next"
PREVIOUS = "previous"

LEAST_STRENGTH = 0.05
"""Where knobs and keys end; a strength of 0 is no painting."""

NUDGE = 0.05
"""How far one press of a key moves a number."""

LARGEST_SEED = 2**32 - 1

OSC_ROOT = "/allaprima"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the window.

    Attributes:
        key: One character, or ``Esc``.
        by: What it adds to a number; for a style, how many places it goes on.
        same_as: Another key that does the same; the key line leaves this one out.
    """

    key: str
    by: float = 0.0
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class Pad:
    """A MIDI note of the default map.

    Attributes:
        note: 0 to 127.
        value: What it gives the word, of a kind that has names; a switch is turned.
    """

    note: int
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One thing that can be changed.

    Attributes:
        name: What every way in calls it.
        kind: What values it takes: text, a number, a whole number, true or false, the name of a
            style; an action takes ``true`` and is done at once.
        does: What it changes, for the documentation.
        told: The words for its keys in the window.
        least, most: The range of a knob that is turned from one end to the other; a number may lie
            outside where `Style` or `Look` takes it.
        unit: Of its numbers.
        style_field, look_field: Where the value is kept.
        keys: Of the window.
        controllers, pads, slots: Of the default map: numbers of MIDI controllers, notes, and slots
            of DMX.
        recorded: Whether it changes the picture, and so belongs to a recorded performance.
    """

    name: str
    kind: Kind
    does: str
    told: str = ""
    least: float | None = None
    most: float | None = None
    unit: str = ""
    style_field: str = ""
    look_field: str = ""
    keys: tuple[Key, ...] = ()
    controllers: tuple[int, ...] = ()
    pads: tuple[Pad, ...] = ()
    slots: tuple[int, ...] = ()
    recorded: bool = True

    @property
    def osc_address(self) -> str:
        """Its OSC address."""
        return f"{OSC_ROOT}/{self.name}"

    @property
    def is_continuous(self) -> bool:
        """Whether a knob can turn it: a number with two ends."""
        return self.kind in ("number", "whole") and self.least is not None and self.most is not None

    def clamped(self, value: float) -> float:
        """The value kept within the range."""
        least = value if self.least is None else max(value, self.least)
        return least if self.most is None else min(least, self.most)

    @property
    def takes(self) -> str:
        """Its values, for the documentation."""
        if self.kind == "switch":
            return "true or false"
        if self.kind == "name":
            return f"a name of the list, `{NEXT}` or `{PREVIOUS}`"
        if self.kind == "action":
            return "true"
        if self.least is None or self.most is None:
            return "text"
        whole = "whole, " if self.kind == "whole" else ""
        return f"{whole}{self.least:.10g} to {self.most:.10g}{' ' + self.unit if self.unit else ''}"


def _switch(
    name: str, does: str, key: str, pad: int, slot: int, told: str = "", *, recorded: bool = True
) -> Word:
    return Word(
        name=name,
        kind="switch",
        does=does,
        told=told or name,
        look_field=name,
        keys=(Key(key),),
        pads=(Pad(pad),),
        slots=(slot,),
        recorded=recorded,
    )


_ALL = (
    Word(
        name="prompt",
        kind="text",
        does="what is painted; `a:0.7 \\| b:0.3` mixes",
        style_field="prompt",
    ),
    Word(
        name="strength",
        kind="number",
        does="how far from the camera's picture",
        told="strength",
        least=LEAST_STRENGTH,
        most=1,
        style_field="strength",
        keys=(Key("-", -NUDGE), Key("+", NUDGE), Key("=", NUDGE, same_as="+")),
        controllers=(1, 74),
        slots=(1,),
    ),
    Word(
        name="steps",
        kind="whole",
        does="how often the model goes over a picture",
        least=1,
        most=8,
        style_field="num_inference_steps",
        controllers=(76,),
        slots=(3,),
    ),
    Word(
        name="guidance",
        kind="number",
        does="how closely the prompt is followed",
        least=1,
        most=30,
        style_field="guidance_scale",
        controllers=(10,),
        slots=(4,),
    ),
    Word(
        name="seed",
        kind="whole",
        does="which noise the strokes come from",
        least=0,
        most=LARGEST_SEED,
        style_field="seed",
    ),
    Word(
        name="image_mix",
        kind="text",
        does="which of the style pictures count, by name; `a:0.7 \\| b:0.3` mixes",
        style_field="image_mix",
    ),
    Word(
        name="image_weight",
        kind="number",
        does="how much the style pictures count",
        least=0,
        most=2,
        style_field="image_weight",
        controllers=(12,),
        slots=(11,),
    ),
    Word(
        name="loras",
        kind="text",
        does="which of the LoRAs are on, by name: `a:0.7 \\| b`; `none`; empty: as at the start",
        style_field="loras",
    ),
    Word(
        name="structure_weight",
        kind="number",
        does="how closely the structure networks hold to the frame",
        least=0,
        most=2,
        style_field="structure_weight",
        controllers=(13,),
        slots=(12,),
    ),
    Word(
        name="stability",
        kind="number",
        does="how much of the picture before is kept",
        told="stability",
        least=0,
        most=1,
        look_field="stability",
        keys=(Key("[", -NUDGE), Key("]", NUDGE)),
        controllers=(2, 71),
        slots=(2,),
    ),
    Word(
        name="style",
        kind="name",
        does="a style of the list",
        told="next, previous style",
        keys=(Key("n", 1), Key("p", -1)),
        pads=(Pad(36, NEXT), Pad(37, PREVIOUS)),
        recorded=False,
    ),
    Word(
        name="transition",
        kind="number",
        does="how long a change of style is cross-faded",
        least=0,
        most=60,
        unit="s",
        look_field="transition_s",
        controllers=(7,),
        slots=(5,),
    ),
    _switch("split", "the left half stays as the camera sees it", "s", 38, 6),
    _switch("freeze", "the last picture stands still", "f", 39, 7),
    _switch("bypass", "nothing is painted", "b", 40, 8),
    _switch(
        "mask",
        "the painting shows only where `--mask` says; without that on people",
        "m",
        42,
        9,
    ),
    _switch("hud", "the window shows figures and keys", "h", 41, 10, "hide this", recorded=False),
    Word(
        name="tap",
        kind="action",
        does="a beat is now; two or more tell the tempo of a schedule",
        told="tap the beat",
        keys=(Key("t"),),
        pads=(Pad(43),),
        recorded=False,
    ),
    Word(
        name="quit",
        kind="action",
        does="end the session properly",
        told="quit",
        keys=(Key("q"), Key("Esc", same_as="q")),
        recorded=False,
    ),
)

WORDS = {word.name: word for word in _ALL}
"""Name -> word, in the order of the documentation."""

STYLE_FIELDS = {word.name: word.style_field for word in _ALL if word.style_field}
"""Name -> the field of `Style`."""

LOOK_FIELDS = {word.name: word.look_field for word in _ALL if word.look_field}
"""Name -> the field of `Look`."""

SWITCHES = tuple(word.name for word in _ALL if word.kind == "switch")

ACTIONS = tuple(word.name for word in _ALL if word.kind == "action")
