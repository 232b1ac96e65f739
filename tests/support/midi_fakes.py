"""MIDI ports without a driver: mido's own messages and ports, which a test puts messages into."""

from typing import Any

import mido


class FakePort(mido.ports.BaseInput):
    """A port of mido's own kind that a test puts messages into."""

    def put(self, *messages: Any) -> None:
        self._messages.extend(messages)


class FakeBackend:
    """The functions of the module mido, with ports that come and go."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.ports: dict[str, FakePort] = {}

    def get_input_names(self) -> list[str]:
        return list(self.names)

    def open_input(self, name: str) -> FakePort:
        self.ports[name] = FakePort(name)
        return self.ports[name]
