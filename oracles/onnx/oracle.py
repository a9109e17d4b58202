"""What an operator of ONNX gives, computed in f64 by the reference evaluator of the package `onnx`.

Speaks the oracle protocol (docs/oracle-protocol.md) over standard input and output.
A request names one operator. Nothing but that operator runs: no model is read, and no graph can be an attribute.
"""

import sys

# Python looks for modules in the current folder first where a program comes as text: nothing is imported from there.
sys.path[:] = [folder for folder in sys.path if folder]

import os

# One thread: sums are always added in the same order. It has to be set before numpy is loaded.
os.environ.update({name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")})

import base64
import json
import math

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

PROTOCOL = 1
LARGEST_LINE = 256 << 20
# Elements of all inputs or all outputs of a request. Twice as many would not fit into a line.
MOST_ELEMENTS = 1 << 24
# Bytes of address space: an operator whose result is larger than its inputs (Expand, Tile) fails here.
MOST_MEMORY = 4 << 30
MOST_DIMENSIONS = 32

# Little-endian forms of what is widened, and of integers, which stay what they are. bf16 is decoded by hand.
DTYPES = {"f32": "<f4", "f16": "<f2", "bf16": "<u2", "i8": "<i1", "u8": "<u1", "i32": "<i4", "u32": "<u4"}
BLOCKS = ("q8", "q4")

# Not answered: the reference evaluator computes these in f32 whatever it is given ...
COMPUTED_IN_F32 = {
    "AffineGrid", "CausalConvWithState", "DeformConv", "DequantizeLinear", "DynamicQuantizeLinear", "GridSample",
    "LinearAttention", "MeanVarianceNormalization", "MelWeightMatrix", "TfIdfVectorizer",
}
# ... and these are no function of their inputs' values, or read what is no tensor.
NO_FUNCTION = {
    "Bernoulli", "BitCast", "Dropout", "ImageDecoder", "Multinomial", "RandomNormal", "RandomNormalLike",
    "RandomUniform", "RandomUniformLike",
}
# Linear in each input: the same of absolute values is the size that errors of rounding are measured against.
SUMS = {"Add", "Conv", "Gemm", "MatMul", "Mean", "ReduceMean", "ReduceSum", "RotaryEmbedding", "Sum"}


class Refused(Exception):
    """A request that cannot be answered; the text says why."""


class Erf(OpRun):
    """The package's own rounds to f32."""

    def _run(self, x):
        return (np.vectorize(math.erf, otypes=[np.float64])(x),)


class Gelu(OpRun):
    """The function body of the package has 2 / pi and 0.044715 in f32, and 1 + erf cancels far below 0."""

    def _run(self, x, approximate="none"):
        if approximate == "tanh":
            return (0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))),)
        if approximate != "none":
            raise Refused(f"Gelu has no approximation {approximate!r}")
        return (0.5 * x * np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2.0)),)


IN_F64 = [Erf, Gelu]


def registered():
    """Operators that the reference evaluator implements by themselves, with the versions it tells apart."""
    from onnx.reference.ops import _op_list

    if _op_list._registered_operators is None:
        _op_list.load_op("", "Add", 14)
    return {
        name: sorted(version for version in versions if version is not None)
        for name, versions in _op_list._registered_operators.items()
    }


def operators():
    """Names of all operators that are answered, in order."""
    implemented = set(registered())
    names = {
        schema.name
        for schema in onnx.defs.get_all_schemas()
        if schema.domain == ""
        and not schema.deprecated
        and (schema.name in implemented or schema.has_function or schema.has_context_dependent_function)
        and not any(attribute.type == onnx.defs.OpSchema.AttrType.GRAPH for attribute in schema.attributes.values())
    }
    return sorted(names - COMPUTED_IN_F32 - NO_FUNCTION)


def find_schema(operator, version):
    """The operator's schema in that version of the operator set.

    Most operators have one implementation, that of their newest version. An older version is answered only where the
    newer one differs in nothing but types.
    """
    newest = onnx.defs.onnx_opset_version()
    if version is None:
        version = newest
    if type(version) is not int or not 1 <= version <= newest:
        raise Refused(f"version is {version!r}, not one of 1 to {newest}, the operator sets of onnx {onnx.__version__}")
    if type(operator) is not str or not onnx.defs.has(operator):
        raise Refused(f"{operator!r} is no operator of onnx {onnx.__version__}")
    if operator in COMPUTED_IN_F32:
        raise Refused(f"the reference evaluator computes {operator} in f32")
    if operator in NO_FUNCTION:
        raise Refused(f"{operator} is no function of its tensors' values")
    try:
        schema = onnx.defs.get_schema(operator, version)
    except onnx.defs.SchemaError:
        raise Refused(f"{operator} is not in operator set {version}") from None
    latest = onnx.defs.get_schema(operator, newest)
    implementations = registered()
    of_its_own = operator not in implementations or len(implementations[operator]) > 1
    if schema.deprecated or not (of_its_own or form(schema) == form(latest)):
        only = f"as of version {latest.since_version} only"
        raise Refused(f"the reference evaluator has {operator} {only}, not {version}")
    return schema, version


