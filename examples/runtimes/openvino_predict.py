"""OpenVINO on the CPU.

Run by `linexport verify BUNDLE --external` with
'python examples/runtimes/openvino_predict.py {model} {input} {output} --precision f32'.
Without --precision it computes in what it prefers: bfloat16 where the processor has it.
"""

import argparse

import numpy as np
import openvino

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("input")
parser.add_argument("output")
parser.add_argument("--precision", choices=["f32", "bf16"])
given = parser.parse_args()

hint = {"INFERENCE_PRECISION_HINT": given.precision} if given.precision else {}
compiled = openvino.Core().compile_model(given.model, "CPU", hint)
np.save(given.output, compiled(np.load(given.input))[0])
precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
print(f"OpenVINO {openvino.__version__.split('-')[0]} in {precision}")
