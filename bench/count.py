"""What one micro-batch makes a device do, counted without that device: FLOPs, bytes and kernels.

The model's own forward pass, loss and backward pass run on tensors without memory. Eagerly every operation is a kernel
that reads its arguments and writes its results. Compiled, Inductor partitions and fuses the graphs, and each of its
kernels reads every buffer that it needs once and writes its results once; the fusions are those for a CPU, since those
for a GPU ask for the GPU. Only attention is replaced, by an operation that is one kernel forward and one backward.

Layers are alike, so models of one and two layers are counted; each further layer costs what the second does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch._inductor import compile_fx, ir
from torch._inductor.debug import DebugContext
from torch._inductor.graph import GraphLowering
from torch._inductor.scheduler import BaseSchedulerNode, NopKernelSchedulerNode, Scheduler
from torch._inductor.virtualized import V
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from transformers import AutoModelForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from repro.spec import ModelSpec
from repro.training import model

Kind = Literal["matmul", "elementwise", "loss", "attention", "masked attention"]


class Kernel(NamedTuple):
    """One kernel. bytes: read and written; flops: of matrix products, and for attention of the whole square."""

    kind: Kind
    flops: float
    bytes: float


@dataclass(frozen=True)
class Counted:
    """A micro-batch. kernels: how often each occurs. waits: how often the host waits for the device."""

    kernels: Counter[Kernel]
    waits: int

    @property
    def has_mask(self) -> bool:
        """Whether attention was given a dense mask."""
        return any(kernel.kind == "masked attention" for kernel in self.kernels)


@dataclass(frozen=True)
class Setting:
    """How a micro-batch is executed.

    Attributes:
        precision: "bf16" or "fp32", of weights and activations.
        documents: whether rows hold several documents that don't see each other.
        compiled: whether torch.compile makes its kernels.
        plain: whether it is transformers' own model with torch's own cross-entropy instead of ours.
    """

    precision: str
    documents: bool
    compiled: bool = True
    plain: bool = False


@cache
def micro_batch(spec: ModelSpec, rows: int, setting: Setting) -> Counted:
    """Counts the forward pass, loss and backward pass of `rows` sequences."""
    count = _compiled if setting.compiled else _eager
    one = count(replace(spec, layers=1), rows, setting)
    if spec.layers == 1:
        return one
    two = count(replace(spec, layers=2), rows, setting)
    more = spec.layers - 1
    kernels = {k: one.kernels[k] + more * (two.kernels[k] - one.kernels[k]) for k in one.kernels | two.kernels}
    return Counted(Counter(kernels), one.waits + more * (two.waits - one.waits))


def loss_of(network: nn.Module, rows: int, length: int, setting: Setting) -> torch.Tensor:
    """The loss of rows of zeros."""
    tokens = torch.zeros(rows, length, dtype=torch.int64)
    documents = torch.zeros(rows + 1, dtype=torch.int32) if setting.documents else None
    if setting.plain:
        positions = tokens if setting.documents else None
        logits = network(input_ids=tokens, position_ids=positions, use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten(), reduction="sum")
    total: torch.Tensor
    total, _ = network(tokens, position_ids=tokens if setting.documents else None, targets=tokens, documents=documents)
    return total


@contextmanager
def network_of(spec: ModelSpec, setting: Setting) -> Iterator[nn.Module]:
    """The model without memory, on the meta device, whose attention is counted."""
    with torch.device("meta"):
        if setting.plain:
            config = model.config_of(spec)
            config._attn_implementation = "sdpa"
            network = AutoModelForCausalLM.from_config(config)
        else:
            network = model.build(spec, seed=0)
    narrow = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    for parameter in network.parameters():
        parameter.data = parameter.data.to(narrow)
    name = network.config._attn_implementation
    real = ALL_ATTENTION_FUNCTIONS[name]
    ALL_ATTENTION_FUNCTIONS[name] = _attention
    try:
        yield network
    finally:
        ALL_ATTENTION_FUNCTIONS[name] = real


# ---------------------------------------------------------------- attention


def _attention(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, **_: Any
) -> tuple[torch.Tensor, None]:
    """In place of transformers' attention functions: an operation that is counted but computes nothing."""
    out: torch.Tensor = _forward(query, key, value, mask is not None)
    return out.transpose(1, 2).contiguous(), None


@torch.library.custom_op("bench::attention", mutates_args=())
def _forward(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, masked: bool) -> torch.Tensor:
    return torch.empty_like(query)


