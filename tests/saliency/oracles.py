"""The maps of every saliency method written out: plain autograd, loops and formulas, without the library's parts."""

from itertools import product
from math import factorial, prod
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from cv_attention import record, to_heatmap
from cv_attention import saliency as s
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.methods.attention.attention_flow import patch_flows
from cv_attention.saliency.methods.perturbation.rise import random_mask
from tests.saliency.zoo import Kind

FREE = {"itti_koch_niebur", "spectral_residual", "random_map", "centre_bias"}  # of the model
# Options with which a method is short enough to be written out; all maps of layers keep their own size.
SMALL: dict[str, dict[str, Any]] = {
    "smooth_grad": {"samples": 2, "noise": 0.1},
    "var_grad": {"samples": 3, "noise": 0.1},
    "smooth_grad_cam_plus_plus": {"samples": 1, "noise": 0.0},
    "integrated_gradients": {"steps": 3},
    "expected_gradients": {"samples": 2},
    "rise": {"masks": 5, "cells": 3},
    "lime": {"samples": 14, "cells": 2, "batch_size": 1},
    "extremal_perturbation": {"steps": 2, "areas": (0.3,)},
    "feature_ablation": {"cells": 2},
    "kernel_shap": {"cells": 2, "samples": 300},
    "gradient_shap": {"samples": 2},
}


class Scalar(nn.Module):
    """Returns the explained score of a model as its only output, (B, 1)."""

    def __init__(self, model: nn.Module, kind: Kind) -> None:
        super().__init__()
        self.model, self.kind = model, kind

    def forward(self, x: Tensor) -> Tensor:
        return self.kind.score(self.model(x, *self.kind.args))[:, None]


