"""The handler of the models that check.py deploys. TorchServe runs it in its own processes."""

import json

import torch
from ts.torch_handler.base_handler import BaseHandler


class Sum(BaseHandler):
    """Answers with the sum of each row, times the factor of the model."""

    def initialize(self, context):
        folder = context.system_properties["model_dir"]
        self.model = torch.jit.load(f"{folder}/{context.manifest['model']['serializedFile']}")
        self.initialized = True

    def preprocess(self, requests):
        # The plugin sends a form, whose fields are text.
        return torch.tensor([json.loads(request["data"]) for request in requests])

    def inference(self, rows):
        return self.model(rows)

    def postprocess(self, sums):
        return sums.tolist()
