"""Kokoro in three parts: the decoder in bfloat16 by OpenVINO, what is before and behind it by onnxruntime.

See train.kokoro_graph for what is where, and why.
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino

from train.kokoro_graph import AUDIO, DURATIONS, LAST, SOURCE, FloatGraph, part

INPUTS = ["tokens", "style", "speed"]
OPTIONS = {"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16; elsewhere the int8 graph is as fast."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class KokoroParts:
    """Speaks as a session of the whole graph does."""

    def __init__(self, model: bytes, options: onnxruntime.SessionOptions) -> None:
        def session(cut: onnx.ModelProto) -> onnxruntime.InferenceSession:
            providers = ["CPUExecutionProvider"]
            return onnxruntime.InferenceSession(cut.SerializeToString(), options, providers=providers)

        graph = onnx.load_from_string(model)
        self._source = session(part(graph, INPUTS, [SOURCE, DURATIONS]))
        FloatGraph(graph).rewrite()
        self._tail = session(part(graph, [LAST], [AUDIO]))
        core = openvino.Core()
        decoder = part(graph, [*INPUTS, SOURCE, DURATIONS], [LAST])
        threads = {"INFERENCE_NUM_THREADS": options.intra_op_num_threads}
        found = core.read_model(decoder.SerializeToString())
        self._decoder = core.compile_model(found, "CPU", OPTIONS | threads)
        self._wanted = {entry.any_name for entry in self._decoder.inputs}

    def run(self, inputs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return samples and durations of tokens, style and speed."""
        source, durations = self._source.run([SOURCE, DURATIONS], inputs)
        # onnxruntime's integers are numpy's long long, which OpenVINO doesn't know.
        given = inputs | {SOURCE: source, DURATIONS: np.array(durations.tolist(), np.int64)}
        last = self._decoder({name: value for name, value in given.items() if name in self._wanted})[0]
        (samples,) = self._tail.run([AUDIO], {LAST: np.asarray(last, np.float32)})
        return samples, durations