def form(schema):
    """What of a schema says how it is called, apart from types."""
    attributes = {
        name: (attribute.type, attribute.required, attribute.default_value.SerializeToString())
        for name, attribute in schema.attributes.items()
    }
    return schema.min_input, schema.max_input, schema.min_output, schema.max_output, attributes


def attribute_value(operator, schema, name, value):
    """A JSON value as the attribute of that name takes it."""
    if name not in schema.attributes:
        raise Refused(f"{operator} has no attribute {name!r}; it has {', '.join(sorted(schema.attributes)) or 'none'}")
    kinds = onnx.defs.OpSchema.AttrType
    convert = {
        kinds.INT: whole, kinds.FLOAT: number, kinds.STRING: text,
        kinds.INTS: lambda v: [whole(one) for one in v],
        kinds.FLOATS: lambda v: [number(one) for one in v],
        kinds.STRINGS: lambda v: [text(one) for one in v],
    }.get(schema.attributes[name].type)
    if convert is None:
        raise Refused(f"attribute {name!r} of {operator} is neither number, string nor list of them")
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        raise Refused(f"attribute {name!r} of {operator} cannot be {json.dumps(value)[:100]}") from None


def whole(value):
    if type(value) not in (int, float) or value != int(value) or abs(value) >= 2**63:
        raise ValueError(value)
    return int(value)


def number(value):
    if type(value) not in (int, float):
        raise ValueError(value)
    return float(value)


def text(value):
    if type(value) is not str:
        raise ValueError(value)
    return value


def read_shape(shape, where):
    ok = type(shape) is list and len(shape) <= MOST_DIMENSIONS
    if not ok or any(type(size) is not int or size < 0 for size in shape):
        raise Refused(f"{where}: the shape is no list of at most {MOST_DIMENSIONS} sizes")
    if math.prod(shape) > MOST_ELEMENTS:
        raise Refused(f"{where}: more than {MOST_ELEMENTS} elements")
    return shape


def read_tensor(tensor):
    """An input of a request: floats as f64, integers as they are."""
    if type(tensor) is not dict:
        raise Refused("an input is no object")
    where = f"input {str(tensor.get('name'))[:100]!r}"
    dtype = tensor.get("dtype")
    if dtype in BLOCKS:
        raise Refused(f"{where}: blocks of type {dtype} are no tensors of ONNX")
    if type(dtype) is not str or dtype not in DTYPES:
        raise Refused(f"{where}: unknown dtype {dtype!r}")
    shape = read_shape(tensor.get("shape"), where)
    try:
        data = base64.b64decode(tensor.get("data"), validate=True)
    except (TypeError, ValueError):
        raise Refused(f"{where}: data is no base64") from None
    element = np.dtype(DTYPES[dtype])
    if len(data) != math.prod(shape) * element.itemsize:
        raise Refused(f"{where}: {len(data)} bytes of data for a {dtype} tensor of shape {shape}")
    array = np.frombuffer(data, element).reshape(shape)
    if dtype == "bf16":
        array = (array.astype("<u4") << 16).view("<f4")
    return array.astype(np.float64) if array.dtype.kind == "f" else array.astype(element.newbyteorder("="))


