"""Returns its inputs: a tensor of each type that Triton's Python backend can hold."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        outputs = [pb_utils.Tensor("out_" + each.name(), each.as_numpy()) for each in request.inputs()]
        return pb_utils.InferenceResponse(outputs)
