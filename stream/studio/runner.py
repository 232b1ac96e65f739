"""StudioRunner: from the options of `allaprima studio` to a running server. Prints nothing and
installs nothing; `stream.command.studio` does both around it.

thread       does                                       ends
-----------  -----------------------------------------  --------------------------------------
web          asyncio: requests, sockets, seats, files   last: it says good-bye to every page
engine       loads the model, paints for all seats      after its turn
the caller's waits                                      at a stop, or when something failed
"""

import asyncio
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from models import STYLES
from stream import geometry
from stream.clock import Clock, ReentrantEvent, wait_for
from stream.errors import ControlError
from stream.frame import Frame, Size
from stream.live.host import LiveHost
from stream.studio.capacity import TRIALS, camera_size, seats_for
from stream.studio.certificates import make_certificate
from stream.studio.downloads import Folder
from stream.studio.options import StudioOptions
from stream.studio.security import Guard, Hosts, Keys, Role
from stream.stylizer.options import option_errors
from stream.stylizer.stylizer import DEFAULT_STABILITY, Stylizer
from stream.workers import Failures, Worker, run_workers

if TYPE_CHECKING:
    import uvicorn

    from models import Engine, OnDownload
    from stream.studio.studio import Studio

JOIN_S = 10.0
TRIAL_TIME_BASE = Fraction(1, 24)
CLOSE_S = 1
"""How long open requests may take to end."""

INSTALL = (
    "The studio needs packages that are not installed; install them with pip install "
    "'allaprima[studio]'."
)


