"""Stand-ins for the libraries of NDI, Spout and Syphon, with their real names and arguments:
cyndilib 0.1.3, SpoutGL 0.1.1, syphon-python 0.1.1. What is sent into one is received from it.
"""

import enum
import sys
import threading
from fractions import Fraction
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stream.clock import ManualClock
from stream.sources.ndi import NdiSource

PADDING = 12
"""Bytes between the lines of a received picture."""


class WaitingClock(ManualClock):
    """Waits by going on."""

    def wait(self, event: Any, timeout_s: float) -> bool:
        self.advance(max(timeout_s, 0.0))
        return bool(event.is_set())


# NDI


class FrameTypes(enum.IntFlag):
    nothing = 0
    recv_video = 1
    recv_audio = 2
    recv_all = 7


class Levels(enum.IntEnum):
    dBVU = 0
    dBFS_smpte = -20


class Finder:
    def __init__(self, network: "FakeNdi") -> None:
        self._network = network
        self.notify = threading.Condition()

    def open(self) -> None:
        return

    def close(self) -> None:
        self._network.closed.append("finder")

    def __enter__(self) -> "Finder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_source_names(self) -> list[str]:
        return list(self._network.names)

    def get_source(self, name: str) -> Any:
        return SimpleNamespace(name=name, valid=True)


class VideoRecvFrame:
    picture: np.ndarray

    def get_resolution(self) -> tuple[int, int]:
        return self.picture.shape[1], self.picture.shape[0]

    def get_line_stride(self) -> int:
        return self.picture.shape[1] * 4 + PADDING

    def get_buffer_size(self) -> int:
        return self.get_line_stride() * self.picture.shape[0]

    def get_frame_rate(self) -> Fraction:
        return Fraction(30000, 1001)

    def fill_p_data(self, dest: np.ndarray) -> bool:
        height, width = self.picture.shape[:2]
        lines = dest.reshape(height, -1)
        lines[:] = 99
        channels = self.picture.shape[2]
        lines[:, : width * 4].reshape(height, width, 4)[..., :channels] = self.picture
        return True

    def get_fourcc(self) -> str:
        return "RGBA" if self.picture.shape[2] == 4 else "RGBX"


class AudioRecvFrame:
    """Holds blocks until they are read."""

    reference_level = Levels.dBVU
    sample_rate = 0

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []

    def get_read_data(self) -> tuple[np.ndarray, int] | None:
        assert self.reference_level == Levels.dBFS_smpte  # full scale is 1
        return (self.blocks.pop(0), 0) if self.blocks else None


class AudioSendFrame:
    """Of as many samples each time: cyndilib 0.1.3 sends shorter ones wrongly."""

    reference_level = Levels.dBVU

    def __init__(self, max_num_samples: int = 1602) -> None:
        self.max_num_samples = max_num_samples
        self.sample_rate = self.num_channels = 0


class Receiver:
    def __init__(self, network: "FakeNdi", *, color_format: str, allow_video_fields: bool) -> None:
        assert (color_format, allow_video_fields) == ("rgbx", False)
        self._network = network

    def set_video_frame(self, vf: VideoRecvFrame) -> None:
        self.frame = vf

    def set_audio_frame(self, af: AudioRecvFrame) -> None:
        self.audio = af

    def set_source(self, src: Any) -> None:
        self.source = src
        if src is None:
            self._network.closed.append("receiver")

    def receive(self, recv_type: FrameTypes, timeout_ms: int) -> FrameTypes:
        assert recv_type & FrameTypes.recv_video and self.source is not None
        if self._network.heard and recv_type & FrameTypes.recv_audio:
            self.audio.sample_rate, block = self._network.heard.pop(0)
            self.audio.blocks.append(block)
            self._network.clock.advance(block.shape[1] / self.audio.sample_rate)
            return FrameTypes.recv_audio
        if not self._network.pictures:
            self._network.clock.advance(timeout_ms / 1000)
            return FrameTypes.nothing
        self.frame.picture = self._network.pictures.pop(0)
        return FrameTypes.recv_video