def run(operator, version, attributes, inputs, outputs):
    """The outputs of a model of one node. `inputs` may hold None for one that is absent."""
    helper = onnx.helper
    names = ["" if tensor is None else f"input{index}" for index, tensor in enumerate(inputs)]
    feeds = {name: tensor for name, tensor in zip(names, inputs) if name}
    results = [f"output{index}" if name else "" for index, name in enumerate(outputs)]
    wanted = [name for name in results if name]
    types = {name: helper.np_dtype_to_tensor_dtype(tensor.dtype) for name, tensor in feeds.items()}
    graph = helper.make_graph(
        [helper.make_node(operator, names, results, **attributes)],
        "one_node",
        [helper.make_tensor_value_info(name, types[name], feeds[name].shape) for name in feeds],
        [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in wanted],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    with np.errstate(all="ignore"):
        values = iter(ReferenceEvaluator(model, new_ops=IN_F64).run(wanted, feeds))
    return [next(values) if name else None for name in results]


def widened(operator, value, floats):
    """An output as f64. With inputs in f64 an output in a narrower float type was rounded on the way."""
    if not isinstance(value, np.ndarray):
        raise Refused(f"{operator} gives no tensor")
    if value.dtype.kind not in "fiub" or (floats and value.dtype.kind == "f" and value.dtype != np.float64):
        raise Refused(f"{operator} gives {value.dtype}, not f64")
    if value.size > MOST_ELEMENTS:
        raise Refused(f"{operator} gives more than {MOST_ELEMENTS} elements")
    return np.ascontiguousarray(value, dtype="<f8").reshape(value.shape)


def encoded(array):
    return base64.b64encode(array.tobytes()).decode("ascii")


def evaluate(request):
    operator = request.get("operator")
    schema, version = find_schema(operator, request.get("version"))
    attributes, inputs, outputs = (request.get(key) for key in ("attributes", "inputs", "outputs"))
    attributes = {} if attributes is None else attributes
    if type(attributes) is not dict or type(inputs) is not list:
        raise Refused("attributes are no object, or inputs no list")
    if type(outputs) is not list or not outputs or any(type(name) is not str for name in outputs) or not any(outputs):
        raise Refused("outputs are no list of names with one that is wanted")
    attributes = {name: attribute_value(operator, schema, name, value) for name, value in attributes.items()}
    # These name the type that an operator computes in. Without them operators that have an implementation of their own
    # compute in the type of their inputs; function bodies need to be told, or take f32.
    for name in ("stash_type", "softmax_precision"):
        if name in schema.attributes:
            attributes.pop(name, None)
            if operator not in registered():
                attributes[name] = onnx.TensorProto.DOUBLE
    inputs = [None if tensor is None else read_tensor(tensor) for tensor in inputs]
    present = [tensor for tensor in inputs if tensor is not None]
    if not schema.min_input <= len(inputs) <= schema.max_input:
        raise Refused(f"{operator} takes {schema.min_input} to {schema.max_input} inputs, not {len(inputs)}")
    if not schema.min_output <= len(outputs) <= schema.max_output:
        raise Refused(f"{operator} gives {schema.min_output} to {schema.max_output} outputs, not {len(outputs)}")
    if sum(tensor.size for tensor in present) > MOST_ELEMENTS:
        raise Refused(f"the inputs have more than {MOST_ELEMENTS} elements")
    floats = any(tensor.dtype.kind == "f" for tensor in present)
    values = run(operator, version, attributes, inputs, outputs)
    values = [None if value is None else widened(operator, value, floats) for value in values]
    if sum(value.size for value in values if value is not None) > MOST_ELEMENTS:
        raise Refused(f"{operator} gives more than {MOST_ELEMENTS} elements")
    answers = [value if value is None else {"shape": list(value.shape), "data": encoded(value)} for value in values]
    if operator in SUMS and floats:
        sizes = {name: abs(value) if type(value) is float else value for name, value in attributes.items()}
        absolute = [tensor if tensor is None or tensor.dtype.kind != "f" else np.abs(tensor) for tensor in inputs]
        magnitudes = run(operator, version, sizes, absolute, outputs)
        if operator == "RotaryEmbedding":
            # A sum and a difference: with the sine negated each is the other.
            [turned] = run(operator, version, sizes, [*absolute[:2], -absolute[2], *absolute[3:]], outputs)
            magnitudes = [np.maximum(np.abs(magnitudes[0]), np.abs(turned))]
        for answer, magnitude in zip(answers, magnitudes):
            if answer is not None:
                answer["magnitude"] = encoded(widened(operator, magnitude, floats))
    return {"outputs": answers}


def answer(line):
    """The reply to one line, without its line end."""
    identity = None
    try:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            raise Refused("the line is no JSON") from None
        if type(request) is not dict:
            raise Refused("the request is no object")
        identity = request.get("id")
        operation = request.get("op")
        if operation == "hello":
            if request.get("protocol") != PROTOCOL:
                raise Refused(f"this oracle speaks protocol {PROTOCOL}")
            hello = {"protocol": PROTOCOL, "name": "onnx", "version": onnx.__version__, "operators": operators()}
            return {"id": identity, "hello": hello}
        if operation == "evaluate":
            return {"id": identity, "evaluated": evaluate(request)}
        raise Refused(f"unknown op {operation!r}")
    except Refused as refusal:
        return {"id": identity, "failed": str(refusal)}
    except MemoryError:
        return {"id": identity, "failed": f"more than {MOST_MEMORY >> 30} GiB of memory"}
    # The evaluator raises whatever numpy and its own code raise. The host has to hear of each.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        cause = error.__cause__
        return {"id": identity, "failed": reason[:1000] + (f" ({cause})"[:1000] if cause else "")}


def limit_memory():
    try:
        import resource
    except ImportError:  # not on Unix
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def main():
    limit_memory()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    # Whatever else prints must not get between replies.
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    while line := requests.readline(LARGEST_LINE + 1):
        if len(line) > LARGEST_LINE:
            sys.exit(f"a request of more than {LARGEST_LINE} bytes")
        replies.write(json.dumps(answer(line), separators=(",", ":")) + "\n")
        replies.flush()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
