"""The looks that the bundled model was taught, by name. Plain data; imports nothing heavy.

`prompt` is the canonical phrase; `synonyms` are further phrases that mean the same look. The text
encoder was trained on all of them inside many sentences, so word order and unknown words do no
harm; two looks in one prompt are mixed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BundledStyle:
    """One look: its canonical prompt, one line for a reader, and what else people call it."""

    prompt: str
    description: str
    synonyms: tuple[str, ...]


STYLES: tuple[BundledStyle, ...] = (
    BundledStyle(
        "oil painting",
        "thick strokes that follow the form, warm saturated colour",
        ("oil on canvas", "oil paint", "impasto", "alla prima", "baroque painting", "rembrandt",
         "thick brush strokes", "palette knife painting", "renaissance painting", "painted"),
    ),
    BundledStyle(
        "watercolor",
        "light washes on white paper, darker rims",
        ("watercolour", "watercolor painting", "aquarelle", "wet on wet", "gouache", "colour wash",
         "soft washes on paper"),
    ),
    BundledStyle(
        "ink drawing",
        "pen lines, hatching and solid blacks on white",
        ("ink", "pen and ink", "black ink", "india ink", "line art", "lineart",
         "black and white drawing", "pen drawing", "cross hatching", "engraving", "etching"),
    ),
    BundledStyle(
        "charcoal",
        "dark smudged tones on grey paper",
        ("charcoal drawing", "charcoal sketch", "carbon drawing", "smudged charcoal", "conte",
         "graphite shading", "dark sketch"),
    ),
    BundledStyle(
        "pencil sketch",
        "fine grey lines on white paper",
        ("pencil", "pencil drawing", "graphite", "hand drawn sketch", "sketch", "line sketch",
         "drawing", "silverpoint"),
    ),
    BundledStyle(
        "ukiyo-e",
        "woodblock print in indigo and cream",
        ("ukiyo e", "japanese woodblock print", "woodblock print", "woodcut", "hokusai",
         "great wave", "hiroshige", "edo print", "japanese print"),
    ),
    BundledStyle(
        "pop art",
        "few loud flat colours",
        ("andy warhol", "warhol", "screen print", "silkscreen", "serigraph", "graffiti", "poster",
         "bright flat colors", "posterized"),
    ),
    BundledStyle(
        "stained glass",
        "glowing panes between dark lead",
        ("stained glass window", "cathedral window", "leaded glass", "glass painting",
         "tiffany glass", "church window"),
    ),
    BundledStyle(
        "anime",
        "cel shading: flat light and shadow, clean outlines",
        ("cel shading", "cel shaded", "cartoon", "animation", "manga color", "toon",
         "studio anime", "japanese animation", "cartoon style"),
    ),
    BundledStyle(
        "neon",
        "glowing lines in the dark",
        ("neon lights", "neon lines", "glowing lines", "neon glow", "glowing edges", "tron",
         "blacklight", "laser lines", "synthwave lines"),
    ),
    BundledStyle(
        "vintage film",
        "faded warm stock with lifted blacks",
        ("old film", "sepia", "vintage photo", "faded photograph", "super 8", "analog film",
         "retro", "old photograph", "1970s film", "kodachrome"),
    ),
    BundledStyle(
        "film noir",
        "black and white with deep shadow and soft light",
        ("noir", "black and white film", "black and white photograph", "monochrome", "grayscale",
         "high contrast black and white", "expressionist cinema"),
    ),
    BundledStyle(
        "comic book",
        "inked outlines over printed colour",
        ("comic", "comics", "graphic novel", "comic strip", "superhero comic", "inked comic",
         "bande dessinee", "marvel comic"),
    ),
    BundledStyle(
        "cyberpunk",
        "teal shadows, magenta light, glow",
        ("synthwave", "vaporwave", "blade runner", "futuristic city night", "teal and magenta",
         "outrun", "retrowave", "sci-fi"),
    ),
    BundledStyle(
        "van gogh",
        "blue and yellow swirls of short strokes",
        ("starry night", "vincent van gogh", "post impressionism", "post-impressionist",
         "swirling brush strokes", "swirls"),
    ),
    BundledStyle(
        "impressionism",
        "soft broken violet and gold",
        ("impressionist", "impressionist painting", "monet", "claude monet", "renoir", "plein air",
         "broken color", "soft light painting"),
    ),
    BundledStyle(
        "fauvism",
        "fields of red, gold and pale blue",
        ("fauvist", "expressionism", "expressionist painting", "matisse", "wild colors",
         "modern art", "abstract painting", "picasso", "cubism", "klimt", "cezanne", "gauguin",
         "bold red painting"),
    ),
    BundledStyle(
        "pastel drawing",
        "chalky pale tones",
        ("pastel", "soft pastel", "chalk drawing", "chalk", "crayon", "pastel colors", "degas",
         "pale colors", "dreamy pastel"),
    ),
    BundledStyle(
        "linocut",
        "black and white print of gouged lines",
        ("lino print", "linoleum print", "block print", "wood engraving", "scratchboard",
         "black block print", "carved print", "relief print"),
    ),
    BundledStyle(
        "pointillism",
        "round dots of pure colour",
        ("pointillist", "seurat", "signac", "dots of paint", "divisionism", "stippling",
         "painted dots", "neo impressionism"),
    ),
    BundledStyle(
        "mosaic",
        "small bevelled stones in pale grout",
        ("tile mosaic", "roman mosaic", "byzantine mosaic", "tesserae", "mosaic tiles",
         "ceramic tiles", "stone mosaic"),
    ),
    BundledStyle(
        "low poly",
        "flat facets of one colour each",
        ("lowpoly", "polygon art", "polygons", "triangles", "low poly art", "faceted",
         "origami", "geometric facets"),
    ),
    BundledStyle(
        "ink wash",
        "grey washes and brush lines on warm paper",
        ("sumi-e", "ink wash painting", "chinese ink painting", "brush and ink", "calligraphy",
         "rice paper", "shui mo", "zen painting"),
    ),
    BundledStyle(
        "blueprint",
        "white construction lines on blue",
        ("cyanotype drawing", "technical drawing", "architect plan", "schematic", "blue print",
         "engineering drawing", "white lines on blue"),
    ),
    BundledStyle(
        "pixel art",
        "squares of few colours, dithered",
        ("8 bit", "8-bit", "16 bit", "pixelated", "pixels", "retro game", "video game sprite",
         "arcade game"),
    ),
    BundledStyle(
        "cross-stitch",
        "crosses of thread on linen",
        ("cross stitch", "embroidery", "needlework", "stitched", "tapestry", "knitted",
         "woven wool", "yarn"),
    ),
)  # fmt: skip