class VideoSendFrame:
    def set_resolution(self, xres: int, yres: int) -> None:
        self.size = xres, yres

    def set_frame_rate(self, value: Fraction) -> None:
        self.rate = value

    def set_fourcc(self, value: str) -> None:
        self.fourcc = value


class Sender:
    def __init__(self, network: "FakeNdi", ndi_name: str, *, clock_video: bool) -> None:
        self._network, self._name, self._is_open = network, ndi_name, False
        assert not clock_video  # the session has a clock

    def set_video_frame(self, vf: VideoSendFrame) -> None:
        assert not self._is_open
        self.frame = vf

    def set_audio_frame(self, af: AudioSendFrame) -> None:
        assert not self._is_open
        assert (af.sample_rate, af.num_channels) == (48_000, 2)
        assert af.reference_level == Levels.dBFS_smpte
        self.audio = af

    def write_audio(self, data: np.ndarray) -> bool:
        assert self._is_open and data.dtype == np.float32
        assert data.shape == (2, self.audio.max_num_samples)
        self._network.sent_sound.append(data)
        return True

    def open(self) -> None:
        self._is_open = True
        self._network.names.append(f"HERE ({self._name})")

    def write_video_async(self, data: np.ndarray) -> bool:
        assert self._is_open and data.ndim == 1 and data.dtype == np.uint8
        self._network.sent.append((self.frame, data))
        return True

    def close(self) -> None:
        self._is_open = False
        self._network.closed.append("sender")


class FakeNdi(ModuleType):
    """The module cyndilib, and the network that it sees."""

    def __init__(self, *names: str) -> None:
        super().__init__("cyndilib")
        self.names = list(names)
        self.clock = WaitingClock()
        self.pictures: list[np.ndarray] = []
        self.sent: list[tuple[Any, np.ndarray]] = []
        self.heard: list[tuple[int, np.ndarray]] = []
        self.sent_sound: list[np.ndarray] = []
        self.closed: list[str] = []
        self.receiver = SimpleNamespace(ReceiveFrameType=FrameTypes)
        self.RecvColorFormat = SimpleNamespace(RGBX_RGBA="rgbx")
        self.FourCC = SimpleNamespace(RGBX="RGBX", RGBA="RGBA")
        self.AudioReference = Levels
        self.AudioRecvFrame, self.AudioSendFrame = AudioRecvFrame, AudioSendFrame
        self.VideoRecvFrame, self.VideoSendFrame = VideoRecvFrame, VideoSendFrame
        self.Finder = partial(Finder, self)
        self.Receiver = partial(Receiver, self)
        self.Sender = partial(Sender, self)

    def source(self, name: str, *, sound: bool = False) -> NdiSource:
        """Our source, in this network."""
        return NdiSource(name, clock=self.clock, sound=sound, library=self)


# Spout


class SpoutSender:
    def __init__(self, machine: "FakeSpout") -> None:
        self._machine = machine

    def setSenderName(self, name: str) -> None:
        self._machine.senders.append(name)

    def sendImage(
        self, pixels: Any, width: int, height: int, kind: int, invert: bool, fbo: int
    ) -> bool:
        assert (kind, invert, fbo) == (0x1908, False, 0)
        data = np.frombuffer(pixels, np.uint8).reshape(height, width, 4)
        self._machine.pictures.append(data[..., :3].copy())
        return True

    def releaseSender(self) -> None:
        self._machine.released.append("sender")


