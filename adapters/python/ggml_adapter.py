#!/usr/bin/env python3
"""ggml's native code beside this project's kernels, behind the worker protocol, for `assay bench`. See README.md beside this file.

It runs no wasm: a "module" is the text `native:` and the name of a kernel, and what plays linear memory is a mapping of this process.
One thread. The only argument is the folder that has libggml-base and libggml-cpu [default: that of this Python's packages].
"""

import ctypes
import functools
import mmap
import platform
import struct
import sys
import sysconfig
import time
from pathlib import Path

from worker import Refusal, no_export, rejected, serve

PAGE = 65536
PREFIX = b"native:"
F32, F16 = 0, 1  # ggml_type
DATA = 248  # offset of `data` in ggml_tensor; held against ggml_get_data
NODES = 256 * 1024  # bytes of a context for a few tensors and a graph
STEPS = 1000  # a batch lasts at least so many steps of the clock
MAX_BATCHES = 10_000

OWN = sysconfig.get_path("platlib")

PARAMETERS = {"kernel_init": 2, "kernel_forward": 1, "kernel_cleanup": 0}
ELSEWHERE = {
    "rope": "ggml computes angles by itself; these calls bring tables",
    "lora": "ggml has no operation that is all of it",
    "rmsnorm_f16": "ggml normalises f32 only",
}


def unsupported(reason):
    return Refusal("unsupported", reason=reason)


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


class Plan(ctypes.Structure):
    # What follows depends on the version, is never looked at, and has room here.
    _fields_ = [("work_size", ctypes.c_size_t), ("work_data", ctypes.c_void_p), ("rest", ctypes.c_uint64 * 16)]


class Ggml:
    """The functions that are called, of two libraries."""

    def __init__(self, folder):
        found = [sorted(Path(folder).glob(f"libggml-{part}*.so*")) for part in ("base", "cpu")]
        if not all(found):
            raise SystemExit(f"ggml_adapter: {folder} has no libggml-base and libggml-cpu")
        self.base, self.cpu = (ctypes.CDLL(str(paths[0]), ctypes.RTLD_GLOBAL) for paths in found)
        pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        for library, name, result, arguments in [
            (self.base, "ggml_version", ctypes.c_char_p, []),
            (self.base, "ggml_init", pointer, [InitParams]),
            (self.base, "ggml_new_tensor_2d", pointer, [pointer, number, size, size]),
            (self.base, "ggml_get_data", pointer, [pointer]),
            (self.base, "ggml_rms_norm", pointer, [pointer, pointer, ctypes.c_float]),
            (self.base, "ggml_mul_inplace", pointer, [pointer, pointer, pointer]),
            (self.base, "ggml_swiglu_split", pointer, [pointer, pointer, pointer]),
            (self.base, "ggml_new_graph", pointer, [pointer]),
            (self.base, "ggml_build_forward_expand", None, [pointer, pointer]),
            (self.base, "dequantize_row_q8_0", None, [pointer, pointer, size]),
            (self.base, "dequantize_row_q4_0", None, [pointer, pointer, size]),
            (self.cpu, "quantize_row_q8_0", None, [pointer, pointer, size]),
            (self.cpu, "quantize_row_q4_0", None, [pointer, pointer, size]),
            (self.cpu, "ggml_cpu_init", None, []),
            (self.cpu, "ggml_graph_plan", Plan, [pointer, number, pointer]),
            (self.cpu, "ggml_graph_compute", number, [pointer, pointer]),
        ]:
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.ggml_cpu_init()


class Graph:
    """A graph over tensors that lie elsewhere."""

    def __init__(self, ggml):
        self.ggml = ggml
        self.buffer = ctypes.create_string_buffer(NODES)
        self.context = ggml.ggml_init(InitParams(NODES, ctypes.addressof(self.buffer), True))

    def at(self, tensor, address):
        ctypes.c_void_p.from_address(tensor + DATA).value = address
        if self.ggml.ggml_get_data(tensor) != address:
            raise unsupported("tensors of this version of ggml are others")
        return tensor

    def tensor(self, kind, rows, columns, address):
        return self.at(self.ggml.ggml_new_tensor_2d(self.context, kind, columns, rows), address)

    def computes(self, result):
        """What computes it, as a function without arguments that answers 0."""
        ggml = self.ggml
        graph = ggml.ggml_new_graph(self.context)
        ggml.ggml_build_forward_expand(graph, result)
        plan = ggml.ggml_graph_plan(graph, 1, None)
        work = ctypes.create_string_buffer(max(plan.work_size, 1))
        plan.work_data = ctypes.addressof(work)
        compute, argument = ggml.ggml_graph_compute, ctypes.byref(plan)
        call = functools.partial(compute, graph, argument)
        # What ggml points to lives as long as the call.
        call.kept = (self, plan, work)
        return call


