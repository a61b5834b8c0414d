"""Embeds the fonts of an SVG's text, reduced to the letters that it uses."""

import base64
import html
import io
import re


def with_fonts(svg: str) -> str:
    """Adds the fonts that matplotlib laid the text out with, so that it looks the same on every machine.

    Args:
        svg: A figure that matplotlib saved with ``svg.fonttype: none``.

    Returns:
        The figure with a style sheet of embedded fonts.
    """
    from matplotlib.font_manager import FontProperties, findfont

    letters = set(html.unescape("".join(re.findall(r"<text [^>]*>(.*?)</text>", svg, re.S))))
    if not letters:
        return svg
    path = findfont(FontProperties(family="DejaVu Sans"))
    url = base64.b64encode(_reduced(path, "".join(sorted(letters)))).decode()
    face = f'@font-face {{ font-family: "DejaVu Sans"; src: url("data:font/ttf;base64,{url}") }}'
    return re.sub(r"(<svg [^>]*>)", lambda start: f'{start[1]}\n <style type="text/css">{face}</style>', svg, count=1)


def _reduced(path: str, letters: str) -> bytes:
    """Returns a font with these letters alone."""
    from fontTools import subset

    options = subset.Options(layout_features=["*"], notdef_outline=True, name_IDs=["*"], hinting=False)
    options.drop_tables += ["FFTM"]  # FontForge's time stamps
    font = subset.load_font(path, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=letters)
    subsetter.subset(font)
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()
