"""Paint one picture in several looks, by the engine alone: picture.py IN OUT MODEL PROMPT...

OUT is a folder; each look goes to OUT/PROMPT.png. No session, no thread: the frame is encoded once
and denoised once for every prompt.
"""

import sys
from dataclasses import replace
from pathlib import Path

from models import load_engine
from stream import open_sink, open_source
from stream.geometry import model_size, resize

if len(sys.argv) < 4:
    sys.exit(__doc__)
picture, folder, model, *prompts = sys.argv[1:]
Path(folder).mkdir(exist_ok=True)
engine = load_engine(model)

with open_source(picture) as source:
    (frame,) = source
size = model_size(frame.size, engine.native_size, engine.size_multiple)
image = engine.to_image(resize(frame.data, size))
latents = engine.encode(image)

for prompt in prompts:
    style = replace(engine.default_style, prompt=prompt)
    noise, conditioning = engine.noise(style, size), engine.encode_prompt(style)
    features = engine.features(image, noise, conditioning)
    x0 = engine.denoise(latents, noise, conditioning, engine.schedule(style), features=features)
    painted = engine.to_data(engine.decode(x0))
    out = Path(folder, f"{prompt}.png")
    with open_sink(out, info=source.info, overwrite=True) as sink:
        sink.write(frame.replace(resize(painted, frame.size)))
    print(out)
