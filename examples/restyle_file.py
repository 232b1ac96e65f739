"""Restyle a video, its timing and sound kept: restyle_file.py IN OUT PROMPT [MODEL]"""

import sys

from models import Style, load_engine
from stream import Session, Stylizer, open_sink, open_source

if len(sys.argv) < 4:
    sys.exit(__doc__)
clip, painted, prompt, *model = sys.argv[1:]
source = open_source(clip)
engine, style = load_engine(*model or ["bundled"]), Style(prompt=prompt)
stylizer = Stylizer(engine, style, look_ahead=True, overlap=True)  # as a file job has it
stats = Session(source, stylizer, open_sink(painted, info=source.info)).run()
print(f"{painted}: {stats.frames_out} frames at {stats.fps:.1f} a second", *stats.notes, sep="\n")
