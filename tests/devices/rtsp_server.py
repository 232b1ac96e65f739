"""An RTSP server of GStreamer's, for the tests: `/usr/bin/python3 rtsp_server.py PORT FOLDER`.

/live plays a test pattern; what is sent to /record goes into FOLDER/received.mkv. Needs Debian's
gir1.2-gst-rtsp-server-1.0, python3-gi and the good and bad plug-ins.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PLAYED = (
    "( videotestsrc is-live=true pattern=ball "
    "! video/x-raw,format=I420,width=320,height=180,framerate=25/1 ! jpegenc "
    "! rtpjpegpay name=pay0 pt=26 )"
)
RECORDED = (
    "( rtph264depay name=depay0 ! h264parse ! matroskamux streamable=true "
    "! filesink location={folder}/received.mkv sync=false )"
)


def main() -> None:
    port, folder = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer(service=port, address="127.0.0.1")
    played = GstRtspServer.RTSPMediaFactory(launch=PLAYED, shared=True)
    recorded = GstRtspServer.RTSPMediaFactory(launch=RECORDED.format(folder=folder))
    recorded.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    mounts = server.get_mount_points()
    mounts.add_factory("/live", played)
    mounts.add_factory("/record", recorded)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
