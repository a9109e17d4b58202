"""The worker protocol (docs/worker-protocol.md) for adapters in Python: lines in, lines out, one instance per module."""

import base64
import hashlib
import json
import sys

PAGE = 65536
MAX_LINE_BYTES = 64 * 1024 * 1024

# One module per feature that packs may use; its export `probe` gives 1.
PROBES = {
    "mutable-globals": "AGFzbQEAAAABBQFgAAF/AwIBAAYGAX8BQQALBxMCB2NvdW50ZXIDAAVwcm9iZQAACgoBCABBASQAIwAL",
    "sign-extension": "AGFzbQEAAAABBQFgAAF/AwIBAAcJAQVwcm9iZQAACgwBCgBBgAHAQYB/Rgs=",
    "saturating-float-to-int": "AGFzbQEAAAABBQFgAAF/AwIBAAcJAQVwcm9iZQAAChIBEABD+QIVUPwAQf////8HRgs=",
    "multi-value": "AGFzbQEAAAABCgJgAAJ/f2AAAX8DAwIAAQcJAQVwcm9iZQABCg4CBgBBA0ECCwUAEABrCw==",
    "bulk-memory": "AGFzbQEAAAABBQFgAAF/AwIBAAUDAQABBwkBBXByb2JlAAAMAQEKJgEkAEEAQQBBAfwIAABBBEEAQQH8CgAAQQBBAEEB/AsAQQQoAgALCwQBAQEB",
    "reference-types": "AGFzbQEAAAABBQFgAAF/AwIBAAQHAnAAAW8AAQcJAQVwcm9iZQAAChEBDwDQb0EB/A8BGkEBJQHRCw==",
    "simd": "AGFzbQEAAAABBQFgAAF/AwIBAAcJAQVwcm9iZQAACiUBIwD9DAAAgD8AAABAAABAQAAAgEBDAACAQP0T/UH9GwNBf0YL",
}


class Refusal(Exception):
    """An ERROR of the protocol."""

    def __init__(self, kind, **keys):
        super().__init__(kind, keys)
        self.error = {"kind": kind, **keys}


def trap(stage, name):
    return Refusal("trap", stage=stage, trap=name)


def unmapped(stage, engine, text):
    return trap(stage, {"EngineOther": {"engine": engine, "text": text}})


def rejected(message):
    return Refusal("rejected", stage="compile", message=str(message) or "without words")


def no_export(name, message):
    return Refusal("export", name=name, message=message)


def signed(bits):
    return bits - (1 << 32) if bits >= 1 << 31 else bits


