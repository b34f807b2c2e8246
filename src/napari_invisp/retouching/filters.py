"""The eight white-box filters of *Exposure* on linear light (Hu et al., ACM TOG 2018, section 4).

What they work on. The paper on invertible ISPs retouches "linear balanced data" (section 6.2), and
*Exposure* the linear RGB of a raw developer. Here that is linear sRGB light as
:func:`~napari_invisp.linear.linear_srgb` gives it: balanced RGB times the gain that takes the first
saturated channel to white, through the camera's matrix. An exposure is the same factor in
either space. A gain of the white balance is not: it acts on sRGB's primaries here, as a
correction of the camera's own balance, which has been done before.

In *Exposure* the filtered values are shown as they are, so its agent has to learn a gamma first,
and what comes later acts on display values: 0.5 is a middle grey for contrast and saturation, and
a segment of a curve is an eighth of the brightness that one sees. Here LibRaw's gamma makes the
display values. Exposure and white balance act on light; all other filters encode the light, act
on display values and decode them again, which two of them in a row save themselves.

Values beyond white. Nothing is clipped here, but where the picture is encoded for a file or a
screen. Exposure is a plain factor, so that what lies beyond white comes back at −2 EV. Where the
paper clips, at the ends of curves, these go on with the slope of the last segment: every
curve takes 1 to 1 and rises, so what is beyond white stays there and is not lost for an
exposure that comes later in the order. Contrast and saturation leave light beyond white as it is.
Negative values, colours outside sRGB, go through likewise.

All are functions of one pixel: a crop of the result is the result of the crop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_invisp.flow.tone import decode_gamma, encode_gamma
from napari_invisp.retouching.parameters import values_of
from napari_invisp.retouching.settings import SEGMENTS, RetouchSettings
from napari_invisp.tiling import single_threaded

#: Shares of R, G and B in what *Exposure* calls luminance.
LUMINANCE = (0.27, 0.67, 0.06)

# Display value below which a power is a straight line: its slope at 0 would have no bounds.
_TOE = 1e-3
# Below this, a pixel is black.
_BLACK = 1e-4
# Of the saturated picture: how much saturation a colour gains at most.
_ENHANCED = 0.8
# Pixels that are worked on at a time, so that they stay in the processor's cache.
_BAND = 65536


@dataclass(frozen=True)
class Filter:
    """One filter.

    Attributes
    ----------
    name
        As in :data:`~napari_invisp.retouching.settings.FILTERS`.
    act
        Takes ``(N, 3, H, W)`` pixels and ``(N, P)`` parameters, and returns new pixels.
        Differentiable in both.
    on_light
        Whether the pixels are linear light, rather than display values.
    """

    name: str
    act: Callable[[Tensor, Tensor], Tensor]
    on_light: bool = False


def luminance(pixels: Tensor) -> Tensor:
    """Weigh the channels by :data:`LUMINANCE`: ``(N, 3, H, W)`` → ``(N, 1, H, W)``."""
    red, green, blue = pixels[:, 0:1], pixels[:, 1:2], pixels[:, 2:3]
    return red * LUMINANCE[0] + green * LUMINANCE[1] + blue * LUMINANCE[2]


def _exposure(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Return p · 2^E."""
    return pixels * torch.exp2(_planes(parameters))