class StudioRunner:
    """Runs one studio. Not thread-safe, but for `stop`.

    Args:
        options: What was asked, checked.
        on_load, on_ready: Called, in another thread, when the model is about to be loaded, and when
            it paints.
        on_open: Told the addresses by role, once the server listens.
        on_download: Told of what has to be fetched for the model.
        load: Loads the engine; tests give another.
    """

    def __init__(
        self,
        options: StudioOptions,
        *,
        on_load: Callable[[], None] = lambda: None,
        on_ready: Callable[[], None] = lambda: None,
        on_open: Callable[[dict[Role, str]], None] = lambda addresses: None,
        on_download: "OnDownload | None" = None,
        load: "Callable[[], Engine] | None" = None,
        clock: Clock | None = None,
    ) -> None:
        self._options = options
        self._on_load = on_load
        self._on_ready = on_ready
        self._on_open = on_open
        self._load = load or (lambda: options.load_engine(on_download))
        self._clock = clock or Clock()
        self._over = ReentrantEvent()
        self._server: uvicorn.Server | None = None
        self._studio: Studio | None = None
        self._engine_thread: LiveHost | None = None
        self.folder = Folder(Path(options.folder), self._clock)
        self.stopped = False

    def run(self) -> None:
        """Serve until `stop`, or until something fails.

        Raises:
            ControlError: The port is taken, or a package is missing.
            ModelError, OptionError: The model cannot be loaded or run.
        """
        options = self._options
        try:
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as err:
            raise ControlError(INSTALL) from err
        listener = _listen(options.host, options.port)
        port = int(listener.getsockname()[1])
        keys = Keys(options.key or secrets.token_urlsafe(32), self._clock)
        engine_thread = LiveHost(self._load_engine, clock=self._clock, on_ready=self._on_ready)
        self._engine_thread = engine_thread
        failures = Failures()
        with TemporaryDirectory(prefix="allaprima-studio-") as private, listener:
            server = self._make_server(keys, port, Path(private))
            web = Worker(
                "web", [lambda: asyncio.run(self._serve(server, listener))], failures, JOIN_S
            )
            engine = Worker(
                "engine", [engine_thread.run, self._over.set], failures, JOIN_S, must_end=False
            )

            def body() -> None:
                self._on_open(_addresses(options, port, keys))
                wait_for(self._over)

            def shut_down() -> None:
                self.stop()
                engine_thread.stop()
                for worker in (web, engine):
                    worker.join()

            run_workers([engine, web], body, shut_down, failures)
        self.folder.close()
        failures.raise_first()

    def stop(self) -> bool:
        """End; False where it ends already. May be called from a signal handler."""
        first, self.stopped = not self._over.is_set(), True
        self._over.set()
        if self._server is not None:
            self._server.should_exit = True
        return first

    # The web thread

    def _make_server(self, keys: Keys, port: int, private: Path) -> "uvicorn.Server":
        import uvicorn

        from stream.studio.jobs import JobQueue
        from stream.studio.studio import Studio
        from stream.studio.web import Web

        options = self._options
        assert self._engine_thread is not None
        studio = Studio(
            self._engine_thread,
            keys,
            self.folder,
            JobQueue(_machine(options), clock=self._clock),
            clock=self._clock,
            styles=tuple((one.prompt, one.description) for one in STYLES),
            stability=DEFAULT_STABILITY if options.stability is None else options.stability,
            short_side_px=options.size,
        )
        self._studio = studio
        studio.jobs.go_on(self.folder.find_rooms())
        if options.seats is not None:
            studio.seats.most = options.seats
        web = Web(studio, brings_key=options.is_local and not options.require_key)
        hosts = Hosts(port, self._names(), is_open=not options.is_local)
        certificate, key = options.tls_cert, options.tls_key
        if options.tls:
            certificate, key = map(str, make_certificate(private, self._names()))
        config = uvicorn.Config(
            Guard(web.application(), hosts),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=4 * 1024**2,
            ws_per_message_deflate=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_S,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._server = uvicorn.Server(config)
        return self._server

    def _names(self) -> list[str]:
        options = self._options
        there = [] if options.host in ("", "0.0.0.0", "::") else [options.host]
        return [*there, *options.host_names]

    async def _serve(self, server: "uvicorn.Server", listener: socket.socket) -> None:
        from stream.studio.studio import TICK_S

        studio = self._studio
        assert studio is not None

        async def tick() -> None:
            while not self._over.is_set():
                studio.tick()
                await asyncio.sleep(TICK_S)

        async def say_good_bye() -> None:
            while not self._over.is_set():
                await asyncio.sleep(0.1)
            studio.close()
            server.should_exit = True

        ticking, closing = asyncio.ensure_future(tick()), asyncio.ensure_future(say_good_bye())
        try:
            await server.serve(sockets=[listener])
        finally:
            self._over.set()
            await closing
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking

    # The engine's thread

    def _load_engine(self) -> "Engine":
        self._on_load()
        with option_errors():
            engine = self._load()
        options, studio = self._options, self._studio
        assert studio is not None
        short_px = options.size or engine.native_size
        size = camera_size(short_px)
        engine.warm_up(geometry.model_size(size, short_px, engine.size_multiple))
        rate = self._rate(engine, size)  # also makes ready what a camera's pictures need
        seats = options.seats or seats_for(rate)
        studio.know_engine(engine.default_style, short_px, seats)
        return engine

    def _rate(self, engine: "Engine", size: Size) -> float:
        """Pictures a second, by a few of noise."""
        stylizer = Stylizer(engine, short_side_px=self._options.size, stability=0.0)
        random = np.random.default_rng(0)
        times_s = []
        for index in range(TRIALS):
            data = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
            start_s = self._clock.now_s()
            stylizer.process(Frame(data, index, TRIAL_TIME_BASE))
            times_s.append(self._clock.now_s() - start_s)
        return 1 / max(1e-3, min(times_s))


def _listen(host: str, port: int) -> socket.socket:
    """
    Raises:
        ControlError: Somebody else listens there, or it is no address of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as err:
        raise ControlError(
            f"The studio cannot listen at {host}:{port} ({err.strerror}); choose another with "
            "--port or --host."
        ) from err


def _addresses(options: StudioOptions, port: int, keys: Keys) -> dict[Role, str]:
    """What to type into a browser, for each role."""
    everywhere = options.host in ("", "0.0.0.0", "::")
    name = next(iter(options.host_names), "THIS-MACHINE" if everywhere else options.host)
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    root = f"{options.scheme}://{name}:{port}/"
    if options.is_local and not options.require_key:
        return {Role.OWNER: root, Role.WATCHER: f"{root}obs"}
    pages = {Role.OWNER: "", Role.GUEST: "", Role.WATCHER: "obs"}
    return {role: f"{root}{page}#key={keys.of(role)}" for role, page in pages.items()}


def _machine(options: StudioOptions) -> dict[str, Any]:
    """The options of model and machine, as `RestyleOptions` has them."""
    words = ("model", "vae", "offline", "device", "compile", "size")
    return {word: getattr(options, word) for word in words} | {"loras": list(options.loras)}
