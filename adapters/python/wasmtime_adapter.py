#!/usr/bin/env python3
"""wasmtime as the PyPI package `wasmtime` embeds it, behind the worker protocol. See README.md beside this file."""

import platform
import threading
import time
from importlib.metadata import version

import wasmtime
from wasmtime import TrapCode
from worker import minima, no_export, probe_features, rejected, serve, trap, unmapped

PAGE = 65536
TICK_SECONDS = 0.01
ENDLESS = 1 << 62  # the deadline is added to the clock without a check

# Proposals that packs may not use.
OFF = ["threads", "tail_call", "multi_memory", "memory64", "relaxed_simd", "exceptions", "function_references", "gc",
       "wide_arithmetic", "custom_page_sizes", "stack_switching"]

TRAPS = {
    TrapCode.UNREACHABLE: "Unreachable",
    TrapCode.INTEGER_OVERFLOW: "IntegerOverflow",
    TrapCode.INTEGER_DIVISION_BY_ZERO: "IntegerDivideByZero",
    TrapCode.BAD_CONVERSION_TO_INTEGER: "InvalidConversionToInteger",
    TrapCode.MEMORY_OUT_OF_BOUNDS: "MemoryAccessViolation",
    TrapCode.TABLE_OUT_OF_BOUNDS: "TableAccessViolation",
    TrapCode.INDIRECT_CALL_TO_NULL: "NullFunction",
    TrapCode.BAD_SIGNATURE: "IndirectCallTypeMismatch",
    TrapCode.STACK_OVERFLOW: "StackOverflow",
    TrapCode.INTERRUPT: "EpochDeadline",
    TrapCode.OUT_OF_FUEL: "FuelExhausted",
}


def stopped(error, stage):
    """What wasm code, or its start, ended with."""
    if isinstance(error, wasmtime.Trap):
        try:
            code = error.trap_code
        except ValueError:  # a code that the package has no name for
            code = None
        if code in TRAPS:
            return trap(stage, TRAPS[code])
    return unmapped(stage, "wasmtime", str(error))


class Instance:
    def __init__(self, module, budget):
        self.store = wasmtime.Store(module.engine)
        self.metering = module.metering
        self.store.set_limits(
            memory_size=module.limits["max_memory_pages"] * PAGE, table_elements=module.limits["max_table_elements"])
        self.meter(budget)
        try:
            instance = wasmtime.Instance(self.store, module.module, [])
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            raise stopped(error, "instantiate") from None
        exports = instance.exports(self.store)
        self.exports = {export.name: exports[export.name] for export in module.module.exports}

    def meter(self, budget):
        if self.metering == "epoch":
            self.store.set_epoch_deadline(ENDLESS if budget.amount is None else min(budget.amount, ENDLESS))
        elif self.metering == "fuel":
            self.store.set_fuel((1 << 64) - 1 if budget.amount is None else budget.amount)

    def exported(self, name, kind):
        found = self.exports.get(name)
        if found is None:
            raise no_export(name, "there is none of this name")
        if not isinstance(found, kind):
            raise no_export(name, "it is of another kind")
        return found

    def function(self, name, parameters):
        function = self.exported(name, wasmtime.Func)
        kind = function.type(self.store)
        if parameters > 2 or [str(one) for one in kind.params] != ["i32"] * parameters or [str(one) for one in kind.results] != ["i32"]:
            raise no_export(name, "its type is another")
        return function

    def call(self, function, arguments, budget):
        self.meter(budget)
        try:
            return function(self.store, *arguments)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            raise stopped(error, "call") from None

    def global_value(self, name):
        found = self.exported(name, wasmtime.Global)
        if str(found.type(self.store).content) != "i32":
            raise no_export(name, "its type is another")
        return found.value(self.store)

    def memory(self):
        return self.exported("memory", wasmtime.Memory)

    def pages(self):
        return self.memory().size(self.store)

    def grow(self, pages):
        try:
            self.memory().grow(self.store, pages)
        except wasmtime.WasmtimeError:
            raise trap("call", "ResourceLimit") from None

    def read(self, at, length):
        return bytes(self.memory().read(self.store, at, at + length))

    def write(self, at, data):
        self.memory().write(self.store, data, at)


class Module:
    def __init__(self, engine, wasm, options):
        self.engine, self.limits, self.metering = engine, options["limits"], options["metering"]
        try:
            self.module = wasmtime.Module(engine, wasm)
        except wasmtime.WasmtimeError as error:
            raise rejected(error) from None
        if self.module.imports:
            raise rejected("the host offers nothing to import")
        # The engine refuses these too, with an error that has no kind.
        memories, tables = minima(wasm)
        if any(pages > self.limits["max_memory_pages"] for pages in memories) or sum(tables) > self.limits["max_table_elements"]:
            raise trap("compile", "ResourceLimit")

    def instantiate(self, budget):
        return Instance(self, budget)


class Engine:
    budgets = ["none", "epoch", "fuel"]

    def __init__(self):
        self.engines = {}
        self.ticking = []
        threading.Thread(target=self.tick, daemon=True).start()

    def tick(self):
        while True:
            time.sleep(TICK_SECONDS)
            for engine in list(self.ticking):
                engine.increment_epoch()

    def engine(self, metering, max_stack_bytes):
        key = metering, max_stack_bytes
        if key not in self.engines:
            config = wasmtime.Config()
            for proposal in OFF:
                setattr(config, f"wasm_{proposal}", False)
            config.max_wasm_stack = min(max(max_stack_bytes, 4096), 4 << 20)
            if metering == "epoch":
                config.epoch_interruption = True
            elif metering == "fuel":
                config.consume_fuel = True
            self.engines[key] = wasmtime.Engine(config)
            if metering == "epoch":
                self.ticking.append(self.engines[key])
        return self.engines[key]

    def compile(self, wasm, options):
        return Module(self.engine(options["metering"], options["limits"]["max_stack_bytes"]), wasm, options)

    def info(self):
        return {
            "id": "wasmtime.python",
            "engine": "wasmtime",
            "version": version("wasmtime"),
            "kind": "jit",
            "build": {"python": platform.python_version(), "strategy": "cranelift"},
            "capabilities": {
                "features": probe_features(self),
                "budgets": self.budgets,
                "interruption": "epochs, a thread ticks every 10 ms",
                "memory_limit": True,
                # The package limits each table, not their sum.
                "table_limit": False,
                "stack_limit": True,
            },
        }


if __name__ == "__main__":
    serve(Engine())
