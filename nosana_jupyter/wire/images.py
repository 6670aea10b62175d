"""
Forms of Pillow's images.

Modes that PNG holds come as PNG, the others as raw pixels. Only the PNG reader is let near them.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import RemoteProtocolError
from .values import Decode, Decoder, Encoder, NotPlain, Tree, expect

if TYPE_CHECKING:
    from PIL.Image import Image

PIXELS = 1 << 26
"""Most pixels of an image."""

_PNG = ("1", "L", "LA", "P", "RGB", "RGBA")
_RAW = {"I": 4, "F": 4, "CMYK": 4, "YCbCr": 3, "HSV": 3, "LAB": 3, "I;16": 2}
"""Other modes and the bytes of a pixel."""


def load() -> Any:
    """
    Return `PIL.Image`.

    Raises:
        NotPlain: Pillow is not installed here.
    """
    try:
        from PIL import Image
    except ImportError:
        raise NotPlain("needs Pillow here: `pip install pillow`") from None
    return Image


def encode_image(encoder: Encoder, image: Image) -> Tree:
    """Return the tree of an image: its pixels, without what its file said beside them."""
    width, height = image.size
    if not 0 < width * height <= PIXELS:
        raise NotPlain(f"is an image of {width} x {height} pixels")
    if image.mode in _RAW:
        return ["pixels", image.mode, width, height, encoder.data(image.tobytes())]
    if image.mode not in _PNG:
        raise NotPlain(f"is an image of mode {image.mode}")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return ["png", image.mode, width, height, encoder.data(file.getbuffer())]


def _size(width: Tree, height: Tree) -> tuple[int, int]:
    size = expect(width, int), expect(height, int)
    if min(size) < 1 or size[0] * size[1] > PIXELS:
        raise RemoteProtocolError("an image is too large")
    return size


def _read_png(decoder: Decoder, mode: Tree, width: Tree, height: Tree, data: Tree) -> Image:
    size = _size(width, height)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image: Image = load().open(io.BytesIO(decoder.data(data)), formats=["PNG"])
        # The header is read by now, and no pixel.
        if image.size != size or mode not in _PNG:
            raise RemoteProtocolError("an image is not of the size it says")
        image.load()
    plain: Image = image.convert(mode) if image.mode != mode else image.copy()
    return plain


def _read_pixels(decoder: Decoder, mode: Tree, width: Tree, height: Tree, data: Tree) -> Image:
    size = _size(width, height)
    pixels = decoder.data(data)
    if type(mode) is not str or len(pixels) != _RAW.get(mode, 0) * size[0] * size[1]:
        raise RemoteProtocolError("an image's pixels do not fill it")
    image: Image = load().frombytes(mode, size, bytes(pixels))
    return image


READERS: dict[str, Decode] = {"png": _read_png, "pixels": _read_pixels}