@torch.library.custom_op("bench::attention_backward", mutates_args=())
def _backward(
    slope: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, out: torch.Tensor, masked: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


_forward.register_fake(lambda query, key, value, masked: torch.empty_like(query))
_backward.register_fake(
    lambda slope, query, key, value, out, masked: tuple(torch.empty_like(x) for x in (query, key, value))
)


def _keep(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs[:3], output)
    ctx.masked = inputs[3]


_forward.register_autograd(
    lambda ctx, slope: (*_backward(slope, *ctx.saved_tensors, ctx.masked), None), setup_context=_keep
)
FLOPS = {"attention": 4, "attention_backward": 10}  # times B heads T^2 head_dim: 2 and 5 products


def _attention_kernel(name: str, shape: tuple[int, ...], masked: bool, traffic: float) -> Kernel:
    batch, heads, length, head_dim = shape
    flops = FLOPS[name] * batch * heads * length * length * head_dim
    return Kernel("masked attention" if masked else "attention", float(flops), traffic)


# ---------------------------------------------------------------- eager


def _eager(spec: ModelSpec, rows: int, setting: Setting) -> Counted:
    with network_of(spec, setting) as network, torch.device("meta"):
        with _Operations(spec.vocab) as seen:
            loss_of(network, rows, spec.sequence, setting).backward()
    return Counted(seen.kernels, seen.waits)


class _Operations(TorchDispatchMode):
    """Counts every operation that moves bytes."""

    def __init__(self, vocab: int):
        super().__init__()
        self.vocab, self.waits = vocab, 0
        self.kernels: Counter[Kernel] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.waits += 1
            return False  # packed rows: not every row is one sequence
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2]
        read, written = _tensors(args, kwargs), _tensors(out)
        held = {t.untyped_storage()._cdata for t in read}
        new = [t for t in written if t.untyped_storage()._cdata not in held]
        if (not new and not func._schema.is_mutable) or name.startswith(("empty", "new_empty")):
            return out  # a view, or memory that isn't written yet
        traffic = float(sum(map(_bytes, read)) + sum(map(_bytes, written)))
        if name in FLOPS:
            query = read[0] if name == "attention" else read[1]
            kernel = _attention_kernel(name, tuple(query.shape), args[-1], traffic)
        elif func._overloadpacket in flop_registry:
            kernel = Kernel("matmul", float(flop_registry[func._overloadpacket](*args, out_val=out)), traffic)
        else:
            wide = any(self.vocab in t.shape for t in (*read, *written))
            kernel = Kernel("loss" if wide else "elementwise", 0.0, traffic)
        self.kernels[kernel] += 1
        return out


def _tensors(*values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _bytes(tensor: torch.Tensor) -> int:
    """Bytes of the elements, of which an expanded tensor has fewer than its shape says."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


# ---------------------------------------------------------------- compiled


def _compiled(spec: ModelSpec, rows: int, setting: Setting) -> Counted:
    kernels: Counter[Kernel] = Counter()

    def look(scheduler: Scheduler, is_backward: bool) -> None:
        kernels.update(kernel for node in scheduler.nodes if (kernel := _kernel(node, spec.vocab)))

    compile_graphs(spec, rows, setting, look)
    return Counted(kernels, 0)


def compile_graphs(spec: ModelSpec, rows: int, setting: Setting, look: Callable[[Scheduler, bool], None]) -> None:
    """Compiles the forward and backward pass as Inductor does, up to its schedule of kernels.

    Args:
        look: called with the schedule of each graph, and whether it is the backward pass.
    """

    def scheduled(graph: torch.fx.GraphModule, inputs: list[Any], **given: Any) -> Any:
        is_backward = given.get("is_backward", False)
        compile_fx.record_original_output_strides(graph)
        with V.set_fake_mode(compile_fx.fake_tensor_prop(graph, inputs)), DebugContext():
            compile_fx._recursive_post_grad_passes(graph, is_inference=False)
            shapes = compile_fx.shape_env_from_inputs(inputs)
            lowered = GraphLowering(graph, example_inputs=inputs, shape_env=shapes, is_backward=is_backward)
            with V.set_graph_handler(lowered), V.set_extern_kernel_nodes([]):
                lowered.run(*inputs)
                lowered._update_scheduler()
                look(lowered.scheduler, is_backward)
        return compile_fx.make_boxed_func(graph.forward)

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        return compile_fx.compile_fx(graph, inputs, inner_compile=scheduled)

    torch._dynamo.reset()
    with network_of(spec, setting) as network, FakeTensorMode(allow_non_fake_inputs=True):
        for module in network.modules():  # Inductor knows the CPU but not the meta device
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(torch.empty_like(parameter, device="cpu")))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, torch.empty_like(buffer, device="cpu"))
        run = torch.compile(loss_of, backend=backend, fullgraph=True, dynamic=False)
        run(network, rows, spec.sequence, setting).backward()


def _kernel(node: BaseSchedulerNode, vocab: int) -> Kernel | None:
    if isinstance(node, NopKernelSchedulerNode) or isinstance(node.node, ir.MultiOutput):
        return None
    traffic = float(node.get_read_write_buffers_sizes())
    name = str(getattr(node.node, "op_overload", None) or "").removeprefix("bench.").removesuffix(".default")
    if name in FLOPS and isinstance(node.node, ir.FallbackKernel):
        query: Any = node.node.inputs[0 if name == "attention" else 1]
        shape = tuple(int(size) for size in query.get_size())
        return _attention_kernel(name, shape, node.node.constant_args[-1], traffic)
    flops = node.estimate_flops()
    if flops:
        return Kernel("matmul", float(flops), traffic)
    names = {dep.name for dep in node.read_writes.reads_and_writes()}
    wide = any(vocab in V.graph.get_buffer(name).get_size() for name in names if name in V.graph.name_to_buffer)
    return Kernel("loss" if wide else "elementwise", 0.0, traffic)
