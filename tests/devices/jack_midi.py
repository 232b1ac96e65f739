"""Plays a real MIDI port of JACK's into MidiInput, and says what came of it.

Run by tests/stream/live/test_midi.py as a process of its own: a JACK client ends with its server.
"""

import os
import subprocess
import sys
import time

import mido

from models import Style
from stream.live.controls import Controls, Look
from stream.live.midi import MidiInput, MidiPlayer, load_backend
from stream.live.midi_map import default_map

LIMIT_S = 60


def main() -> None:
    server = ["jackd", "--no-realtime", "-n", os.environ["JACK_DEFAULT_SERVER"], "-d", "dummy"]
    with subprocess.Popen(server, stdout=sys.stderr, stderr=sys.stderr) as jack:
        try:
            play()
        finally:
            jack.terminate()


def play() -> None:
    end_s = time.monotonic() + LIMIT_S
    while True:
        try:
            pads = mido.open_output("pads", client_name="fakenano", virtual=True)
            break
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)
    controls = Controls(Look(Style()))
    midi = MidiInput("fakenano", MidiPlayer(controls, default_map()), load_backend())
    while not controls.look.split and time.monotonic() < end_s:
        midi.look()
        if midi._ports:  # what is sent before the two are connected is lost
            pads.send(mido.Message("control_change", control=1, value=127))
            pads.send(mido.Message("note_on", note=38, velocity=9))
        time.sleep(0.05)
    for _ in range(2):
        controls.advance()
    look = controls.look
    sys.stdout.write(f"strength {look.style.strength:g} split {look.split}\n")
    midi.abandon()
    pads.close()


if __name__ == "__main__":
    main()