class Instance:
    def __init__(self, ggml, kernel, limits):
        self.ggml, self.kernel, self.size = ggml, kernel, 0
        # All that it may grow to: the system gives pages when they are touched, and addresses stay.
        self.most = limits["max_memory_pages"]
        self.memory = mmap.mmap(-1, self.most * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.first = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))

    def pages(self):
        return self.size

    def grow(self, pages):
        if self.size + pages > self.most:
            raise Refusal("trap", stage="call", trap="ResourceLimit")
        self.size += pages

    def read(self, at, length):
        return self.memory[at:at + length]

    def write(self, at, data):
        self.memory[at:at + len(data)] = data

    def global_value(self, name):
        raise no_export(name, "native code has no globals")

    def function(self, name, parameters):
        if PARAMETERS.get(name) != parameters:
            raise no_export(name, "no native function has this name and type")
        return name

    def call(self, function, arguments, budget):
        return self.prepared(*arguments)() if function == "kernel_forward" else 0

    def prepared(self, descriptor):
        """A call, as a function without arguments: what is found out once is no part of its time."""
        region = struct.unpack_from("<10I", self.memory, descriptor)
        a, b, output, params = (self.first + region[place] for place in (0, 2, 4, 8))
        words = struct.unpack_from(f"<{region[9] // 4}I", self.memory, region[8])
        real = struct.unpack_from(f"<{region[9] // 4}f", self.memory, region[8])
        graph, ggml = Graph(self.ggml), self.ggml
        match self.kernel:
            case "rmsnorm_f32":
                hidden, rows = words[1:3]
                x = graph.tensor(F32, rows, hidden, a)
                weight = graph.tensor(F32, 1, hidden, b)
                normal = graph.at(ggml.ggml_rms_norm(graph.context, x, real[0]), output)
                result = graph.at(ggml.ggml_mul_inplace(graph.context, normal, weight), output)
                return graph.computes(result)
            case "swiglu_f32" | "swiglu_f16":
                rows, hidden = words[:2]
                if real[2] != 1.0:
                    raise unsupported("ggml's SwiGLU has no beta but 1")
                kind = F32 if self.kernel == "swiglu_f32" else F16
                up, gate = (graph.tensor(kind, rows, hidden, address) for address in (a, b))
                return graph.computes(graph.at(ggml.ggml_swiglu_split(graph.context, gate, up), output))
            case "kv_pack_q8" | "kv_pack_q4":
                row = getattr(ggml, "quantize_row_" + self.kernel[-2:] + "_0")
            case "kv_unpack_q8" | "kv_unpack_q4":
                row = getattr(ggml, "dequantize_row_" + self.kernel[-2:] + "_0")
        elements = words[0] * words[1]

        def converts():
            row(a, output, elements)
            return 0

        return converts


class Module:
    def __init__(self, ggml, kernel, limits):
        self.ggml, self.kernel, self.limits = ggml, kernel, limits

    def instantiate(self, budget):
        return Instance(self.ggml, self.kernel, self.limits)


class Engine:
    budgets = ("none",)
    operations = ("time",)
    is_native = True

    def __init__(self, ggml):
        self.ggml = ggml

    def info(self):
        capabilities = {"features": [], "budgets": ["none"], "interruption": "none", "memory_limit": True, "table_limit": False,
                        "stack_limit": False}
        return {"id": "native.ggml", "engine": "native", "version": self.ggml.ggml_version().decode(), "kind": "aot",
                "build": {"python": platform.python_version(), "threads": "1"}, "capabilities": capabilities}

    def compile(self, wasm, options):
        if not wasm.startswith(PREFIX):
            raise rejected("ggml runs no wasm: `assay bench` asks for native code by name")
        kernel = wasm[len(PREFIX):].decode()
        for name, reason in ELSEWHERE.items():
            if kernel.startswith(name):
                raise unsupported(reason)
        if kernel not in ("rmsnorm_f32", "swiglu_f32", "swiglu_f16", "kv_pack_q8", "kv_pack_q4", "kv_unpack_q8", "kv_unpack_q4"):
            raise unsupported(f"nothing of ggml is `{kernel}`")
        return Module(self.ggml, kernel, options["limits"])

    def time(self, instance, request):
        if request["what"] != "call" or request["call"]["export"] != "kernel_forward":
            raise unsupported("of native code only calls of `kernel_forward` are timed")
        if request["batches"] > MAX_BATCHES:
            raise Refusal("adapter", message=f"at most {MAX_BATCHES} batches at a time")
        call, returned = instance.prepared(*request["call"]["arguments"]), 0

        def batch(iterations):
            nonlocal returned
            start = time.perf_counter_ns()
            for _ in range(iterations):
                returned |= call()
            return {"nanoseconds": time.perf_counter_ns() - start, "iterations": iterations}

        done, warm_up, iterations = [], 0, request["iterations"]
        if iterations == 0:
            least = max(STEPS * time.get_clock_info("perf_counter").resolution * 1e9, request["batch_ns"])
            iterations = 1
            while not done:
                one = batch(iterations)
                if one["nanoseconds"] >= least:
                    done.append(one)
                else:
                    warm_up += iterations
                    wanted = int(iterations * least * 1.1 / max(one["nanoseconds"], 1))
                    iterations = min(max(wanted, iterations + 1), iterations * 10)
        while len(done) < request["batches"]:
            done.append(batch(iterations))
        return {"timed": {"series": [{"name": "call", "batches": done}], "warm_up": warm_up, "returned": returned}}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        raise SystemExit(__doc__)
    serve(Engine(Ggml(sys.argv[1] if len(sys.argv) == 2 else OWN)))