def minima(wasm):
    """Minimum pages of each memory and minimum elements of each table of a module that the engine has accepted."""
    position = 8

    def number():
        nonlocal position
        value = shift = 0
        while True:
            byte = wasm[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    memories, tables = [], []
    while position < len(wasm):
        section = wasm[position]
        position += 1
        size = number()
        end = position + size
        if section in (4, 5):
            for _ in range(number()):
                if section == 4:
                    position += 1  # the type of the elements
                flags = number()
                (tables if section == 4 else memories).append(number())
                if flags & 1:
                    number()
        position = end
    return memories, tables


class Budget:
    """A budget of the protocol: `kind` and, but for none, `amount`."""

    def __init__(self, wire):
        if wire == "none":
            self.kind, self.amount = "none", None
        else:
            ((self.kind, self.amount),) = wire.items()

    def check(self, metering):
        if self.kind not in ("none", metering):
            raise Refusal("unsupported", reason=f"the module was loaded for budgets of {metering}")
        return self


def probe_features(engine):
    """The features whose probes run on an engine."""
    options = {"limits": {"max_memory_pages": 16, "max_table_elements": 16, "max_stack_bytes": 512 * 1024}, "metering": "none"}
    found = []
    for feature, text in PROBES.items():
        try:
            instance = engine.compile(base64.b64decode(text), options).instantiate(Budget("none"))
            if instance.call(instance.function("probe", 0), [], Budget("none")) == 1:
                found.append(feature)
        except Refusal:
            pass
    return found


def inside(instance, at, length):
    memory_bytes = instance.pages() * PAGE
    if at + length > memory_bytes:
        raise Refusal("access", at=at, length=length, memory_bytes=memory_bytes)


class Loaded:
    def __init__(self, module, metering):
        self.module, self.metering, self.instance = module, metering, None

    def live(self):
        if self.instance is None:
            raise Refusal("adapter", message="the module has no instance to use again")
        return self.instance

    def run(self, request):
        budget = Budget(request["budget"]).check(self.metering)
        budgets = [Budget(call["budget"]).check(self.metering) for call in request["calls"]]
        if request["instance"] == "fresh":
            self.instance = None
            self.instance = self.module.instantiate(budget)
        instance = self.live()
        pages, reads = request.get("pages", 0), request.get("reads", [])
        if pages > 0 and instance.pages() < pages:
            instance.grow(pages - instance.pages())
        for write in request.get("writes", []):
            data = base64.b64decode(write["bytes"]) if "bytes" in write else None
            length = write["length"] if data is None else len(data)
            inside(instance, write["at"], length)
            if length > 0:
                instance.write(write["at"], bytes([write["fill"]]) * length if data is None else data)
        functions = [instance.function(call["export"], len(call["arguments"])) for call in request["calls"]]
        calls = []
        for call, function, budget in zip(request["calls"], functions, budgets):
            try:
                calls.append({"returned": instance.call(function, [signed(bits) for bits in call["arguments"]], budget)})
            except Refusal as refusal:
                self.instance = None
                calls.append({"failed": refusal.error})
                return {"calls": calls, "reads": [], "pages": 0}
        fetched = []
        for read in reads:
            inside(instance, read["at"], read["length"])
            data = instance.read(read["at"], read["length"]) if read["length"] > 0 else b""
            if read["form"] == "sha256":
                data = hashlib.sha256(data).digest()
            fetched.append(base64.b64encode(data).decode())
        return {"calls": calls, "reads": fetched, "pages": instance.pages() if pages > 0 or reads else 0}


def answer(engine, modules, request):
    operation = request["op"]
    if operation == "hello":
        return {"hello": {"protocol": 1, "info": engine.info(), "operations": ["global", *getattr(engine, "operations", ())]}}
    if operation == "load":
        options = request["options"]
        if options["metering"] not in engine.budgets:
            raise Refusal("unsupported", reason=f"this engine has no budgets of {options['metering']}")
        wasm = base64.b64decode(request["wasm"])
        if wasm[:8] != b"\0asm\1\0\0\0" and not getattr(engine, "is_native", False):
            raise rejected("this is no binary module of version 1")
        number = modules["next"]
        modules[number] = Loaded(engine.compile(wasm, options), options["metering"])
        modules["next"] += 1
        return {"loaded": {"module": number}}
    if request["module"] not in modules:
        raise Refusal("adapter", message=f"no module {request['module']} is loaded")
    if operation == "run":
        return {"ran": modules[request["module"]].run(request)}
    if operation == "global":
        return {"global": {"value": modules[request["module"]].live().global_value(request["export"])}}
    if operation in getattr(engine, "operations", ()):
        return getattr(engine, operation)(modules[request["module"]].live(), request)
    if operation == "drop":
        del modules[request["module"]]
        return {"dropped": {}}
    raise Refusal("unsupported", reason=f"there is no operation {operation}")


def serve(engine):
    """Answers requests until stdin ends."""
    modules = {"next": 1}
    replies = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a package prints is no reply
    while line := sys.stdin.buffer.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise ValueError("a request is longer than the protocol allows")
        request = json.loads(line)
        try:
            result = answer(engine, modules, request)
        except Refusal as refusal:
            result = {"error": refusal.error}
        except Exception as error:
            result = {"error": {"kind": "adapter", "message": f"{type(error).__name__}: {error}"}}
        replies.write(json.dumps({"id": request["id"], **result}).encode() + b"\n")
        replies.flush()