class Guided(torch.autograd.Function):
    """A ReLU that passes back only what is positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g.clamp(min=0) * (ctx.saved_tensors[0] > 0)


class Oracle:
    """Writes out the maps of one kind of model."""

    def __init__(self, model: nn.Module, kind: Kind) -> None:
        self.model, self.kind, self.x = model, kind, kind.images()
        self.axes = tuple(range(2, self.x.dim()))

    def options(self, name: str) -> dict[str, Any]:
        windows = {"window": tuple(n // 2 for n in self.x.shape[2:]), "stride": tuple(n // 2 for n in self.x.shape[2:])}
        return windows if name == "occlusion" else SMALL.get(name, {})

    def call(self, x: Tensor) -> Any:
        return self.model(x, *self.kind.args)

    def score(self, x: Tensor) -> Tensor:
        return self.kind.score(self.call(x))

    def gradient_at(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(self.score(x).sum(), x)[0]

    def layer(self, change: Any = None, again: bool = False) -> tuple[Tensor, ...]:
        """The layer's activations as a map, and the gradient there; with `again` the Hessian times the activations."""
        kept = {}

        def keep(_: nn.Module, args: Any, output: Tensor) -> Tensor:
            kept["a"] = output if output.requires_grad else output.detach().requires_grad_()
            return kept["a"].clone()

        handle = self.model.get_submodule(self.kind.layer).register_forward_hook(keep)
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            score = self.score(self.x.clone().requires_grad_()).sum()
            g = torch.autograd.grad(score, kept["a"], create_graph=again)[0]
            found = [kept["a"].detach(), g.detach()]
            if again:
                h = None
                if g.requires_grad:
                    h = torch.autograd.grad(g, kept["a"], kept["a"].detach(), allow_unused=True)[0]
                found.append(torch.zeros_like(g) if h is None else h)
        handle.remove()
        return tuple(map(self.grid, found))

    def grid(self, value: Tensor) -> Tensor:
        if value.dim() == self.x.dim():
            return value
        kept = value[:, self.kind.prefix : self.kind.prefix + prod(self.kind.grid)]
        return kept.transpose(1, 2).reshape(len(value), -1, *self.kind.grid)

    def large(self, heat: Tensor) -> Tensor:
        mode = "bilinear" if self.x.dim() == 4 else "trilinear"
        return F.interpolate(heat, self.x.shape[2:], mode=mode, align_corners=False)

    def means(self, a: Tensor, weights: Tensor) -> Tensor:
        return (weights.mean(self.axes, keepdim=True) * a).sum(1, keepdim=True).relu()

    def principal(self, values: Tensor) -> Tensor:
        rows = []
        for one in values:
            flat = one.flatten(1).T.double()
            flat = flat - flat.mean(0)
            u, sizes, _ = torch.linalg.svd(flat, full_matrices=False)
            line = u[:, 0] * sizes[0]
            rows.append(line if line.max() >= -line.min() else -line)
        return torch.stack(rows).unflatten(1, values.shape[2:])[:, None].float()

    def grad_cam(self) -> Tensor:
        return self.means(*self.layer())

    def grad_cam_plus_plus(self) -> Tensor:
        a, g = self.layer()
        alpha = g**2 / (2 * g**2 + a.sum(self.axes, keepdim=True) * g**3 + 1e-6)
        weights = (alpha * g.relu()).sum(self.axes, keepdim=True)
        return (weights * a).sum(1, keepdim=True).relu()

    smooth_grad_cam_plus_plus = grad_cam_plus_plus

    def xgrad_cam(self) -> Tensor:
        a, g = self.layer()
        weights = (g * a).sum(self.axes, keepdim=True) / (a.sum(self.axes, keepdim=True) + 1e-7)
        return (weights * a).sum(1, keepdim=True).relu()

    def layer_cam(self) -> Tensor:
        a, g = self.layer()
        return (g.relu() * a).sum(1, keepdim=True).relu()

    def hires_cam(self) -> Tensor:
        a, g = self.layer()
        return (g * a).sum(1, keepdim=True)

    def grad_cam_elementwise(self) -> Tensor:
        a, g = self.layer()
        return (g * a).relu().sum(1, keepdim=True)

    def shapley_cam(self) -> Tensor:
        a, g, h = self.layer(again=True)
        return self.means(a, g - h / 2)

    def finer_cam(self) -> Tensor:
        inner = self.kind

        def against(z: Tensor) -> Tensor:
            own, rest = z[:, 1:2], torch.cat([z[:, :1], z[:, 2:]], 1)
            return (rest.softmax(1) * (own - rest)).sum(1)  # three others of four classes

        self.kind = Kind(inner.make, inner.size, 1, against, inner.layer, None, inner.prefix, inner.grid, inner.args)
        heat = self.grad_cam()
        self.kind = inner
        return heat

    def cam(self) -> Tensor:
        return torch.einsum("c,bc...->b...", self.model.fc.weight[self.kind.target].detach(), self.layer()[0])[:, None]

    def eigen_cam(self) -> Tensor:
        return self.principal(self.layer()[0])

    def eigen_grad_cam(self) -> Tensor:
        a, g = self.layer()
        return self.principal(a * g)

    def seg_eigen_cam(self) -> Tensor:
        a, g = self.layer()
        return self.principal(a * g.abs())

    def kpca_cam(self) -> Tensor:
        a, rows = self.layer()[0], []
        for one in a:
            flat = one.flatten(1).T.double()
            flat = flat - flat.mean(0)
            kernel = torch.tanh(flat @ flat.T / flat.shape[1] + 1)
            middle = torch.eye(len(kernel)).double() - 1 / len(kernel)
            values, vectors = torch.linalg.eigh(middle @ kernel @ middle)
            line = vectors[:, -1] * values[-1].clamp(min=0).sqrt()
            rows.append(line if line.max() >= -line.min() else -line)
        return torch.stack(rows).unflatten(1, a.shape[2:])[:, None].float()

    def fem(self) -> Tensor:
        a = self.layer()[0]
        mean, deviation = a.mean(self.axes, keepdim=True), a.std(self.axes, correction=0, keepdim=True)
        return ((a > mean + 2 * deviation).float().mean(self.axes, keepdim=True) * a).sum(1, keepdim=True)

    def score_cam(self) -> Tensor:
        a, scores = self.layer()[0], []
        for k in range(a.shape[1]):
            mask = self.large(a[:, k : k + 1])
            low, high = mask.amin(self.axes, keepdim=True), mask.amax(self.axes, keepdim=True)
            scores.append(self.score(self.x * (mask - low) / (high - low + 1e-8)).detach())
        weights = torch.stack(scores, 1).softmax(1)
        return torch.einsum("bc,bc...->b...", weights, a)[:, None].relu()

    def ablation_cam(self) -> Tensor:
        a, clean = self.layer()[0], self.score(self.x).detach()
        module, axis = self.model.get_submodule(self.kind.layer), 1
        weights = []
        for k in range(a.shape[1]):

            def zero(_: nn.Module, args: Any, output: Tensor, k: int = k) -> Tensor:
                output = output.clone()
                output.select(axis if output.dim() == self.x.dim() else 2, k).zero_()
                return output

            handle = module.register_forward_hook(zero)
            weights.append((clean - self.score(self.x).detach()) / clean)
            handle.remove()
        return torch.einsum("bc,bc...->b...", torch.stack(weights, 1), a)[:, None].relu()

    def gradient(self) -> Tensor:
        return self.gradient_at(self.x).abs().amax(1, keepdim=True)

    def input_x_gradient(self) -> Tensor:
        return (self.gradient_at(self.x) * self.x).sum(1, keepdim=True)

    def _noisy(self, count: int) -> Tensor:
        source, x = Source(0), self.x
        span = torch.stack([one.max() - one.min() for one in x]).view(-1, *[1] * (x.dim() - 1))
        noise = [source.normal((1, *x.shape[1:]), x) for _ in range(count)]
        return torch.stack([self.gradient_at(x + 0.1 * span * one) for one in noise])

    def smooth_grad(self) -> Tensor:
        return self._noisy(2).mean(0).abs().amax(1, keepdim=True)

    def var_grad(self) -> Tensor:
        return self._noisy(3).var(0, correction=0).sum(1, keepdim=True)

    def integrated_gradients(self) -> Tensor:
        nodes, weights = np.polynomial.legendre.leggauss(3)
        parts = [
            self.gradient_at(self.x * (n + 1) / 2) * w / 2
            for n, w in zip(nodes.tolist(), weights.tolist(), strict=True)
        ]
        return (torch.stack(parts).sum(0) * self.x).sum(1, keepdim=True)

    def expected_gradients(self) -> Tensor:
        source, x, parts = Source(0), self.x, []
        ones = [1] * (x.dim() - 2)
        for _ in range(2):
            start = source.normal((1, x.shape[1], *ones), x)
            at = start + source.uniform((1, 1, *ones), x) * (x - start)
            parts.append((x - start) * self.gradient_at(at))
        return torch.stack(parts).mean(0).sum(1, keepdim=True)

    def guided_backprop(self) -> Tensor:
        with mock.patch("torch.nn.functional.relu", lambda x, inplace=False: Guided.apply(x)):
            return self.gradient()

    def full_grad(self) -> Tensor:
        return s.full_grad(Scalar(self.model, self.kind), self.x, lambda z: z[:, 0])

    def extremal_perturbation(self) -> Tensor:
        scalar = Scalar(self.model, self.kind)
        return s.extremal_perturbation(scalar, self.x, lambda z: z[:, 0], **SMALL["extremal_perturbation"])

    def occlusion(self) -> Tensor:
        heat, clean = torch.zeros(len(self.x), 1, *self.x.shape[2:]), self.score(self.x).detach()
        halves = [(slice(0, n // 2), slice(n // 2, n)) for n in self.x.shape[2:]]
        for places in np.ndindex(*[2] * len(halves)):
            window = tuple(half[i] for half, i in zip(halves, places, strict=True))
            x = self.x.clone()
            x[(slice(None), slice(None), *window)] = 0
            drop = clean - self.score(x).detach()
            heat[(slice(None), slice(None), *window)] = drop.view(-1, *[1] * (self.x.dim() - 1))
        return heat

    def feature_ablation(self) -> Tensor:
        return self.occlusion()  # its windows are the halves of each side, as the cells are

    def kernel_shap(self) -> Tensor:
        """Shapley's values by their definition: over all sets of shown cells."""
        cells = list(np.ndindex(*[2] * len(self.axes)))
        places = [
            tuple(slice(c * n // 2, (c + 1) * n // 2) for c, n in zip(cell, self.x.shape[2:], strict=True))
            for cell in cells
        ]
        scores = {}
        for shown in product((False, True), repeat=len(cells)):
            x = torch.zeros_like(self.x)
            for place, seen in zip(places, shown, strict=True):
                if seen:
                    x[(slice(None), slice(None), *place)] = self.x[(slice(None), slice(None), *place)]
            scores[shown] = self.score(x).detach().double()
        heat = torch.zeros(len(self.x), 1, *self.x.shape[2:])
        for number, place in enumerate(places):
            value = torch.zeros(len(self.x), dtype=torch.double)
            for shown, score in scores.items():
                if not shown[number]:
                    size = sum(shown)
                    weight = factorial(size) * factorial(len(cells) - size - 1) / factorial(len(cells))
                    more = (*shown[:number], True, *shown[number + 1 :])
                    value += weight * (scores[more] - score)
            heat[(slice(None), slice(None), *place)] = value.float().view(-1, *[1] * (self.x.dim() - 1))
        return heat

    def gradient_shap(self) -> Tensor:
        source, x, parts = Source(0), self.x, []
        ones = [1] * (x.dim() - 1)
        span = torch.stack([one.max() - one.min() for one in x]).view(-1, *ones)
        for _ in range(2):
            way = x + 0.1 * span * source.normal((1, *x.shape[1:]), x)
            parts.append(way * self.gradient_at(source.uniform((1, *ones), x) * way))
        return torch.stack(parts).mean(0).sum(1, keepdim=True)

    def guided_grad_cam(self) -> Tensor:
        coarse = self.large(self.grad_cam())
        with mock.patch("torch.nn.functional.relu", lambda x, inplace=False: Guided.apply(x)):
            return (self.gradient_at(self.x) * coarse).sum(1, keepdim=True)

    def refine_cam(self) -> Tensor:
        return self.grad_cam_plus_plus()  # of a single layer

    def _of_scalar(self, name: str, **options: Any) -> Tensor:
        return s.METHODS[name](Scalar(self.model, self.kind), self.x, lambda z: z[:, 0], **options)

    def lrp(self) -> Tensor:
        return self._of_scalar("lrp")

    def attn_lrp(self) -> Tensor:
        return self._of_scalar("attn_lrp")

    def deep_lift(self) -> Tensor:
        return self._of_scalar("deep_lift")

    def le_grad(self) -> Tensor:
        return self._of_scalar("le_grad", upsample=False)

    def rise(self) -> Tensor:
        source, heat = Source(0), torch.zeros(len(self.x), 1, *self.x.shape[2:])
        for _ in range(5):
            mask = random_mask(source, self.x, 3, 0.5)
            quantity = self.kind.quantity(self.call(self.x * mask)).detach()
            heat = heat + quantity.view(-1, *[1] * (self.x.dim() - 1)) * mask
        return heat / 2.5

    def lime(self) -> Tensor:
        """Ridge regression on what was seen at the model's entrance: which cells were shown."""
        seen: list[Tensor] = []
        handle = self.model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()[0]))
        given = {"forward_args": self.kind.args} if self.kind.args else {}
        s.lime(self.model, self.x, self.kind.target, **SMALL["lime"], **given)
        handle.remove()
        cells = list(np.ndindex(*[2] * len(self.axes)))
        heat, every = torch.zeros(len(self.x), 1, *self.x.shape[2:]), len(seen) // len(self.x)
        for i in range(len(self.x)):
            shown = seen[i * every : (i + 1) * every][-14:]
            corners = [(0, *(c * n // 2 for c, n in zip(cell, self.x.shape[2:], strict=True))) for cell in cells]
            z = np.array([[float(one[corner] != 0) for corner in corners] for one in shown])
            y = [self._alone(one, i) for one in shown]
            weight = np.exp(-((1 - np.sqrt(z.mean(1))) ** 2) / (2 * 0.25**2))
            coefficients = Ridge(alpha=1.0).fit(z, y, sample_weight=weight).coef_
            for cell, value in zip(cells, coefficients, strict=True):
                part = [slice(c * n // 2, (c + 1) * n // 2) for c, n in zip(cell, self.x.shape[2:], strict=True)]
                heat[(i, 0, *part)] = float(value)
        return heat

    def _alone(self, x: Tensor, number: int) -> float:
        """The quantity of one image, in a batch of as many as targets have entries for."""
        whole = self.x.clone()
        whole[number] = x
        with torch.no_grad():
            return float(self.kind.quantity(self.call(whole))[number])

    def block_maps(self) -> Tensor:
        with torch.no_grad(), record(self.model) as maps:
            self.call(self.x)
        heats = [to_heatmap(m) for m in maps.values() if m.kind == "pairwise" and len(m.values) == len(self.x)]
        if len(heats) == 1:
            return self.large(heats[0])
        scaled = []
        for heat in heats:
            low, high = heat.amin((2, 3), keepdim=True), heat.amax((2, 3), keepdim=True)
            scaled.append(self.large((heat - low) / (high - low + 1e-7)))
        return torch.stack(scaled).mean(0)

    def _attention(self) -> list[Tensor]:
        """The image's attention maps (B, heads, tokens, tokens), by what is seen of their queries and keys."""
        found: list[Tensor] = []
        fused = F.scaled_dot_product_attention

        def keep(q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            found.append(((q @ k.mT) * kwargs.get("scale", q.shape[-1] ** -0.5)).softmax(-1).detach())
            return fused(q, k, *args, **kwargs)

        with torch.enable_grad(), mock.patch("torch.nn.functional.scaled_dot_product_attention", keep):
            image = getattr(getattr(self.model, "model", None), "vision_model", self.model)
            image(self.x)
        return found

    def attention_rollout(self) -> Tensor:
        product: Any = None
        for a in self._attention():
            share = (a.mean(1) + torch.eye(a.shape[-1])) / 2
            product = share if product is None else share @ product
        return product[:, 0, self.kind.prefix :].unflatten(1, self.kind.grid)[:, None]

    def attention_flow(self) -> Tensor:
        shares = torch.stack([(a.mean(1) + torch.eye(a.shape[-1])) / 2 for a in self._attention()], 1).double()
        flows = np.stack([patch_flows(one.numpy(), self.kind.prefix) for one in shares])
        return torch.tensor(flows, dtype=torch.float32).unflatten(1, self.kind.grid)[:, None]

    def gradient_attention(self) -> Tensor:
        return s.gradient_attention(Scalar(self.model, self.kind), self.x, lambda z: z[:, 0], upsample=False)

    def free(self, name: str) -> Tensor:
        return s.METHODS[name](None, self.x)
