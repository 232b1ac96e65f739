"""The body of `allaprima live --midi NAME --midi-learn`: asks for each word, and prints the map."""

import sys
from threading import Event

from stream.clock import Clock
from stream.command.messages import plain_console
from stream.errors import ControlError
from stream.live.midi import LOOK_S, Backend, is_wanted, load_backend, read_move
from stream.live.midi_learning import MidiLearner
from stream.live.midi_map import as_toml
from stream.live.words import Word


def learn(name: str, *, backend: Backend | None = None, clock: Clock | None = None) -> None:
    """Ask on standard error, print the map to standard output; a Ctrl-C ends it with what there is.

    Raises:
        ControlError: There is no MIDI, or no port of that name.
    """
    backend, clock = backend or load_backend(), clock or Clock()
    names = backend.get_input_names()
    ports = [backend.open_input(one) for one in names if is_wanted(name, one)]
    if not ports:
        there = ", ".join(names) or "none"
        raise ControlError(f"There is no MIDI input {name}; plug it in (there: {there}).")
    console = plain_console(stderr=True)

    def ask(word: Word) -> None:
        console.print(f"{word.name}: {word.does.replace(chr(92), '')}", markup=False)

    console.print(
        "Move the knob, or press the key, for each word. The one before again, after a second's "
        "rest, leaves a word out; Ctrl-C ends."
    )
    learner, never = MidiLearner(ask), Event()
    try:
        while not learner.done:
            for message in [message for port in ports for message in port.iter_pending()]:
                move = read_move(message)
                if move is not None:
                    learner.take(move, clock.now_s())
            clock.wait(never, LOOK_S)
    except KeyboardInterrupt:
        pass
    finally:
        for port in ports:
            port.close()
    sys.stdout.write(as_toml(learner.controls))
