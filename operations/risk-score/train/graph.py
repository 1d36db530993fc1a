"""Writes an additive model as a dense ONNX graph.

A piecewise linear curve is a start value and, for each stretch between two knots, a rise that is taken
by the share of the stretch that lies below the value: sum of rise * clip((x - left) / width, 0, 1).
That is a broadcast and a sum, without lookups, and each term is bounded, so single precision holds.
Stretches lie on the middle axis and inputs on the last, so that every operation runs along memory; the
other way round takes twice as long. Fewer operations would do (a clamp and one product with the slopes),
but their terms are large and cancel: they missed the agreement of 1e-6 between runtimes.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
INPUT = "inputs"


def build(curves, name):
    """The graph as an ONNX model: float [N, F] in; probability [N, 1], contributions [N, F] and
    baseline [1] out."""
    width = len(curves.knots)
    stretches = max(len(k) for k in curves.knots) - 1
    left = np.zeros((1, stretches, width))
    steepness = np.zeros((1, stretches, width))
    rise = np.zeros((1, stretches, width))
    for j, (knots, values) in enumerate(zip(curves.knots, curves.values)):
        n = len(knots) - 1
        left[0, :n, j] = knots[:-1]
        steepness[0, :n, j] = 1.0 / np.diff(knots)
        rise[0, :n, j] = np.diff(values)
    start = np.array([[v[0] for v in curves.values]])
    constants = {
        "if_missing": curves.missing[None, :],
        "left": left,
        "steepness": steepness,
        "rise": rise,
        "start": start,
        "zero": np.array(0.0),
        "one": np.array(1.0),
        "baseline_value": np.array([curves.baseline]),
    }
    initializers = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()]
    initializers += [
        numpy_helper.from_array(np.array([1], dtype=np.int64), "middle_axis"),
    ]
    node = helper.make_node
    nodes = [
        node("IsNaN", [INPUT], ["missing"]),
        node("Where", ["missing", "zero", INPUT], ["filled"]),
        node("Unsqueeze", ["filled", "middle_axis"], ["column"]),
        node("Sub", ["column", "left"], ["past"]),
        node("Mul", ["past", "steepness"], ["share"]),
        node("Max", ["share", "zero"], ["share_above"]),
        node("Min", ["share_above", "one"], ["share_inside"]),
        node("Mul", ["share_inside", "rise"], ["risen"]),
        node("ReduceSum", ["risen", "middle_axis"], ["sum_risen"], keepdims=0),
        node("Add", ["sum_risen", "start"], ["of_value"]),
        node("Where", ["missing", "if_missing", "of_value"], ["contributions"]),
        node("ReduceSum", ["contributions", "middle_axis"], ["total"], keepdims=1),
        node("Add", ["total", "baseline_value"], ["logit"]),
        node("Sigmoid", ["logit"], ["probability"]),
        node("Identity", ["baseline_value"], ["baseline"]),
    ]
    value = lambda n, shape: helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        name,
        [value(INPUT, ["rows", width])],
        [value("probability", ["rows", 1]), value("contributions", ["rows", width]), value("baseline", [1])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="salus-risk-score")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model
