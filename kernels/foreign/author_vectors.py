"""Writes fixtures/packs/foreign/vectors: the authors' own vectors of kernels without another truth, 40 of each.

python3 kernels/foreign/author_vectors.py, with numpy. Outputs are computed in f64 and rounded once. The same version of
numpy gives the same bytes. The format is that of docs/vectors.md; inputs and outputs have the names of the manifest.
"""

import json
import math
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parents[2] / "fixtures/packs/foreign/vectors"
CASES = 40
# The width of a model's rows, once for each kernel: bytes of vectors are bytes of the pack.
LARGE = 896


def dot(a, b, c, scale, **_):
    """y = c + scale * (a * transposed b), and the sum of the absolute terms of each element."""
    return [c + scale * (a @ b.T)], np.abs(c) + abs(scale) * (np.abs(a) @ np.abs(b).T)


def silu_and_mul(input, **_):
    gate, up = np.split(input, 2, axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return [gate / (1.0 + np.exp(-gate)) * up], None


def quantize_rows_i8(x, **_):
    scale = np.abs(x).max(axis=-1) / 127.0
    with np.errstate(invalid="ignore"):
        codes = np.where(scale[:, None] == 0.0, 0.0, np.rint(x / scale[:, None]))
    return [scale, codes], None


def dot_sizes(index):
    sizes = ((1, 1, 1), (1, 5, 64), (5, 3, 7), (2, 4, 33), (3, 2, 65), (1, 2, 97), (5, 1, 20), (4, 4, 8))
    size = (1, 4, LARGE) if index == CASES - 1 else sizes[index % len(sizes)]
    return dict(zip(("rows", "columns", "depth"), size))


def silu_sizes(index):
    sizes = ((1, 1), (1, 64), (3, 5), (17, 3), (2, 33), (1, 97), (4, 17), (2, 8))
    tokens, intermediate = (2, LARGE) if index == CASES - 1 else sizes[index % len(sizes)]
    return {"tokens": tokens, "width": 2 * intermediate, "intermediate": intermediate}


def quantize_sizes(index):
    sizes = ((1, 1), (3, 5), (1, 64), (17, 3), (2, 33), (5, 20), (1, 97), (4, 17))
    size = (2, LARGE) if index == CASES - 1 else sizes[index % len(sizes)]
    return dict(zip(("rows", "hidden"), size))


def drawn(generator, index, *shape):
    """Ordinary values; every fifth time with magnitudes evenly over many exponents, every seventh with zeros."""
    values = generator.standard_normal(shape)
    if index % 5 == 4:
        values = np.sign(values) * 10.0 ** generator.uniform(-6, 1.5, shape)
    if index % 7 == 6:
        values[generator.random(shape) < 0.3] = 0.0
    return values.astype("<f4")


KERNELS = {
    "dot": (
        dot,
        dot_sizes,
        {"a": ("rows", "depth"), "b": ("columns", "depth"), "c": ("rows", "columns")},
        {"y": "f32"},
    ),
    "silu_and_mul": (silu_and_mul, silu_sizes, {"input": ("tokens", "width")}, {"output": "f32"}),
    "quantize_rows_i8": (quantize_rows_i8, quantize_sizes, {"x": ("rows", "hidden")}, {"scale": "f32", "codes": "i8"}),
}


def special(kernel, index, inputs):
    """The edge cases, one of a kind."""
    edges = {
        "silu_and_mul": {8: [-0.0, 0.0], 16: [-200.0, 5.0], 24: [math.nan, 1.0], 32: [200.0, -3.0]},
        "quantize_rows_i8": {8: [0.0], 16: [-3.0e38], 24: [1e-30]},
        "dot": {8: [0.0], 24: [1e30], 32: [math.nan]},
    }
    values = edges[kernel].get(index)
    if values is not None:
        first = next(iter(inputs.values()))
        first.reshape(-1)[: len(values)] = values
    return values is not None


def written(values, dtype):
    with np.errstate(over="ignore"):
        array = np.asarray(values).astype({"f32": "<f4", "i8": "i1"}[dtype])
    return {"dtype": dtype, "shape": list(array.shape), "hex": array.tobytes().hex()}


def cases(kernel):
    formula, sizes, tensors, outputs = KERNELS[kernel]
    generator = np.random.default_rng(20261129)
    for index in range(CASES):
        params = sizes(index)
        inputs = {name: drawn(generator, index, *(params[axis] for axis in axes)) for name, axes in tensors.items()}
        edge = special(kernel, index, inputs)
        if kernel == "dot":
            params["scale"] = float(np.float32((1.0, -0.125, 0.0, 1.7)[index // 2 % 4]))
        values, magnitude = formula(**{name: values.astype("f8") for name, values in inputs.items()}, **params)
        yield {
            "name": f"{'edge' if edge else 'drawn'}_{index}_" + "x".join(str(size) for size in sizes(index).values()),
            "class": "edge" if edge else "normal",
            "params": params,
            "inputs": {name: written(values, "f32") for name, values in inputs.items()},
            "outputs": {name: written(one, outputs[name]) for name, one in zip(outputs, values)},
        } | ({} if magnitude is None else {"mag": written(magnitude, "f32")})


def written_by_case(made):
    """A line for each case, so that a change shows which ones it touches."""
    head = {name: value for name, value in made.items() if name != "cases"}
    lines = ",\n".join(" " + json.dumps(case, separators=(",", ":")) for case in made["cases"])
    return json.dumps(head, indent=1)[:-2] + f',\n "cases": [\n{lines}\n ]\n}}\n'


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kernel, (formula, *_) in KERNELS.items():
        made = {
            "kernel": kernel,
            "formula": "kernels/foreign/author_vectors.py",
            "versions": {"numpy": np.__version__},
            "cases": list(cases(kernel)),
        }
        (FOLDER / f"{kernel}.json").write_text(written_by_case(made))


if __name__ == "__main__":
    main()
