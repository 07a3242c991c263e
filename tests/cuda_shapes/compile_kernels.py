"""Compile every kernel to machine code for GPUs that aren't here, in the 3B's and v3's shapes.

    python -m tests.cuda_shapes.compile_kernels 80 89 90

Prints a line a kernel: its registers, and the bytes that it spills to memory, as ptxas says.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from higgs.cuda import kernels, sampling
from higgs.cuda.snake import BLOCK, add_and_snake_kernel
from higgs.engine.prefill import PREFILL_BLOCK
from higgs.model.delay import DelayRule

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
ATTENTION = {
    "3b": {"HEADS": 24, "KV_HEADS": 8, "D": 128},
    "v3": {"HEADS": 32, "KV_HEADS": 8, "D": 128},
}
BF16, F32, I64 = "*bf16", "*fp32", "*i64"


def cases() -> dict[str, tuple[Any, list[str], dict[str, Any], int]]:
    """Name → kernel, types of its arguments, its constants, its warps."""
    found: dict[str, tuple[Any, list[str], dict[str, Any], int]] = {}
    for model, heads in ATTENTION.items():
        for rows in (1, PREFILL_BLOCK):
            found[f"rope_and_write_kv {model} {rows}"] = (
                kernels.rope_and_write_kv_kernel,
                [BF16, BF16, BF16, I64, I64, BF16, "fp32"],
                heads | {"HALF": 64, "PER_FIRST": rows, "NORMED": model == "v3"},
                1,
            )
        for splits in (1, 32):
            found[f"attend {model} {splits}"] = (
                kernels.decode_attention_kernel,
                [BF16, BF16, I64, F32, F32, BF16, "i64", "fp32"],
                heads | {"WIDTH": 128, "QUERIES": 16, "BLOCK": 64, "SPLITS": splits},
                4,
            )
        found[f"prefill_attention {model}"] = (
            kernels.prefill_attention_kernel,
            [BF16, BF16, I64, I64, BF16, "fp32"],
            heads | {"WIDTH": 128, "ROWS": PREFILL_BLOCK, "GROUPS": 4, "BLOCK": 64},
            4,
        )
    found["join"] = kernels.combine_splits_kernel, [F32, F32, BF16], {"D": 128, "WIDTH": 128, "SPLITS": 32}, 4
    for narrow in ("*i8", "*fp8e4nv"):
        for rows, columns, inner in ((16, 32, 256), (64, 64, 128)):
            found[f"quantised_matmul {narrow} {rows}"] = (
                kernels.quantised_matmul_kernel,
                [BF16, narrow, F32, BF16, BF16, "i32"],
                {"N": 5120, "K": 3072, "ADDED": True}
                | {"BLOCK_M": rows, "BLOCK_N": columns, "BLOCK_K": inner},
                4,
            )
    books = {"K": 8, "WINDOW": 32}
    for model, marks in (("3b", 1), ("v3", 0)):
        found[f"sample {model}"] = (
            sampling.sample_kernel,
            [F32, I64, I64, I64, F32, I64, F32, I64, "*i1", F32, I64, "i32", "i32", "i32"],
            books | {"SIZE": 1026, "BLOCK": 2048, "CODE_BITS": 11, "MARKS": marks},
            4,
        )
    found["append_column"] = (
        sampling.append_kernel,
        [I64] * 7 + ["i32"] * 3,
        books | {"OPEN": DelayRule.OPEN, "BOOKS": 8, "MARKS": 1},
        1,
    )
    for added, kept in ((False, False), (False, True), (True, False), (True, True)):
        constants = {"ADDED": added, "KEPT": kept, "BLOCK": BLOCK}
        types = [*[F32] * 5, "i32", "i32", "i32"]
        found[f"add_and_snake {added} {kept}"] = add_and_snake_kernel, types, constants, 4
    for model, (width, block) in {"3b": (3072, 4096), "v3": (2560, 4096)}.items():
        constants = {"WIDTH": width, "BLOCK": block}
        found[f"rms_norm {model}"] = kernels.rms_norm_kernel, [BF16, BF16, BF16, "fp32"], constants, 8
    found["swiglu"] = kernels.swiglu_kernel, [BF16, BF16, "i32"], {"BLOCK": 1024}, 4
    return found


def compile_for(capability: int, name: str) -> None:
    kernel, types, constants, warps = cases()[name]
    if "*fp8e4nv" in types and capability < 89:
        return  # see higgs.model.quantised.KINDS
    # Pointers and strides are multiples of 16, as torch's are.
    aligned = {(index,): [["tt.divisibility", 16]] for index, kind in enumerate(types) if kind != "fp32"}
    names = kernel.arg_names
    signature = dict(zip(names, types, strict=False)) | dict.fromkeys(constants, "constexpr")
    source = ASTSource(kernel, signature, constants, aligned)
    compiled = triton.compile(
        source,
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": warps} | ({"num_stages": 4} if "matmul" in name else {}),
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = subprocess.run(
            [CUOBJDUMP, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    registers, local = re.search(r"REG:(\d+)", usage), re.search(r"LOCAL:(\d+)", usage)
    assert registers and local, usage
    print(
        f"sm_{capability} {name}: {registers[1]} registers, {local[1]} B spilled, "
        f"{compiled.metadata.shared} B shared"
    )


if __name__ == "__main__":
    for capability in sys.argv[1:]:
        for name in cases():
            compile_for(int(capability), name)
