"""Names of the linear layers of the Llama family. No torch."""

from __future__ import annotations

from repro.ladder import Shape

# The linear layers of a block, by the names that a spec uses.
LINEARS = {
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "o_proj": "self_attn.o_proj",
    "gate_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "down_proj": "mlp.down_proj",
}
# Linear layers that have the same inputs, by the one at which they are seen.
SITES = {
    "self_attn.q_proj": ("q_proj", "k_proj", "v_proj"),
    "self_attn.o_proj": ("o_proj",),
    "mlp.gate_proj": ("gate_proj", "up_proj"),
    "mlp.down_proj": ("down_proj",),
}


def prefix(block: int) -> str:
    """What the names of a block's parameters begin with."""
    return f"model.layers.{block}."


def weights_of_blocks(shape: Shape) -> dict[str, int]:
    """Sizes of the weights of the blocks' linear layers, by name, in the order of the model."""
    return {
        f"{prefix(index)}{LINEARS[name]}.weight": rows * columns
        for index in range(shape.layers)
        for name, (rows, columns) in shape.block.items()
    }


def linear_weights(shape: Shape) -> dict[str, int]:
    """The same with the LM head, unless it is the embedding: all prunable weights."""
    blocks = weights_of_blocks(shape)
    return blocks if shape.tied else blocks | {"lm_head.weight": shape.d_model * shape.vocab}
