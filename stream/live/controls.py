"""Controls: the settings of a live session that can change while it runs, as one immutable `Look`.

    keys, socket, stdin, OSC, MIDI ──change──► Controls ──look──► painter, presenter, window

What can be changed is in the table of `words.py`.

Every change replaces the whole `Look`. A frame is painted and shown with one `Look`, read once.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from models import Style, StyleImage
from stream.live.checked_words import checked, style_fields
from stream.live.words import (
    ACTIONS,
    LOOK_FIELDS,
    NEXT,
    PREVIOUS,
    STYLE_FIELDS,
    SWITCHES,
    WORDS,
)

__all__ = ["STYLE_FIELDS", "Controls", "Look", "NamedStyle", "checked", "style_fields"]


GLIDE_FRAMES = 2
"""In how many frames a number reaches what a knob asks for."""


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about the picture that may change from one frame to the next.

    Attributes:
        style: What is painted.
        stability: 0 to 1, how much a painted frame keeps of the one before.
        split: The left half stays as the camera sees it.
        freeze: The last picture stands still.
        bypass: Nothing is painted.
        hud: The window shows figures and keys.
        mask: The painting shows only where the session's mask says.
        transition_s: How long a change of style is cross-faded, in seconds.
        gliding: The style has changed by one step of many since the frame before, as a knob turns:
            such a change is shown at once, without a cross-fade.
    """

    style: Style
    stability: float = 0.5
    split: bool = False
    freeze: bool = False
    bypass: bool = False
    hud: bool = True
    mask: bool = False
    transition_s: float = 0.5
    gliding: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.stability <= 1:
            raise ValueError(f"got stability={self.stability}, expected 0 to 1")
        if not 0 <= self.transition_s <= 60:
            raise ValueError(f"got transition={self.transition_s}, expected 0 to 60 seconds")


@dataclass(frozen=True, slots=True)
class NamedStyle:
    """One entry of the list that the next-style key walks through.

    Attributes:
        style: What is painted.
        stability: ``None`` leaves it as it is.
        own: The fields of `style` that are its own; the rest are the session's defaults.
    """

    name: str
    style: Style
    stability: float | None = None
    own: frozenset[str] = frozenset({"prompt"})

    @property
    def given(self) -> dict[str, Any]:
        """Its own fields with their values."""
        return {field: getattr(self.style, field) for field in self.own}


@dataclass(frozen=True, slots=True)
class Glide:
    """A number on its way to where a knob was turned.

    Attributes:
        frames: In how many it gets there.
    """

    target: float
    frames: int = GLIDE_FRAMES


class Plays(Protocol):
    """Changes controls by itself, frame by frame: `stream.live.schedule.LiveSchedule`."""

    def play(self, controls: "Controls", time_s: float, now_s: float) -> None: ...


