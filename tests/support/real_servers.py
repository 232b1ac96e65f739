"""Servers of others for the tests: nginx with its RTMP module, GStreamer's RTSP server; optional.

`make test-devices` unpacks nginx and names its folder in NGINX; an installed one will do as well.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ports import free_port, wait_for_port

ROOT = Path(os.environ.get("NGINX", "/"))
NGINX = ROOT / "usr/sbin/nginx"
RTMP_MODULE = ROOT / "usr/lib/nginx/modules/ngx_rtmp_module.so"
SYSTEM_PYTHON = "/usr/bin/python3"
RTSP_SERVER = Path(__file__).parents[1] / "devices" / "rtsp_server.py"
END_S = 600

CONFIG = """
load_module {module};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}
"""


def has_nginx() -> bool:
    return sys.platform == "linux" and NGINX.is_file() and RTMP_MODULE.is_file()


def has_rtsp_server() -> bool:
    if sys.platform != "linux" or shutil.which(SYSTEM_PYTHON) is None:
        return False
    asked = "import gi; gi.require_version('GstRtspServer', '1.0')"
    return subprocess.run([SYSTEM_PYTHON, "-c", asked], capture_output=True).returncode == 0


class Server:
    """One server process that can be stopped and started at the same port."""

    def __init__(self, scheme: str, folder: Path) -> None:
        self.port = free_port()
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(END_S)
            self._process = None

    def freeze(self, frozen: bool) -> None:
        """Let it hold all its connections and say nothing more, or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)


class RtmpServer(Server):
    """nginx-rtmp: what is published is played to whoever asks."""

    def __init__(self, folder: Path) -> None:
        super().__init__("rtmp", folder)

    def command(self) -> list[str]:
        config = self.folder / "nginx.conf"
        module = RTMP_MODULE
        config.write_text(CONFIG.format(module=module, folder=self.folder, port=self.port))
        plain = "daemon off; master_process off;"
        log = str(self.folder / "error.log")
        return [str(NGINX), "-p", str(self.folder), "-c", str(config), "-g", plain, "-e", log]


class RtspServer(Server):
    """GStreamer's: /live plays, /record takes."""

    def __init__(self, folder: Path) -> None:
        super().__init__("rtsp", folder)

    def command(self) -> list[str]:
        return [SYSTEM_PYTHON, str(RTSP_SERVER), str(self.port), str(self.folder)]