class SpoutReceiver:
    def __init__(self, machine: "FakeSpout") -> None:
        self._machine, self._size = machine, (0, 0)
        self._updated = self._new = False

    def setReceiverName(self, name: str) -> None:
        assert name in self._machine.senders

    def getSenderList(self) -> list[str]:
        return list(self._machine.senders)

    def receiveImage(self, buffer: Any, kind: int, invert: bool, fbo: int) -> bool:
        pictures = self._machine.pictures
        self._new = bool(pictures)
        if not pictures:
            return bool(self._machine.senders)
        size = pictures[0].shape[1], pictures[0].shape[0]
        self._updated, self._size = size != self._size, size
        if buffer is not None and not self._updated:
            buffer[..., :3] = pictures.pop(0)
        return True

    def isUpdated(self) -> bool:
        return self._updated

    def isFrameNew(self) -> bool:
        return self._new

    def getSenderWidth(self) -> int:
        return self._size[0]

    def getSenderHeight(self) -> int:
        return self._size[1]

    def releaseReceiver(self) -> None:
        self._machine.released.append("receiver")


class FakeSpout(ModuleType):
    """The module SpoutGL, and the machine that it sees."""

    def __init__(self) -> None:
        super().__init__("SpoutGL")
        self.enums = SimpleNamespace(GL_RGBA=0x1908)
        self.clock = WaitingClock()
        self.pictures: list[np.ndarray] = []
        self.released: list[str] = []
        self.senders: list[str] = []
        self.SpoutSender = partial(SpoutSender, self)
        self.SpoutReceiver = partial(SpoutReceiver, self)


# Syphon


class FakeTexture:
    """Of Metal's; it begins with its lowest line."""

    def __init__(self, width: int, height: int, kind: int = 70) -> None:
        self.image = np.zeros((height, width, 4), np.uint8)
        self.kind = kind

    def pixelFormat(self) -> int:
        return self.kind


class SyphonServerDirectory:
    def __init__(self, machine: "FakeSyphon") -> None:
        self.servers = list(machine.servers)


class SyphonMetalServer:
    device = "gpu"

    def __init__(self, machine: "FakeSyphon", name: str) -> None:
        self._machine = machine
        machine.servers.append(SimpleNamespace(name=name, app_name="python"))

    def publish_frame_texture(self, texture: FakeTexture, is_flipped: bool = False) -> None:
        one = FakeTexture(texture.image.shape[1], texture.image.shape[0])
        one.image[:] = texture.image[::-1] if is_flipped else texture.image
        self._machine.published.append(one)

    def stop(self) -> None:
        self._machine.stopped.append("server")


class SyphonMetalClient:
    def __init__(self, machine: "FakeSyphon", description: Any) -> None:
        self._machine, self.description = machine, description

    @property
    def is_valid(self) -> bool:
        return self._machine.is_valid

    @property
    def has_new_frame(self) -> bool:
        return bool(self._machine.published)

    @property
    def new_frame_image(self) -> FakeTexture:
        return self._machine.published.pop(0)

    def stop(self) -> None:
        self._machine.stopped.append("client")


def to_texture(image: np.ndarray, texture: FakeTexture) -> None:
    assert image.shape[2] == 4
    texture.image[:] = image


class FakeSyphon(ModuleType):
    """The module syphon with its parts, and the machine that it sees."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__("fakesyphon")
        self.clock = WaitingClock()
        self.servers: list[Any] = []
        self.published: list[FakeTexture] = []
        self.stopped: list[str] = []
        self.is_valid = True
        self.SyphonServerDirectory = partial(SyphonServerDirectory, self)
        self.SyphonMetalServer = partial(SyphonMetalServer, self)
        self.SyphonMetalClient = partial(SyphonMetalClient, self)
        as_numpy: Any = ModuleType("numpy")
        as_numpy.copy_image_to_mtl_texture = to_texture
        as_numpy.copy_mtl_texture_to_image = lambda texture: texture.image
        raw: Any = ModuleType("raw")
        raw.create_mtl_texture = lambda device, width, height: FakeTexture(width, height)
        utils = ModuleType("utils")
        modules = {"": self, ".utils": utils, ".utils.numpy": as_numpy, ".utils.raw": raw}
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, f"fakesyphon{name}", module)
