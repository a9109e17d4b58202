"""An oracle in numpy, to begin with: python3 oracle.py DEFINITION.json. It runs the definition's `reference` in f64.

Speaks the oracle protocol (docs/oracle-protocol.md). To be an oracle of your own, put your formula in place of `run`.
The reference is a program: run it only if you trust who wrote it.
"""

import base64
import json
import sys

import numpy as np

DTYPES = {"f32": "<f4", "f16": "<f2", "bf16": "<u2", "i8": "i1", "u8": "u1", "i32": "<i4", "u32": "<u4"}
definition = json.load(open(sys.argv[1], encoding="utf-8"))
names = {}
exec(compile(definition["reference"], sys.argv[1], "exec"), names)


def read(tensor):
    array = np.frombuffer(base64.b64decode(tensor["data"]), DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    if tensor["dtype"] == "bf16":
        array = (array.astype("<u4") << 16).view("<f4")
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def evaluate(request):
    tensors = {tensor["name"]: tensor for tensor in request["inputs"] if tensor}
    scalars = request["attributes"]
    values = {
        name: scalars[name] if form["shape"] is None else read(tensors[name])
        for name, form in definition["inputs"].items()
    }
    with np.errstate(all="ignore"):
        results = names["run"](**values)
    results = dict(zip(definition["outputs"], results if isinstance(results, tuple) else [results]))
    arrays = [np.asarray(results[name], "<f8") if name else None for name in request["outputs"]]
    return {"outputs": [array if array is None else
                        {"shape": array.shape, "data": base64.b64encode(array.tobytes()).decode()} for array in arrays]}


for line in sys.stdin:
    request = json.loads(line)
    reply = {"id": request["id"]}
    try:
        if request["op"] == "hello":
            reply["hello"] = {"protocol": 1, "name": "numpy", "version": np.__version__, "operators": ["*"]}
        else:
            reply["evaluated"] = evaluate(request)
    except Exception as error:  # whatever a reference raises is why there is no answer
        reply = {"id": request["id"], "failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
