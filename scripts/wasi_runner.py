"""wasi_runner.py [--dir FOLDER]... MODULE [ARGUMENT]...: runs a WASI program under wasmtime.

The program sees, each under its own path, the folders that are named, and the checkout: the nearest folder from the current one
upwards that has a `Cargo.lock`. The current folder is its current folder, and `/tmp` is an empty folder that ends with it. It gets
stdin, stdout, stderr, the arguments, and the environment variables of this project's tests. Its exit code is passed on; 134 stands
for a trap, 125 for a failure of the runner itself. Compiled code is kept beside the module.
"""

import ctypes
import os
import sys
import tempfile
import threading
from pathlib import Path

from wasmtime import Config, Engine, ExitTrap, Linker, Module, Store, Trap, WasiConfig, WasmtimeError, _bindings

# Beginnings of the names of variables that are passed on.
VARIABLES = ("ASSAY_", "CARGO_", "INSTA_", "PROPTEST_", "RUST_")
# Bytes of stack for the program's calls, as much as a process has usually.
STACK = 8 << 20
TRAPPED = 134
FAILED = 125


class Failure(Exception):
    """What the runner cannot do."""


def compiled(engine, path):
    """The module; its code is that of the file beside it where that is newer. A file of another wasmtime is not taken."""
    code = path.with_name(path.name + ".code")
    try:
        if code.stat().st_mtime_ns > path.stat().st_mtime_ns:
            return Module.deserialize_file(engine, str(code))
    except (OSError, WasmtimeError):
        pass
    module = Module.from_file(engine, str(path))
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(module.serialize())
    os.replace(file.name, code)
    return module


def configuration():
    """What the package has no property for, its library has a function for: the pinned one has it."""
    config = Config()
    # The stack of calls may not be larger than one that is not used here.
    _bindings.dll.wasmtime_config_async_stack_size_set(config.ptr(), ctypes.c_uint64(STACK))
    config.max_wasm_stack = STACK
    return config


def run(arguments):
    """Runs the program; its exit code."""
    folders = []
    while arguments and arguments[0] == "--dir":
        if len(arguments) < 2:
            raise Failure("--dir takes a folder")
        folders.append(Path(arguments[1]))
        arguments = arguments[2:]
    if not arguments:
        raise Failure("usage: wasi-runner [--dir FOLDER]... MODULE [ARGUMENT]...")
    path = Path(arguments[0])

    engine = Engine(configuration())
    try:
        module = compiled(engine, path)
    except (OSError, WasmtimeError) as error:
        raise Failure(f"failed to compile `{path}`: {error}") from error
    if any(import_.module == "assay" for import_ in module.imports):
        raise Failure(f"`{path}` was built with the feature `browser` of assay: it needs a page around it, and this is none")

    current = Path.cwd()
    checkout = next((folder for folder in (current, *current.parents) if (folder / "Cargo.lock").is_file()), current)
    wasi = WasiConfig()
    wasi.argv = arguments
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    variables = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
    # insta would ask cargo for it, which cannot be started.
    variables.setdefault("INSTA_WORKSPACE_ROOT", str(checkout))
    wasi.env = variables.items()
    with tempfile.TemporaryDirectory() as scratch:
        wasi.preopen_dir(str(current), ".")
        wasi.preopen_dir(scratch, "/tmp")
        for folder in (*folders, checkout):
            folder = os.path.abspath(folder)
            wasi.preopen_dir(folder, folder)
        store = Store(engine)
        store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        start = linker.instantiate(store, module).exports(store)["_start"]
        try:
            start(store)
        except ExitTrap as exit_:
            return exit_.code
        except (Trap, WasmtimeError) as error:
            print(f"wasi-runner: {error}", file=sys.stderr)
            return TRAPPED
    return 0


def main():
    """Runs the program on a stack that has room for what the program is promised."""
    ended = [FAILED]

    def work():
        try:
            ended[0] = run(sys.argv[1:])
        except (Failure, OSError, WasmtimeError) as error:
            print(f"wasi-runner: {error}", file=sys.stderr)

    threading.stack_size(STACK * 2)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    sys.stdout.flush()
    os._exit(ended[0])


main()
