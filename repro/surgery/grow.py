"""`grow`, which applies a growth of the catalogue to a model: every width a whole number of times as large, or more blocks.

Width: function-preserving initialisation (bert2BERT, arXiv 2110.07143). Each neuron becomes `factor` copies, and what reads
them has a share of its weights for each, which add up to the weight. Every neuron has as many copies, which RMSNorm needs to
be exact. Copies of equal shares get equal gradients and stay equal for ever. Unequal shares are drawn for every weight that
reads: with one share for a copy its gradients would be a multiple of the others', which AdamW divides out.

Depth: blocks that add nothing, since their o_proj and down_proj are zero, which keep what the model computes to the bit; or
the whole stack again (G_stack, arXiv 2405.15319), which doesn't keep it.

All of them copy, add and divide whole rows and columns of heads whose width stays, so they commute with the scale of queries
in which a run of the authors' initialisation differs from its export.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from repro.models.family import EMBEDDING, HEAD, NORM
from repro.models.names import LINEARS
from repro.spec import ModelSpec
from repro.surgery.amounts import counts, grown, growth
from repro.surgery.catalogue import growing
from repro.surgery.net import Keep, Made, Net
from repro.surgery.width import random_scores

NOISE = 0.2  # by how much shares differ from equal ones, root mean square over them
SILENT = ("o_proj", "down_proj")  # zero, and they learn; with all weights zero none would have a gradient
READ_INSIDE = ("o_proj", "down_proj")  # which read heads and channels; the others read the residual stream


def grow(net: Net, method: str, factor: int, *, seed: int = 0, keep: Keep = dict) -> Made:
    """Grows a model of the Llama family; the model itself stays as it is.

    Args:
        net: the model, as transformers stores it or as a run trains it.
        method: a key of catalogue.GROWTHS.
        factor: see amounts.grown; 1 changes nothing, a control.
        seed: of methods that draw.
        keep: where the new weights of one block after another are kept; see prune.

    Returns:
        The larger model. Its record has the method, the factor, the seed (null of methods that don't draw), `record.counts`
        (weights that are zero yet count), the settings and `record.growth`.

    Raises:
        UserError: an unknown method, or a factor that gives no possible model.
    """
    chosen, after = growing(method), grown(net.spec, method, factor)
    result = net
    if factor > 1 and chosen.grows == "depth":
        result = _deeper(net, after, silent=method == "grow-depth-zero", keep=keep)
    elif factor > 1:
        stream = factor if chosen.grows == "width" else 1
        result = _Widening(net, factor, stream, NOISE if chosen.seeded else 0.0, seed).result(after, keep)
    counted = counts(net.spec.shape, after.shape)
    record = {
        "method": method,
        "factor": factor,
        "seed": seed if chosen.seeded else None,
        **counted,
        "settings": {"noise": NOISE} if chosen.seeded else {},
        **growth(counted),
    }
    return Made(result, record)


def _deeper(net: Net, after: ModelSpec, *, silent: bool, keep: Keep) -> Net:
    """The model with copies of its blocks: silent ones, each after its original; or all of them again after the last."""

    def block(place: int) -> dict[str, torch.Tensor]:
        original, copy = divmod(place, after.layers // net.spec.layers)
        if not silent:
            copy, original = divmod(place, net.spec.layers)
        if not copy:
            return net.block(original)
        return {
            name: torch.zeros_like(weight) if silent and name.split(".")[1] in SILENT else weight.clone()
            for name, weight in net.block(original).items()
        }

    return net.rebuilt(after, map(block, range(after.layers)), keep)


@dataclass
class _Widening:
    """One model and how its widths grow.

    Attributes:
        factor: copies of each head and channel. stream: copies of each neuron of the residual stream.
        noise, seed: of the shares. drawn: numbers drawn so far.
    """

    net: Net
    factor: int
    stream: int
    noise: float
    seed: int
    drawn: int = field(default=0, init=False)

    def result(self, after: ModelSpec, keep: Keep) -> Net:
        weights = {name: self._copied(weight) for name, weight in self.net.weights.items() if name in (EMBEDDING, NORM)}
        if HEAD in self.net.weights:
            weights[HEAD] = self._linear(self.net.weights[HEAD], 1, self.stream)
        else:  # the embedding writes too: its copies are whole, and what it reads is divided
            weights[NORM] = weights[NORM] / self.stream
        return self.net.rebuilt(after, map(self._block, range(self.net.spec.layers)), keep, outside=weights)

    def _block(self, index: int) -> dict[str, torch.Tensor]:
        found = self.net.block(index)
        for name in [name for name in found if name.split(".")[0].endswith("norm")]:
            found[name] = self._copied(found[name])
        for name, module in LINEARS.items():
            rows, columns = (self.stream, self.factor) if name in READ_INSIDE else (self.factor, self.stream)
            found[f"{module}.weight"] = self._linear(found[f"{module}.weight"], rows, columns)
            if (bias := found.get(f"{module}.bias")) is not None:
                found[f"{module}.bias"] = bias.repeat(rows)
        return found

    def _copied(self, weight: torch.Tensor) -> torch.Tensor:
        """A parameter whose last axis is the residual stream, (..., d) -> (..., stream * d)."""
        return weight.repeat(*(1 for _ in weight.shape[1:]), self.stream)

    def _linear(self, weight: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """(outputs, inputs) -> (rows * outputs, columns * inputs): a weight's copies in a row add up to it."""
        wide = weight.repeat(rows, columns)
        if columns == 1:
            return wide
        if not self.noise:
            return wide / columns
        return (wide * self._shares(len(wide), columns, weight.shape[1])).to(weight.dtype)

    def _shares(self, outputs: int, copies: int, inputs: int) -> torch.Tensor:
        """(outputs, copies * inputs) float64, above 0: those of the copies of each input add up to 1."""
        count = outputs * copies * inputs
        uniform = random_scores(count, self.seed, self.drawn).view(outputs, copies, inputs) / 2**30
        self.drawn += count
        apart = uniform - uniform.mean(1, keepdim=True)
        spread = (12 * copies / (copies - 1)) ** 0.5  # of a uniform number about the mean of its copies
        return ((1 + self.noise * spread * apart) / copies).view(outputs, copies * inputs)
