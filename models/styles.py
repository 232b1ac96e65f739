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
        "black lines and fields on white",
        ("ink", "pen and ink", "black ink", "india ink", "sumi-e", "brush and ink", "line art",
         "lineart", "calligraphy", "linocut", "black and white drawing"),
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
        ("stained glass window", "cathedral window", "leaded glass", "glass painting", "mosaic",
         "tiffany glass", "byzantine mosaic"),
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
)  # fmt: skip
