#!/usr/bin/env python3
"""pywasm, an interpreter written in Python, behind the worker protocol. See README.md beside this file.

pywasm has no traps: an assertion or an arithmetic error of Python ends it. The class follows from the instruction that it was
at, the type of that error and, in call_indirect, the function of pywasm that raised it. It validates nothing either.
"""

import io
import platform
import signal
import traceback
from importlib.metadata import version

import pywasm
from worker import minima, no_export, probe_features, rejected, serve, trap, unmapped

PAGE = 65536
TICK_SECONDS = 0.01
LONGEST_SECONDS = 10_000_000


class Deadline(Exception):
    """The alarm of a budget in time."""


def ring(_signal, _frame):
    raise Deadline


def stopped(error, machine, stage):
    """The class of what ended a machine."""
    name = "no instruction"
    if machine.stack.label and machine.stack.label[-1].index > 0:
        label = machine.stack.label[-1]
        name = pywasm.opcode.name.get(label.instr[label.index - 1].opcode, "unknown")
    words = f"{type(error).__name__} at {name}"
    raised_in = traceback.extract_tb(error.__traceback__)[-1].name
    if isinstance(error, MemoryError):
        return trap(stage, "ResourceLimit")
    if raised_in == "evaluate_call" and len(machine.stack.frame) >= 1024:
        return trap(stage, "StackOverflow")
    if name == "unreachable":
        return trap(stage, "Unreachable")
    if ".div_" in name or ".rem_" in name:
        if isinstance(error, ZeroDivisionError):
            return trap(stage, "IntegerDivideByZero")
        if name.endswith(".div_s") and isinstance(error, AssertionError):
            return trap(stage, "IntegerOverflow")
    if ".trunc_f" in name:
        return trap(stage, "InvalidConversionToInteger" if isinstance(error, ValueError) else "IntegerOverflow")
    if name == "call_indirect":
        if isinstance(error, IndexError):
            return trap(stage, "TableAccessViolation")
        if raised_in == "into_ref":
            return trap(stage, "NullFunction")
        if raised_in == "evaluate":
            return trap(stage, "IndirectCallTypeMismatch")
    elif ".load" in name or ".store" in name or name in ("memory.init", "memory.copy", "memory.fill"):
        return trap(stage, "MemoryAccessViolation")
    elif name in ("table.get", "table.set", "table.init", "table.copy", "table.fill"):
        return trap(stage, "TableAccessViolation")
    return unmapped(stage, "pywasm", words)


class Instance:
    def __init__(self, module, budget):
        self.runtime = pywasm.Runtime()
        self.module = self.within(budget, "instantiate", lambda: self.runtime.instance(module))
        self.exports = {export.name: export.data for export in self.module.exps}

    def within(self, budget, stage, work):
        try:
            if budget.kind == "epoch":
                signal.setitimer(signal.ITIMER_REAL, min(max(budget.amount * TICK_SECONDS, 1e-6), LONGEST_SECONDS))
            try:
                return work()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Deadline:
            raise trap(stage, "EpochDeadline") from None
        except Exception as error:
            raise stopped(error, self.runtime.machine, stage) from None

    def exported(self, name, kind):
        found = self.exports.get(name)
        if found is None:
            raise no_export(name, "there is none of this name")
        if found.kind != kind:
            raise no_export(name, "it is of another kind")
        return found.data

    def function(self, name, parameters):
        address = self.exported(name, 0)
        kind = self.runtime.machine.store.func[address].type
        i32 = pywasm.ValType.i32()
        if parameters > 2 or kind.args != [i32] * parameters or kind.rets != [i32]:
            raise no_export(name, "its type is another")
        return address

    def call(self, function, arguments, budget):
        values = [pywasm.ValInst.from_i32(argument) for argument in arguments]
        return self.within(budget, "call", lambda: self.runtime.machine.invocate(function, values)[0].into_i32())

    def global_value(self, name):
        value = self.runtime.machine.store.glob[self.exported(name, 3)].data
        if value.type != pywasm.ValType.i32():
            raise no_export(name, "its type is another")
        return value.into_i32()

    def memory(self):
        return self.runtime.machine.store.mems[self.exported("memory", 2)]

    def pages(self):
        return self.memory().size

    def grow(self, pages):
        try:
            self.memory().grow(pages)
        except (AssertionError, MemoryError):
            raise trap("call", "ResourceLimit") from None

    def read(self, at, length):
        return bytes(self.memory().data[at:at + length])

    def write(self, at, data):
        self.memory().put(at, bytearray(data))


class Module:
    def __init__(self, wasm, options):
        self.wasm, self.limits = wasm, options["limits"]
        try:
            module = self.parse()
            memories, tables = minima(wasm)
        except Exception as error:
            raise rejected(f"{type(error).__name__}: {error}") from None
        if module.imps:
            raise rejected("the host offers nothing to import")
        pages, elements = self.limits["max_memory_pages"], self.limits["max_table_elements"]
        if any(minimum > pages for minimum in memories) or sum(tables) > elements:
            raise trap("compile", "ResourceLimit")

    def parse(self):
        module = pywasm.ModuleDesc.from_reader(io.BytesIO(self.wasm))
        # To pywasm a maximum of 0 is none; one of half a page is one of no page.
        pages, elements = self.limits["max_memory_pages"], self.limits["max_table_elements"]
        for memory in module.mems:
            memory.limits.m = min(memory.limits.m or 65536, pages) or 0.5
        for table in module.tabl:
            table.limits.m = min(table.limits.m or elements, elements) or 0.5
        return module

    def instantiate(self, budget):
        # An instance clears the segments of the module it was made of: each has its own.
        return Instance(self.parse(), budget)


class Engine:
    budgets = ["none", "epoch"]

    def __init__(self):
        signal.signal(signal.SIGALRM, ring)

    def compile(self, wasm, options):
        return Module(wasm, options)

    def info(self):
        return {
            "id": "pywasm",
            "engine": "pywasm",
            "version": version("pywasm"),
            "kind": "interpreter",
            "build": {"python": platform.python_version()},
            "capabilities": {
                "features": probe_features(self),
                "budgets": self.budgets,
                "interruption": "an alarm of the operating system, between two instructions of Python",
                "memory_limit": True,
                # Each table is limited, not their sum.
                "table_limit": False,
                # 1024 frames, whatever is asked for.
                "stack_limit": False,
            },
        }


if __name__ == "__main__":
    serve(Engine())
