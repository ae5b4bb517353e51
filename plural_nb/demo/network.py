"""A small transformer of the llama architecture in PyTorch, equal to what llama.cpp computes from its GGUF."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network: tokens in the vocabulary, layers, width, heads, width of the feed-forward layer, context."""

    vocabulary: int
    layers: int = 4
    width: int = 128
    heads: int = 4
    hidden: int = 352
    context: int = 1024
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5


class Network(nn.Module):
    """Llama: RMS norms, rotary positions on neighbouring pairs, gated feed-forward, embedding shared with the output.

    Touvron et al. (2023); Su et al. (2021) for the rotary positions. Names of parameters are those of GGUF tensors.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        half = shape.width // shape.heads // 2
        angles = torch.arange(shape.context)[:, None] * shape.rope_base ** (-torch.arange(half) / half)[None, :]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_stream = name.endswith(("attn_output.weight", "ffn_down.weight"))
                spread = (2 * shape.layers) ** -0.5 if into_stream else 1.0
                nn.init.normal_(parameter, std=spread * parameter.shape[1] ** -0.5)
        nn.init.normal_(self.token_embd.weight, std=0.5 * shape.width**-0.5)

    def forward(self, tokens: Tensor, at: tuple[Tensor, Tensor]) -> Tensor:
        """Return logits (m, vocabulary) of the tokens that follow the m places `at` = (rows, columns).

        tokens: (batch, length), each document in a row of its own, padded on the right: a causal mask is enough,
        because nothing before a place sees what stands behind it.
        """
        length = tokens.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        x = self.token_embd(tokens)
        top = self.blk[-1]
        assert isinstance(top, Block)
        for block in self.blk[:-1]:
            x = block(x, cos, sin)
        # Of the top layer only the places asked for are needed; leaving out the rest saves a fifth of the time.
        return functional.linear(self.output_norm(top.at(x, cos, sin, at)), self.token_embd.weight)


class Block(nn.Module):
    """One layer: attention, then the gated feed-forward layer, each on the normalised stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.attn_norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_v = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        self.ffn_gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return the stream (batch, length, width) after this layer."""
        n, length, width = x.shape
        y = self.attn_norm(x)
        q, k, v = (self._by_head(f(y)).transpose(1, 2) for f in (self.attn_q, self.attn_k, self.attn_v))
        # Written out: for rows this short the fused kernel's backward pass took 44% of a step on a processor.
        scores = _turned(q, cos, sin) @ _turned(k, cos, sin).transpose(2, 3) * (width // self.heads) ** -0.5
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        y = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
        return self._fed(x + self.attn_output(y.transpose(1, 2).reshape(n, length, width)))

    def at(self, x: Tensor, cos: Tensor, sin: Tensor, at: tuple[Tensor, Tensor]) -> Tensor:
        """Return the stream (m, width) after this layer at the places `at` = (rows, columns) only."""
        row, place = at
        width, y = x.shape[2], self.attn_norm(x)
        q = _turned(self._by_head(self.attn_q(y[at])), cos[place][:, None], sin[place][:, None])
        k = _turned(self._by_head(self.attn_k(y)), cos[:, None], sin[:, None])[row]
        v = self._by_head(self.attn_v(y))[row]
        scores = torch.einsum("mhd,mlhd->mhl", q, k) * (width // self.heads) ** -0.5
        later = torch.arange(x.shape[1])[None, :] > place[:, None]
        y = torch.einsum("mhl,mlhd->mhd", scores.masked_fill(later[:, None], -torch.inf).softmax(-1), v)
        return self._fed(x[at] + self.attn_output(y.reshape(-1, width)))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, x.shape[-1] // self.heads)

    def _fed(self, x: Tensor) -> Tensor:
        y = self.ffn_norm(x)
        out: Tensor = x + self.ffn_down(functional.silu(self.ffn_gate(y)) * self.ffn_up(y))
        return out


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring pairs of the last axis by their position's angles (…, half of that axis)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2).to(x.dtype)
