"""Kokoro's int8 graph rewritten for OpenVINO: the same weights in float, and sines that fuse.

The package's graph quantises every activation at run time and multiplies in int8: 1.8 times real time a
core. With plain convolutions in bfloat16 it is 2.5 times. What bfloat16 can't hold stays as it was: the
phases of the source, which grow over a whole passage, and the inverse STFT. In bfloat16, too, they made the
speech noisy (OVRL 2.3 instead of 3.4).
"""

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

SINE_POWERS = (1, 3, 5, 7, 9)
# Where the graph is cut: the source's spectrum [1, 22, T], durations [N], and what the last layer reads.
SOURCE = "/decoder/decoder/generator/Concat_3_output_0"
DURATIONS = "/encoder/Gather_output_0"
LAST = "/decoder/decoder/generator/LeakyRelu_2_output_0"
AUDIO = "audio"
KINDS = {
    SOURCE: (onnx.TensorProto.FLOAT, [1, 22, None]),
    DURATIONS: (onnx.TensorProto.INT64, [None]),
    LAST: (onnx.TensorProto.FLOAT, [1, 128, None]),
    AUDIO: (onnx.TensorProto.FLOAT, None),
}
SNAKES = ("resblocks", "noise_res")  # the generator's activations; the source's sines keep their precision


class FloatGraph:
    """Rewrites a graph: each quantised product and what scales it become one node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._constants = {constant.name: constant for constant in self._graph.initializer}
        self._maker = {name: node for node in self._graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in self._graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def rewrite(self) -> None:
        """Rewrite the model's graph in place; `part` leaves out what nothing reads any more."""
        plain = {node.output[0]: node for node in map(self._plain, self._quantised())}
        nodes: list[NodeProto] = []
        for node in self._graph.node:
            if node.op_type == "Sin" and any(part in node.name for part in SNAKES):
                nodes += fused_sine(node)
            else:
                nodes.append(plain.get(node.output[0], node))
        coefficients = {f"sine_p{i}": value for i, value in enumerate(sine_coefficients())}
        for name, value in {"sine_inverse": 1 / (2 * np.pi), "sine_half": 0.5, **coefficients}.items():
            self._add(name, np.array(value))
        self._graph.ClearField("node")
        self._graph.node.extend(nodes)

    def _quantised(self) -> list[NodeProto]:
        return [node for node in self._graph.node if node.op_type in ("ConvInteger", "MatMulInteger")]

    def _plain(self, node: NodeProto) -> NodeProto:
        """Return the float node in place of a quantised product, its bias, its cast and its scale."""
        weight = self._value(node.input[1])
        zero = self._value(node.input[3]) if len(node.input) > 3 and node.input[3] else np.float32(0)
        inputs = [self._maker[node.input[0]].input[0], f"{node.name}_weight"]
        (after,) = self._readers[node.output[0]]
        if after.op_type == "Add":
            (bias,) = (name for name in after.input if name != node.output[0])
            while self._maker[bias].op_type != "Div":
                bias = self._maker[bias].input[0]
            inputs.append(f"{node.name}_bias")
            self._add(inputs[-1], self._value(self._maker[bias].input[0]).reshape(-1))
            (after,) = self._readers[after.output[0]]
        (scaled,) = self._readers[after.output[0]]  # after is the cast to float
        (scales,) = (self._maker[name] for name in scaled.input if name != after.output[0])
        (scale,) = (self._value(name) for name in scales.input if name in self._constants)
        convolves = node.op_type == "ConvInteger"
        if convolves:  # per output channel
            zero, scale = (part.reshape(-1, *[1] * (weight.ndim - 1)) for part in (zero, scale))
        self._add(inputs[1], (weight - zero) * scale)
        kind = "Conv" if convolves else "MatMul"
        plain = helper.make_node(kind, inputs, [scaled.output[0]], name=node.name)
        plain.attribute.extend(node.attribute)
        return plain

    def _value(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self._constants[name]).astype(np.float32)

    def _add(self, name: str, value: np.ndarray) -> None:
        self._graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))


def part(model: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    """Return the part of a graph between tensors: the model's own inputs, or some of KINDS."""
    graph, wanted = model.graph, set(outputs)
    nodes: list[NodeProto] = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output).difference(inputs):
            nodes.append(node)
            wanted.update(node.input)
    infos = {info.name: info for info in graph.input}
    infos |= {name: helper.make_tensor_value_info(name, *kind) for name, kind in KINDS.items()}
    read = {name for node in nodes for name in node.input}
    constants = [constant for constant in graph.initializer if constant.name in read]
    entries = [infos[name] for name in inputs if name in read]
    cut = helper.make_graph(nodes[::-1], "part", entries, [infos[name] for name in outputs], constants)
    return helper.make_model(cut, opset_imports=model.opset_import, ir_version=model.ir_version)


def sine_coefficients() -> np.ndarray:
    """Return those of sin 2πy by powers of y in ±½ (least squares, within 2e-5)."""
    turns = np.linspace(-0.5, 0.5, 4001)
    powers = np.stack([turns**power for power in SINE_POWERS], axis=1)
    return np.linalg.lstsq(powers, np.sin(2 * np.pi * turns), rcond=None)[0]


def fused_sine(node: NodeProto) -> list[NodeProto]:
    """Return products and sums in place of a sine, for which OpenVINO has a slow reference only."""
    made: list[NodeProto] = []

    def op(kind: str, first: str, second: str | None, output: str) -> str:
        inputs = [first] if second is None else [first, second]
        made.append(helper.make_node(kind, inputs, [output], name=output))
        return output

    at = f"{node.name}_"
    turns = op("Mul", node.input[0], "sine_inverse", f"{at}turns")
    whole = op("Floor", op("Add", turns, "sine_half", f"{at}shifted"), None, f"{at}whole")
    turn = op("Sub", turns, whole, f"{at}turn")
    square = op("Mul", turn, turn, f"{at}square")
    total = f"sine_p{len(SINE_POWERS) - 1}"
    for power in reversed(range(len(SINE_POWERS) - 1)):
        total = op("Add", op("Mul", total, square, f"{at}times{power}"), f"sine_p{power}", f"{at}sum{power}")
    op("Mul", total, turn, node.output[0])
    return made
