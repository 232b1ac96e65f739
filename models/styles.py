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
        "light washes on white paper, darker rims, a pencil line",
        ("watercolour", "watercolor painting", "aquarelle", "wet on wet", "gouache", "colour wash",
         "soft washes on paper"),
    ),
    BundledStyle(
        "ink drawing",
        "pen lines, hatching and solid blacks on white",
        ("ink", "pen and ink", "black ink", "india ink", "pen drawing", "line art", "lineart",
         "engraving", "etching", "cross hatching", "black and white drawing"),
    ),
    BundledStyle(
        "charcoal",
        "dark smudged hatching on grey paper, white chalk",
        ("charcoal drawing", "charcoal sketch", "carbon drawing", "smudged charcoal", "conte",
         "graphite shading", "dark sketch"),
    ),
    BundledStyle(
        "pencil sketch",
        "hatching and fine grey lines on white paper",
        ("pencil", "pencil drawing", "graphite", "hand drawn sketch", "sketch", "line sketch",
         "drawing", "silverpoint"),
    ),
    BundledStyle(
        "ukiyo-e",
        "woodblock print: flat pigments, wood grain, dark lines",
        ("ukiyo e", "japanese woodblock print", "woodblock print", "hokusai",
         "great wave", "hiroshige", "edo print", "japanese print"),
    ),
    BundledStyle(
        "pop art",
        "loud flat inks, printed dots, heavy outlines",
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
        "faded warm stock with grain, dust and light leaks",
        ("old film", "sepia", "vintage photo", "faded photograph", "super 8", "analog film",
         "retro", "old photograph", "1970s film", "kodachrome"),
    ),
    BundledStyle(
        "film noir",
        "hard light, deep shadow, streaks of rain",
        ("noir", "black and white film", "black and white photograph", "monochrome", "grayscale",
         "high contrast black and white", "expressionist cinema"),
    ),
    BundledStyle(
        "comic book",
        "inked outlines over printed dots of colour",
        ("comic", "comics", "graphic novel", "comic strip", "superhero comic", "inked comic",
         "bande dessinee", "marvel comic"),
    ),
    BundledStyle(
        "cyberpunk",
        "teal and magenta light, glowing rims, scan lines",
        ("synthwave", "vaporwave", "blade runner", "futuristic city night", "teal and magenta",
         "outrun", "retrowave", "sci-fi"),
    ),
    BundledStyle(
        "van gogh",
        "blue and yellow paint in long thick strokes",
        ("starry night", "vincent van gogh", "post impressionism", "post-impressionist",
         "swirling brush strokes", "swirls"),
    ),
    BundledStyle(
        "impressionism",
        "short dabs of broken violet and gold",
        ("impressionist", "impressionist painting", "monet", "claude monet", "renoir", "plein air",
         "broken color", "soft light painting"),
    ),
    BundledStyle(
        "fauvism",
        "wild hues in broad strokes",
        ("fauvist", "expressionism", "expressionist painting", "matisse", "wild colors",
         "modern art", "abstract painting", "picasso", "cubism", "klimt", "cezanne", "gauguin",
         "bold red painting"),
    ),
    BundledStyle(
        "pastel drawing",
        "strokes of chalk on toned paper",
        ("pastel", "soft pastel", "chalk drawing", "chalk", "crayon", "pastel colors", "degas",
         "pale colors", "dreamy pastel"),
    ),
    BundledStyle(
        "linocut",
        "black and white print of gouged lines",
        ("lino print", "linoleum print", "woodcut", "relief print", "block print", "scratchboard",
         "black and white print"),
    ),
    BundledStyle(
        "pointillism",
        "round dots of pure colour",
        ("pointillist", "seurat", "georges seurat", "signac", "divisionism", "dots of color",
         "painted dots", "stippling"),
    ),
    BundledStyle(
        "mosaic",
        "small bevelled stones in pale grout",
        ("byzantine mosaic", "roman mosaic", "tiles", "mosaic tiles", "tesserae", "stone mosaic",
         "ceramic tiles"),
    ),
    BundledStyle(
        "low poly",
        "flat facets of one colour each",
        ("lowpoly", "polygons", "polygonal", "geometric facets", "triangles", "crystal facets",
         "low polygon art", "3d polygons"),
    ),
    BundledStyle(
        "ink wash",
        "grey washes and brush lines on warm paper",
        ("ink wash painting", "sumi-e", "sumi", "chinese ink painting", "brush and ink",
         "calligraphy", "diluted ink", "shan shui"),
    ),
    BundledStyle(
        "blueprint",
        "white construction lines on blue",
        ("technical drawing", "cyanotype", "architect drawing", "construction drawing", "schematic",
         "white lines on blue", "draft"),
    ),
    BundledStyle(
        "pixel art",
        "squares of few colours, dithered",
        ("pixelart", "8 bit", "8-bit", "16-bit", "retro game", "video game sprite", "pixels",
         "pixelated"),
    ),
    BundledStyle(
        "cross-stitch",
        "crosses of thread on linen",
        ("cross stitch", "embroidery", "stitched", "needlework", "needlepoint", "knitted",
         "tapestry", "woven"),
    ),
)  # fmt: skip