def _white_balance(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Return (r·W_r, g·W_g, b·W_b), W the exponentials divided by their luminance."""
    gains = _planes(parameters.exp())
    return pixels * (gains / luminance(gains))


def _gamma(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Return p^γ, straight below a toe, odd-symmetric."""
    power = _planes(parameters)
    magnitude = pixels.abs()
    bent = magnitude.clamp(min=_TOE).pow(power).copysign(pixels)
    return torch.where(magnitude < _TOE, pixels * _TOE ** (power - 1), bent)


def _curve(pixels: Tensor, slopes: Tensor) -> Tensor:
    """Return Σ t_k · clip(L·p − k, 0, 1) / Σ t_k, which goes on beyond 0 and 1.

    Parameters
    ----------
    pixels
        ``(N, 3, H, W)``.
    slopes
        ``(N, 1 or 3, L)``: t.
    """
    scaled = slopes * (SEGMENTS / slopes.sum(-1, keepdim=True))
    steps = scaled.diff(dim=-1)
    knots = torch.arange(1, SEGMENTS, dtype=pixels.dtype, device=pixels.device) / SEGMENTS
    # The sum of the first slope and of its changes: max(p, k) − k is 0 up to a knot k.
    bent = pixels * scaled[..., 0, None, None] - (steps * knots).sum(-1)[..., None, None]
    for number, knot in enumerate(knots.tolist()):
        bent = torch.addcmul(bent, steps[..., number, None, None], pixels.clamp(min=knot))
    return bent


def _tone_curve(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Apply one :func:`_curve` to all channels."""
    return _curve(pixels, parameters[:, None])


def _colour_curves(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Apply a :func:`_curve` to each channel."""
    return _curve(pixels, parameters.reshape(-1, 3, SEGMENTS))


def _contrast(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Return (1 − c)·p + c·p·EnLum/Lum, EnLum = (1 − cos(π·Lum))/2 up to white."""
    lum = luminance(pixels).clamp(_BLACK, 1)
    ratio = (lum * (math.pi / 2)).sin().square() / lum
    return pixels * ((ratio - 1) * _planes(parameters) + 1)


def _saturation(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Go towards s + (1 − s)·s(2 − s)·0.8·(0.5 − |0.5 − v|) in HSV; hue and v are kept.

    The paper's formula has no s(2 − s). Without it grey, too, gains saturation, and as it has no
    hue of its own, that of its noise.
    """
    largest, smallest = pixels.amax(1, keepdim=True), pixels.amin(1, keepdim=True)
    below = 1 - ((largest - smallest) / largest.clamp(min=_BLACK)).clamp(0, 1)  # 1 − s
    room = (0.5 - (0.5 - largest).abs()).clamp(min=0) * _ENHANCED
    more = below * (below + 1) * room * _planes(parameters)  # s'/s − 1
    return pixels - (largest - pixels) * more


def _black_and_white(pixels: Tensor, parameters: Tensor) -> Tensor:
    """Return (1 − w)·p + w·Lum."""
    return torch.lerp(pixels, luminance(pixels), _planes(parameters))


#: The filters by name.
BY_NAME = {
    each.name: each
    for each in (
        Filter("exposure", _exposure, on_light=True),
        Filter("white-balance", _white_balance, on_light=True),
        Filter("gamma", _gamma),
        Filter("tone-curve", _tone_curve),
        Filter("contrast", _contrast),
        Filter("saturation", _saturation),
        Filter("colour-curves", _colour_curves),
        Filter("black-and-white", _black_and_white),
    )
}


def filtered(light: Tensor, steps: Sequence[tuple[str, Tensor]]) -> Tensor:
    """Let filters act one after the other; differentiable.

    Parameters
    ----------
    light
        ``(N, 3, H, W)`` linear sRGB, 1 at white.
    steps
        Name and ``(N or 1, P)`` parameters of each filter.

    Returns
    -------
    torch.Tensor
        ``(N, 3, H, W)`` linear sRGB.
    """
    on_light = True
    for name, parameters in steps:
        each = BY_NAME[name]
        if each.on_light != on_light:
            light = decode_gamma(light) if each.on_light else encode_gamma(light)
            on_light = each.on_light
        light = each.act(light, parameters)
    return light if on_light else decode_gamma(light)


def retouched(linear: NDArray[np.float32], settings: RetouchSettings) -> NDArray[np.float32]:
    """Retouch a picture, or any part of one.

    Parameters
    ----------
    linear
        ``(H, W, 3)`` linear sRGB, 1 at white, values beyond it kept.
    settings
        Neutral ones change nothing at all.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32 linear sRGB, not clipped.
    """
    steps = [
        (name, torch.tensor([values_of(settings, name)], dtype=torch.float32))
        for name in settings.active
    ]
    if not steps:
        return linear.copy()
    result = np.empty(linear.shape, np.float32)
    height, width = linear.shape[:2]
    rows = max(1, _BAND // max(1, width))

    @torch.inference_mode()
    def work(top: int) -> None:
        band = np.array(linear[top : top + rows].transpose(2, 0, 1), np.float32, order="C")
        pixels = filtered(torch.from_numpy(band)[None], steps)
        torch.from_numpy(result[top : top + rows]).copy_(pixels[0].permute(1, 2, 0))

    # Whole bands at once use the cores better than each operation spread over them.
    workers = torch.get_num_threads()
    with (
        single_threaded(),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        for _ in pool.map(work, range(0, height, rows)):
            pass
    return result


def _planes(parameters: Tensor) -> Tensor:
    """``(N, P)`` → ``(N, P, 1, 1)``."""
    return parameters[..., None, None]
