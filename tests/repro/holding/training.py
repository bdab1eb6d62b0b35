"""Pages of docs/holding.md as programs, and the tiny pruned model that they train."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import LlamaConfig, LlamaForCausalLM

from repro.holding import masks_of
from repro.holding.hold import HeldMasks

PAGE = Path(__file__).parents[3] / "docs" / "holding.md"
CONFIG = LlamaConfig(
    vocab_size=50,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=16,
    tie_word_embeddings=True,
)


def pruned() -> LlamaForCausalLM:
    """A model whose every matrix in a block, of odd sizes over two ranks too, has lost half of its weights."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(CONFIG)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" in name:
                parameter.mul_(torch.rand_like(parameter) > 0.5)
    return model


def batches(rank: int = 0, world: int = 1) -> list[torch.Tensor]:
    """Three batches of 4 rows, of which each rank gets its share."""
    rows = torch.randint(0, CONFIG.vocab_size, (3, 4, 8), generator=torch.Generator().manual_seed(1))
    return [one.chunk(world)[rank] for one in rows]


def program(title: str) -> str:
    """The Python of a section of the page."""
    found = re.search(rf"^## {re.escape(title)}$.*?^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def run_page(title: str, **given: Any) -> dict[str, Any]:
    """Runs a section's program on the pruned model, and returns its names."""
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    names = {"torch": torch, "model": pruned(), "batches": batches(rank, world)} | given
    exec(program(title), names)
    return names


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All parameters, whole, by name without wrappers' prefixes; collective."""
    found = {}
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "ds_shape"):
            import deepspeed

            with deepspeed.zero.GatheredParameters([parameter]):
                found[name] = parameter.detach().clone()
        else:
            full = parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter
            found[name] = full.detach().clone()
    return {name.removeprefix("module."): weight for name, weight in found.items()}


def exact(found: dict[str, torch.Tensor]) -> bool:
    """Whether the zeros are those of the pruned model, and something else has moved."""
    original = pruned()
    kept = masks_of(original)
    before = dict(original.named_parameters())
    return all(torch.equal(found[name] != 0, mask) for name, mask in kept.items()) and not any(
        torch.equal(found[name], before[name]) for name in kept
    )


def sharded(kinds: list[str]) -> dict[str, Any]:
    """What each kind of training leaves, on this rank of several: its weights, and whether `check` finds a stray weight."""
    found: dict[str, Any] = {}
    for kind in kinds:
        from tests import workers

        workers.join()
        names = _trained(kind)
        held, model = names["held"], names.get("engine", names["model"])
        found[kind] = {"weights": weights(model), "stray": _finds_a_stray(held)}
        if "engine" in names:
            names["engine"].destroy()
    return found


def trained_by_trainer(folder: str, stage: int | None = None) -> dict[str, bool | str]:
    """Whether masks are exact after the Trainer's page, in its checkpoint, and after an update without the callback.

    Args:
        stage: of DeepSpeed's ZeRO; None: DDP. With DeepSpeed on a CPU accelerate gives every rank all rows, while DeepSpeed
            itself shards over all ranks.
    """
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}  # the group is there
    if stage is None:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    from transformers import Trainer, TrainingArguments

    rows = [{"input_ids": row, "labels": row} for batch in batches() for row in batch]
    config = None if stage is None else deepspeed_config(stage)
    names = run_page("transformers' Trainer", folder=f"{folder}/held", rows=rows, config=config)
    dist.barrier()
    saved = LlamaForCausalLM.from_pretrained(f"{folder}/held/checkpoint-2")
    found: dict[str, bool | str] = {
        "ends exact": exact(weights(names["model"])),
        "saves exact": exact(weights(saved)),
        "wrapped": type(names["trainer"].model_wrapped).__name__,
    }
    if stage is not None:
        return found
    free = pruned()
    arguments = TrainingArguments(output_dir=f"{folder}/free", max_steps=1, report_to=[], save_strategy="no")
    Trainer(free, arguments, train_dataset=rows).train()
    return found | {"without": exact(weights(free))}


def deepspeed_config(stage: int) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": 2,
        "gradient_clipping": 1.0,
        "zero_optimization": {
            "stage": stage,
            "reduce_bucket_size": 10_000,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def _trained(kind: str) -> dict[str, Any]:
    if kind == "ddp":
        spread = torch.nn.parallel.DistributedDataParallel(pruned())
        optimizer = torch.optim.AdamW(spread.parameters(), lr=1e-2)
        return run_page("Plain PyTorch, and DDP", model=spread, optimizer=optimizer)
    if kind == "fsdp2":
        return run_page("FSDP2")
    import deepspeed.ops

    # Otherwise both ranks compile a shared-memory op for a minute, and wait forever where a killed compiler left its lock.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    stage, precision = int(kind[4]), kind[5:]
    config = deepspeed_config(stage) | {"bf16": {"enabled": precision == "bf16"}}
    model = pruned().bfloat16() if precision == "bf16" else pruned()
    return run_page("DeepSpeed, ZeRO 0 to 3", config=config, model=model)


def _finds_a_stray(held: HeldMasks) -> str:
    """What `check` says on this rank once rank 0 has moved one removed weight in its optimizer's copy."""
    if dist.get_rank() == 0:
        place = held._places[-1]
        owner = place.owner.detach()
        local = owner.to_local() if hasattr(owner, "to_local") else owner
        removed = place._removed(local)
        local.view(-1)[removed.flatten().nonzero()[0]] = -0.0
    try:
        held.check()
    except RuntimeError as error:
        return str(error)
    return ""
