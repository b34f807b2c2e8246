"""The dense blocks that the couplings are made of."""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROWTH = 32
_SLOPE = 0.2
_LAYERS = 5

# Scale of fresh weights. 1 would keep the variance; couplings start to learn more calmly below it.
_START = 0.1

# Pixels of a band: its features (130 channels of float32, 17 MB) then stay in a CPU's cache.
_BAND_PIXELS = 32_768
# A lower band would spend more on the rows around it than it saves.
_BAND_MINIMUM = 16


class DenseBlock(nn.Module):
    """Five 3×3 convolutions, each of which sees the input and the features of all before it.

    Growth is 32 channels, the activation LeakyReLU with slope 0.2 after all but the last. The last
    convolution starts at zero, so that a fresh coupling changes nothing.

    Parameters
    ----------
    inputs, outputs
        Channels of what comes in and what goes out.
    generator
        Source of the random weights; the global one by default.

    Attributes
    ----------
    reach
        Receptive half-width in pixels.
    """

    reach = _LAYERS

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self._widths = (inputs, *[_GROWTH] * (_LAYERS - 1))
        for layer in range(1, _LAYERS + 1):
            seen = sum(self._widths[:layer])
            made = _GROWTH if layer < _LAYERS else outputs
            self.add_module(f"conv{layer}", nn.Conv2d(seen, made, kernel_size=3, padding=1))
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or name.startswith(f"conv{_LAYERS}"):
                nn.init.zeros_(parameter)
            else:
                fan_in = parameter[0].numel()
                nn.init.normal_(parameter, std=_START / fan_in**0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, outputs, H, W)`` for ``x`` of shape ``(N, inputs, H, W)``."""
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return self._gather(x)
        return self._scatter(x)

    def _gather(self, x: Tensor) -> Tensor:
        """Evaluate as the block is defined: concatenate, convolve, activate."""
        *hidden, last = self.children()
        if torch.is_autocast_enabled(x.device.type):
            # One float32 input would make all that is concatenated with it float32.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x = x.clone(memory_format=torch.channels_last)  # or else torch.cat falls back to NCHW
        for convolution in hidden:
            x = torch.cat((x, functional.leaky_relu(convolution(x), _SLOPE, inplace=True)), dim=1)
        result: Tensor = last(x)
        return result

    def _scatter(self, x: Tensor) -> Tensor:
        """Take the same sums in another order: faster on a CPU, in a fraction of the memory.

        Each group of features is convolved at once towards all later layers, which makes few wide
        convolutions of many narrow ones and leaves nothing to concatenate. The image is worked
        through in bands of rows that fit the cache; each layer eats one row at either side.
        """
        layers = [f"conv{layer}" for layer in range(1, _LAYERS + 1)]
        kernels: list[Tensor] = [self.get_parameter(f"{layer}.weight") for layer in layers]
        biases: list[Tensor] = [self.get_parameter(f"{layer}.bias") for layer in layers]
        bias = torch.cat(biases)
        ends = accumulate(self._widths, initial=0)
        weights = [
            torch.cat([later[:, start:end] for later in kernels[layer:]])
            for layer, (start, end) in enumerate(pairwise(ends))
        ]
        n, _, height, width = x.shape
        rows = max(_BAND_MINIMUM, _BAND_PIXELS // (n * width))
        padded = functional.pad(x, (0, 0, _LAYERS, _LAYERS))
        bands = []
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            features = padded[:, :, top : bottom + 2 * _LAYERS]
            total = functional.conv2d(features, weights[0], bias, padding=(0, 1))
            for margin, weight in zip(range(_LAYERS - 1, 0, -1), weights[1:], strict=True):
                features = functional.leaky_relu(total[:, :_GROWTH], _SLOPE)
                # Beyond the image every layer sees zeros, not features computed from zeros.
                features[:, :, : max(0, margin - top)] = 0
                features[:, :, height + margin - top :] = 0
                rest = total[:, _GROWTH:, 1:-1]
                total = functional.conv2d(features, weight, padding=(0, 1)).add_(rest)
            bands.append(total)
        return torch.cat(bands, dim=2)
