"""Deploys an application as a Python program does, with `serve.run`."""

import ray
from ray import serve


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0.1})
class Program:
    def __call__(self, request):
        return "of a program"


ray.init(address="auto", namespace="serve", log_to_driver=False)
serve.run(Program.bind(), name="program", route_prefix="/program")