class Controls:
    """The look of a running session. Thread-safe.

    Args:
        look: What it starts with.
        styles: What ``next`` and names choose from.
    """

    def __init__(self, look: Look, styles: Sequence[NamedStyle] = ()) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._styles = tuple(styles)
        self._position = self._find(look.style)
        self._changed: dict[str, Any] = {}  # what was set of the style, by name or field
        self._glides: dict[str, Glide] = {}
        self._is_sudden = False  # a change since the last frame that was no step of a glide
        self.on_quit: Callable[[], None] = lambda: None
        self.on_tap: Callable[[], None] = lambda: None
        self.schedule: Plays | None = None  # of the thread that paints

    @property
    def look(self) -> Look:
        """One consistent set of everything; read it once a frame."""
        return self._look

    def look_at(self, time_s: float, now_s: float) -> Look:
        """The look of a frame, as the schedule has it; once a frame, in the thread that paints.

        Args:
            time_s: Its time in the session.
            now_s: When it was captured, by the clock.
        """
        if self.schedule is not None:
            self.schedule.play(self, time_s, now_s)
        return self._look

    @property
    def style_name(self) -> str:
        """The list's name for what is painted, or the prompt."""
        if self._is_named():
            return self._styles[self._position].name
        return self._look.style.prompt or "as the model likes"

    def start_with(self, style: Style) -> None:
        """The model is known now, and so are the defaults of what was not asked for.

        What was changed while it was loaded stays changed.
        """
        with self._lock:
            self._styles = tuple(
                replace(named, style=replace(style, **named.given)) for named in self._styles
            )
            try:
                style = replace(style, **self._changed)
            except ValueError:  # a LoRA that there is not, named while nobody could know
                self._changed.pop("loras", None)
                style = replace(style, **self._changed)
            self._look = replace(self._look, style=style)
            if "prompt" not in self._changed:
                self._position = self._find(style)

    def quit(self) -> None:
        """End the session properly."""
        self.on_quit()

    def toggle(self, switch: str) -> None:
        """Turn one of the switches the other way."""
        with self._lock:
            changes: dict[str, Any] = {switch: not getattr(self._look, switch)}
            self._look = replace(self._look, **changes)

    def do(self, action: str) -> None:
        """Do one of the actions."""
        self.change({action: True})

    def next_style(self, step: int = 1) -> None:
        """The next style of the list; nothing where there is none."""
        with self._lock:
            if self._styles:
                self._go_on(step)

    def value_of(self, word: str) -> Any:
        """What holds of a word that has a value."""
        if word in STYLE_FIELDS:
            return getattr(self._look.style, STYLE_FIELDS[word])
        return getattr(self._look, LOOK_FIELDS[word])

    def show_image(self, image: StyleImage) -> None:
        """Have another picture in place of the style's one of that name, without a cross-fade."""
        with self._lock:
            style = self._look.style
            images = tuple(image if one.name == image.name else one for one in style.images)
            self._look = replace(self._look, style=replace(style, images=images))
            self._changed = self._changed | {"images": images}

    def nudge(self, word: str, by: float) -> None:
        """A little more or less of a number, kept within the word's range."""
        with self._lock:
            self._take({word: WORDS[word].clamped(round(self.value_of(word) + by, 3))})

    def change(self, asked: dict[str, Any]) -> Look:
        """Take a set of changes as a whole, or refuse it as a whole.

        Args:
            asked: Words of `words.WORDS` with their values; ``style`` takes a name of the list,
                ``next`` or ``previous``. An action is done when the rest has been taken.

        Raises:
            ValueError: A word is not known or its value cannot be used (got and expected).
        """
        with self._lock:
            self._try(asked)
            self._glides = {k: v for k, v in self._glides.items() if k not in asked}
            look = self._look
        self._act(asked)
        return look

    def glide(self, word: str, value: float) -> None:
        """Turn a number to `value` over the next `GLIDE_FRAMES` frames; a later call takes over.

        Raises:
            ValueError: The word has no number, or the value is outside its range.
        """
        if WORDS[word].kind != "number":
            self.change({word: value})
            return
        with self._lock:
            before = self._state
            self._try({word: value})  # says what is wrong with it
            self._state = before
            self._glides = self._glides | {word: Glide(float(value))}

    def follow(self, asked: dict[str, Any]) -> None:
        """Take one step of many, which is shown at once, without a cross-fade.

        Raises:
            ValueError: As `change`.
        """
        with self._lock:
            is_sudden = self._is_sudden
            self._try(asked)
            self._is_sudden = is_sudden

    def advance(self) -> Look:
        """The look of the next frame to paint: glides go one step on. Called once a frame."""
        with self._lock:
            gliding = not self._is_sudden
            if self._glides:
                steps = {word: self._step(word, glide) for word, glide in self._glides.items()}
                self._glides = {
                    word: Glide(glide.target, glide.frames - 1)
                    for word, glide in self._glides.items()
                    if glide.frames > 1
                }
                self._take(steps)
            if gliding:
                self._look = replace(self._look, gliding=True)
            self._is_sudden = False
            return self._look

    def aims(self) -> dict[str, Any]:
        """As `as_dict`, with what glides where it is going to: what a knob should show."""
        with self._lock:
            targets = {word: glide.target for word, glide in self._glides.items()}
            return self.as_dict() | targets

    def _step(self, word: str, glide: Glide) -> float:
        value: float = self.value_of(word)
        return value + (glide.target - value) / glide.frames

    def as_dict(self) -> dict[str, object]:
        """What holds now, in the words that `change` takes."""
        look = self._look
        style = {word: getattr(look.style, field) for word, field in STYLE_FIELDS.items()}
        rest = {word: getattr(look, field) for word, field in LOOK_FIELDS.items()}
        named = {"style": self.style_name} if self._is_named() else {}
        return {**named, **style, **rest}

    def _is_named(self) -> bool:
        """Whether the list has a name for what is painted."""
        there = 0 <= self._position < len(self._styles)
        return there and self._styles[self._position].style.prompt == self._look.style.prompt

    @property
    def _state(self) -> tuple[Any, ...]:
        """Everything that a change may touch, to be put back."""
        return self._look, self._position, self._changed, self._glides, self._is_sudden

    @_state.setter
    def _state(self, state: tuple[Any, ...]) -> None:
        self._look, self._position, self._changed, self._glides, self._is_sudden = state

    def _try(self, asked: dict[str, Any]) -> None:
        """Take a set of changes, or put everything back and say what is wrong with it."""
        before = self._state
        try:
            self._take(asked)
        except (ArithmeticError, TypeError, ValueError) as err:
            self._state = before
            raise ValueError(str(err)) from err

    def _take(self, asked: dict[str, Any]) -> None:
        unknown = set(asked) - set(WORDS)
        if unknown:
            raise ValueError(f"got {sorted(unknown)[0]!r}, expected one of {', '.join(WORDS)}")
        for word in (*SWITCHES, *ACTIONS):
            if word in asked and not isinstance(asked[word], bool):
                raise ValueError(f"got {word}={asked[word]!r}, expected true or false")
        if "style" in asked:
            self._choose_by_name(asked["style"])
        changes: dict[str, Any] = {}
        for word, name in LOOK_FIELDS.items():
            if word in asked:
                is_switch = WORDS[word].kind == "switch"
                changes[name] = asked[word] if is_switch else float(checked(word, asked[word]))
        self._restyle(style_fields(asked), changes)

    def _act(self, asked: dict[str, Any]) -> None:
        """Do the actions among what was asked."""
        if asked.get("tap"):
            self.on_tap()
        if asked.get("quit"):
            self.quit()

    def _restyle(self, given: dict[str, Any], changes: dict[str, Any]) -> None:
        """Change fields of the style and of the look at once."""
        style = replace(self._look.style, **given)
        self._look = replace(self._look, style=style, gliding=False, **changes)
        self._is_sudden = True
        self._changed = self._changed | given
        if "prompt" in given and (found := self._find(style)) >= 0:
            self._position = found

    def _choose_by_name(self, name: object) -> None:
        names = [named.name for named in self._styles]
        if name in (NEXT, PREVIOUS) and names:
            self._go_on(1 if name == NEXT else -1)
        elif name in names:
            self._choose(names.index(str(name)))
        else:
            raise ValueError(f"got style={name!r}, expected {NEXT} or one of {', '.join(names)}")

    def _go_on(self, step: int) -> None:
        """From a prompt of the user's own, forwards to the first and backwards to the last."""
        start = self._position if self._position >= 0 or step > 0 else 0
        self._choose((start + step) % len(self._styles))

    def _choose(self, position: int) -> None:
        named = self._styles[position]
        self._position = position
        self._changed = named.given | {"images": self._look.style.images}
        style = replace(named.style, images=self._look.style.images)
        stability = self._look.stability if named.stability is None else named.stability
        self._look = replace(self._look, style=style, stability=stability, gliding=False)
        self._glides = {}
        self._is_sudden = True

    def _find(self, style: Style) -> int:
        prompts = [named.style.prompt for named in self._styles]
        return prompts.index(style.prompt) if style.prompt in prompts else -1
