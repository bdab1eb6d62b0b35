"""Six ways to make one training step of the same model on the same batches, for bench.train."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from bench import Step
from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import PruningSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import model
from repro.training.run import RunInProgress
from repro.training.train import engine_of
from repro.training.trainer import Trainer


@dataclass
class Bench:
    """What all variants share.

    Attributes:
        spec: model, batch, precision, and the schedule of the masked variant.
        text: the batches.
        resources: ZeRO stage, micro-batch, compile.
        device: where it runs.
        events: ms of each pruning event of the masked variant.
    """

    spec: RunSpec
    text: Corpus
    resources: Resources
    device: torch.device
    events: list[float]

    def batch(self, step: int) -> torch.Tensor:
        rows = self.text.batch(step, self.spec.optimizer.batch, self.spec.seed)
        return torch.from_numpy(rows.astype("int64")).to(self.device)

    def network(self) -> Any:
        made: nn.Module = model.build(self.spec.model, self.spec.seed)
        made.to(self.device)
        if self.resources.compile:
            nn.Module.compile(made)  # transformers' own forward pass, which `loss_of` calls
        return made

    def adamw(self, network: Any) -> torch.optim.AdamW:
        o = self.spec.optimizer
        return torch.optim.AdamW(
            network.parameters(), lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps, weight_decay=o.weight_decay, fused=True
        )

    def settle(self) -> None:
        """Waits until a GPU has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def loss_of(network: Any, rows: torch.Tensor) -> torch.Tensor:
    logits = network(input_ids=rows[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


def plain(bench: Bench, pruned: bool = False) -> Step:
    """(i) PyTorch, dense; (v) the same under torch.nn.utils.prune, which multiplies in every forward pass."""
    network = bench.network()
    if pruned:
        linears = [(m, "weight") for m in network.modules() if isinstance(m, torch.nn.Linear)]
        prune.global_unstructured(linears, pruning_method=prune.L1Unstructured, amount=bench.spec.pruning.sparsity)
    adamw = bench.adamw(network)

    def step(number: int) -> None:
        loss_of(network, bench.batch(number)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), bench.spec.optimizer.clip)
        adamw.step()
        adamw.zero_grad()

    return step


def deepspeed_dense(bench: Bench) -> Step:
    """(ii) DeepSpeed as its documentation has it: initialize, then forward, backward, step."""
    import deepspeed

    _, micro = bench.resources.share(bench.spec)
    network = bench.network()
    config = {
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": bench.spec.optimizer.batch // micro,
        "gradient_clipping": bench.spec.optimizer.clip,
        "zero_optimization": {"stage": bench.resources.zero_stage},
        "bf16": {"enabled": bench.spec.precision == "bf16"},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }
    engine, *_ = deepspeed.initialize(
        model=network, optimizer=bench.adamw(network), config=config, dist_init_required=False
    )

    def step(number: int) -> None:
        for rows in bench.batch(number).split(micro):
            engine.backward(loss_of(engine, rows))
            engine.step()

    return step


def ours(bench: Bench, masked: bool) -> Step:
    """(iii) and (iv): the suite's own loop, dense, and masked after all events of the schedule."""
    spec = bench.spec if masked else replace(bench.spec, pruning=PruningSpec())
    folder = RunFolder(Folder.open(tempfile.mkdtemp(prefix="bench-")))
    run = RunInProgress(spec, folder, bench.text, bench.resources)
    trainer = Trainer(run, engine_of(run), time.perf_counter())
    trainer.resume()
    for event in range(spec.schedule.events):
        bench.settle()
        began = time.perf_counter()
        trainer.pruner.event(event)
        bench.settle()
        bench.events.append(1e3 * (time.perf_counter() - began))
    first = spec.schedule.end_step + 1 if masked else 0  # past the last event

    def step(number: int) -> None:
        trainer.step(first + number)

    return step


def hugging_face(bench: Bench) -> Step:
    """(vi) transformers' Trainer with a callback that masks the weights after each update.

    Its loop can't be entered from outside, so it runs in a thread that waits after each step for the next.
    """
    from transformers import Trainer as TheirTrainer
    from transformers import TrainerCallback, TrainingArguments

    network = bench.network()
    weights = model.prunable(network)
    flat = torch.cat([w.detach().abs().flatten() for w in weights.values()])
    threshold = flat.kthvalue(int(bench.spec.pruning.sparsity * len(flat))).values
    masks = {name: w.detach().abs() > threshold for name, w in weights.items()}
    go, done = threading.Semaphore(0), threading.Semaphore(0)

    class Masking(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            go.acquire()

        def on_optimizer_step(self, *_: Any, **__: Any) -> None:
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.mul_(masks[name])

        def on_step_end(self, *_: Any, **__: Any) -> None:
            done.release()

    class Rows(torch.utils.data.IterableDataset):
        def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
            for number in itertools.count():
                for row in bench.text.batch(number, bench.spec.optimizer.batch, bench.spec.seed):
                    yield {"input_ids": torch.from_numpy(row.astype("int64"))}

    class Theirs(TheirTrainer):
        def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *_: Any, **__: Any) -> torch.Tensor:
            return loss_of(model, inputs["input_ids"])

    o, bf16 = bench.spec.optimizer, bench.spec.precision == "bf16"
    _, micro = bench.resources.share(bench.spec)
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(prefix="bench-"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=o.batch // micro,
        max_steps=10**6,
        learning_rate=o.lr,
        weight_decay=o.weight_decay,
        adam_beta1=o.beta1,
        adam_beta2=o.beta2,
        max_grad_norm=o.clip,
        optim="adamw_torch_fused",
        bf16=bf16,
        use_cpu=bench.device.type == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Theirs(model=network, args=arguments, train_dataset=Rows(), callbacks=[Masking()])
    threads, ended = torch.get_num_threads(), []

    def run() -> None:
        torch.set_num_threads(threads)
        try:
            trainer.train()
        except Exception as error:
            ended.append(error)
            done.release()

    threading.Thread(target=run, daemon=True).start()

    def step(_: int) -> None:
        go.release()
        done.acquire()
        if ended:
            raise ended[0]

    return step


def alone(make: Callable[[], Step]) -> Step:
    """Makes a variant that must not take itself for one of several workers."""
    rank = {name: os.environ.pop(name) for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE") if name in os.environ}
    try:
        return make()
    finally:
        os.environ.update(rank)


VARIANTS: dict[str, Callable[[Bench], Step]] = {
    "plain PyTorch, dense": plain,
    "DeepSpeed, dense": deepspeed_dense,
    "ours, dense": lambda bench: ours(bench, masked=False),
    "ours, masked": lambda bench: ours(bench, masked=True),
    "torch.nn.utils.prune": lambda bench: plain(bench, pruned=True),
    "transformers' Trainer, masked": lambda bench: alone(lambda: hugging_face(bench)),
}
