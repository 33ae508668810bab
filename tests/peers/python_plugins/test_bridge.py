"""Tests the bridge with a scripted host, MLflow itself, and the plugins in `fakes`.

The interpreter that runs the tests has to have MLflow.
"""

import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from scripted_host import LIMIT, Failed, Host, plugin

HERE = Path(__file__).resolve().parent
BRIDGE = HERE.parents[2] / "plugins" / "python"
ENVIRONMENT = {"PYTHONPATH": str(HERE / "fakes"), "MLFLOW_DISABLE_TELEMETRY": "true"}
RICH, DRIFT, BARE, HOSTILE, CLASSIC = range(1, 6)


def bridge(*arguments):
    return Host(plugin(BRIDGE, *arguments), ENVIRONMENT)


def eventually(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def setUpModule():
    """Starts one process for all plugins, so that it imports MLflow once."""
    host = Bridge.host = bridge()
    unittest.addModuleCleanup(host.close)
    clients = {"rich": RICH, "drift": DRIFT, "bare": BARE, "hostile": HOSTILE, "faketarget": CLASSIC}
    for name, client in clients.items():
        host.open(f"python:{name}:/suffix", client)


class Bridge(unittest.TestCase):
    host: Host

    def fails(self, code, slot, client, **arguments):
        with self.assertRaises(Failed) as caught:
            self.host.call(slot, client, **arguments)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception

    def rich(self, name, slot="predict"):
        return self.host.call(slot, RICH, body=b"{}", deployment_name=name)


class Opens(Bridge):
    def test_loaded_comes_before_mlflow_is_imported_and_open_reports_progress(self):
        with bridge("--name", "rich") as host:
            number = host.start("open", 1, target_uri="rich:/there")
            host.reply(number)
            steps = [event["message"] for _, event in host.events_of(number) if "progress" in event]
            self.assertEqual(steps, ["imports mlflow", "imports mlflow_fake_targets.rich of mlflow-fake-targets 1.2", "opens rich:/there"])
            self.assertEqual(host.call("target_help"), ("text/plain", b"# rich\n\n- other: not a key of create"))
            with self.assertRaisesRegex(Failed, "expected `rich`"):
                host.open("bare:/x", 2)
            host.open("python:rich:/x", 3)

    def test_the_inner_uri_and_the_options_reach_the_plugin(self):
        self.host.open("python:rich:/there?x=1", 20, region="eu", inputs="json")
        made = self.host.call("create_deployment", 20, name="n", model_uri="m", flavor="f", config={"a": 1}, endpoint="e")
        self.assertEqual(made, {"name": "n", "args": ["rich:/there?x=1", "eu", "m", "f", {"a": 1}, "e"]})
        self.host.open("python:fake_class", 21)
        made = self.host.call("create_deployment", 21, name="n", model_uri="m")
        self.assertEqual(made, {"name": "n", "args": ["fake_class", None, "m", None, {}, None]})

    def test_faults_of_an_open_are_clean_errors(self):
        for uri, code, part in (
            ("python:nope:/x", "RESOURCE_DOES_NOT_EXIST", "expected one of"),
            ("python:", "RESOURCE_DOES_NOT_EXIST", "expected one of"),
            ("python:broken", "INTERNAL_ERROR", "No module named 'mlflow_fake_targets.not_there'"),
            ("python:empty", "INTERNAL_ERROR", "no subclass of BaseDeploymentClient"),
            ("python:abstract", "INTERNAL_ERROR", "abstract"),
            ("python:rich:/refused", "RESOURCE_DOES_NOT_EXIST", "no credentials"),
        ):
            self.assertIn(part, self.fails(code, "open", 30, target_uri=uri).message)
        error = self.fails("INVALID_PARAMETER_VALUE", "open", 30, target_uri="python:rich", options={"regoin": 1})
        self.assertIn("`regoin`", error.message)
        error = self.fails("INVALID_PARAMETER_VALUE", "open", 30, target_uri="python:rich", options={"inputs": "frame"})
        self.assertIn("`dataframe`", error.message)

    def test_help_lists_the_installed_plugins(self):
        media, text = self.host.call("target_help")
        self.assertEqual(media, "text/markdown")
        self.assertIn(b"`python:faketarget`", text)
        self.assertIn(b"`python:sagemaker`", text)


class Verbs(Bridge):
    def test_every_verb_of_a_classic_plugin(self):
        call = self.host.call
        self.assertEqual(
            call("create_deployment", CLASSIC, name="n", model_uri="m", flavor="f"), {"name": "first", "flavor": "f"}
        )
        self.assertEqual(call("update_deployment", CLASSIC, name="n", model_uri="m", flavor="f"), {"name": "n", "flavor": "f"})
        self.assertEqual(call("get_deployment", CLASSIC, name="n"), {"name": "n", "region": "here", "size": "small"})
        self.assertEqual(call("list_deployments", CLASSIC), [{"name": "first"}])
        self.assertIsNone(call("delete_deployment", CLASSIC, name="n"))
        self.assertEqual(call("predict", CLASSIC, body=b"[]", deployment_name="n"), 1)
        self.assertEqual(call("explain", CLASSIC, body=b"[]", deployment_name="n"), ("text/plain", b"1"))
        for slot in ("create_deployment", "delete_deployment"):
            error = self.fails("INTERNAL_ERROR", slot, CLASSIC, name="n", model_uri="m", config={"fail": "yes"})
            self.assertEqual(error.message, "RuntimeError: failure on request")
        self.fails("NOT_IMPLEMENTED", "list_endpoints", CLASSIC)
        self.fails("NOT_IMPLEMENTED", "predict_stream", CLASSIC, credit=1)

    def test_endpoints_and_records_of_many_forms(self):
        call = self.host.call
        self.assertEqual(call("create_endpoint", RICH, name="e", config={"a": 1}), {"name": "e", "config": {"a": 1}})
        self.assertEqual(call("update_endpoint", RICH, endpoint="e"), {"name": "e", "config": {}})
        self.assertIsNone(call("delete_endpoint", RICH, endpoint="e"))
        self.assertEqual(call("list_endpoints", RICH), [{"name": "e"}])
        self.assertEqual(call("get_endpoint", RICH, endpoint="e"), {"name": "e", "id": "m", "size": 3})
        self.assertIsNone(call("update_deployment", RICH, name="n"))
        self.assertEqual(call("get_deployment", RICH, name="object"), {"name": "object", "x": 1, "y": []})
        self.assertEqual(call("get_deployment", RICH, name="number"), {"name": "5", "state": "READY"})
        self.assertEqual(call("get_deployment", RICH, name="n"), {"name": "n", "state": "READY"})
        listed = [{"name": "a"}, {"name": "b", "EndpointName": "b", "Created": "2026-01-02"}, {"name": "c", "size": 1}, {"name": "d"}]
        self.assertEqual(call("list_deployments", RICH), listed)
        self.assertEqual(call("list_deployments", RICH, endpoint="in-a-field"), [{"name": "a"}])
        self.assertEqual(call("list_deployments", RICH, endpoint="by-name"), [{"name": "a", "size": 1}])
        self.assertEqual(call("list_deployments", RICH, endpoint="none"), [])

    def test_streams_are_lazy_and_strict(self):
        chunks = self.host.stream("predict_stream", RICH, body=b"{}", deployment_name="n")
        self.assertEqual(chunks, [{"n": 1}, ("text/plain", b"text"), {"nan": None}])
        self.assertEqual(self.host.stream("predict_stream", RICH, body=b"{}", deployment_name="one"), [{"one": 1}])
        number = self.host.start("predict_stream", RICH, body=b"{}", credit=9, deployment_name="fails")
        with self.assertRaisesRegex(Failed, "RESOURCE_DOES_NOT_EXIST"):
            self.host.reply(number)
        self.assertEqual(len(self.host.chunks[number]), 2)

    def test_changed_signatures(self):
        call = self.host.call
        self.host.open("python:drift", 40, anything=1)
        made = call("create_deployment", 40, name="n", model_uri="m", flavor="f", config={"size": 2, "zone": "z"})
        self.assertEqual(made["args"], ["m", "f", 1, {"config": {"size": 2, "zone": "z"}}, {"anything": 1}])
        self.assertEqual(call("update_deployment", DRIFT, name="n", model_uri="m")["args"], {"model_uri": "m", "flavor": None, "config": {}})
        self.assertEqual(call("get_deployment", DRIFT, name="n")["args"], ["n"])
        body = json.dumps({"inputs": "a", "params": {"t": 1}}).encode()
        self.host.open("python:drift", 41, inputs="json")
        self.assertEqual(call("predict", 41, body=body, deployment_name="d")["args"], ["d", json.loads(body), None])
        body = json.dumps({"dataframe_split": {"data": []}, "params": {"t": 1}}).encode()
        self.assertEqual(call("predict", DRIFT, body=body, deployment_name="d")["args"], ["d", [], {"t": 1}])
        self.assertEqual(call("explain", DRIFT, body=b"[1,2]", deployment_name="d")["args"], [2])
        self.assertIn("`zone`", self.fails("INVALID_PARAMETER_VALUE", "create_endpoint", DRIFT, name="e").message)
        self.assertEqual(call("update_endpoint", DRIFT, endpoint="e", config={"a": 1}), {"name": "e", "args": {"a": 1}})
        self.assertIn("`endpoint`", self.fails("INVALID_PARAMETER_VALUE", "delete_deployment", DRIFT, name="n", endpoint="e").message)

    def test_the_fewest_arguments(self):
        call = self.host.call
        number = self.host.start("create_deployment", BARE, name="n", model_uri="m", config={"a": 1})
        self.assertEqual(self.host.reply(number), {"name": "n"})
        self.assertIn("`a` has no effect", str(self.host.events_of(number)))
        self.assertIn("`flavor`", self.fails("INVALID_PARAMETER_VALUE", "create_deployment", BARE, name="n", model_uri="m", flavor="f").message)
        self.assertEqual(call("update_deployment", BARE, name="n"), None)
        self.assertEqual(call("get_deployment", BARE, name="n"), {"name": "n"})
        self.assertEqual(call("list_deployments", BARE), [{"name": "a"}])
        self.assertEqual(call("predict", BARE, body=b"[1]", deployment_name="d"), [1])
        self.fails("INVALID_PARAMETER_VALUE", "predict", BARE, body=b"[1]", endpoint="e")


class Values(Bridge):
    def arrived(self, body, content_type=None, client=RICH):
        head = {"content_type": content_type} if content_type else {}
        return self.host.call("predict", client, body=body, endpoint="e", **head)["inputs"]

    def test_inputs_become_frames_arrays_json_or_text(self):
        frame = ["DataFrame", ["a", "b"], ["0", "1"], [[1, "00123"], [2, None]]]
        split = {"columns": ["a", "b"], "data": [[1, "00123"], [2, None]]}
        rows = [{"a": 1, "b": "00123"}, {"a": 2, "b": None}]
        for value in ({"dataframe_split": split}, {"dataframe_records": rows}, rows):
            self.assertEqual(self.arrived(json.dumps(value).encode()), frame)
        split["index"] = [7, 8]
        self.assertEqual(self.arrived(json.dumps({"dataframe_split": split}).encode())[2], ["7", "8"])
        self.assertEqual(self.arrived(b"a,b\n1,x\n", "text/csv; charset=utf-8"), ["DataFrame", ["a", "b"], ["0"], [[1, "x"]]])
        self.assertEqual(self.arrived(b'{"inputs": [[1, 2]]}'), ["ndarray", [[1, 2]]])
        self.assertEqual(self.arrived(b'{"inputs": {"x": [1]}}'), ["arrays", {"x": [1]}])
        self.assertEqual(self.arrived(b'{"instances": [{"x": 1}, {"x": 2}]}'), ["arrays", {"x": [1, 2]}])
        chat = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0}
        self.assertEqual(self.arrived(json.dumps(chat).encode()), ["dict", chat])
        self.assertEqual(self.arrived(b"[1, 2]"), ["list", [1, 2]])
        self.assertEqual(self.arrived(b""), ["NoneType", None])
        self.assertEqual(self.arrived(b"hi", "text/plain"), ["str", "hi"])
        self.assertEqual(self.arrived(b"hi", "image/png"), ["bytes", "hi"])

    def test_the_option_inputs_chooses_the_form(self):
        for number, (form, body, expected) in enumerate((
            ("json", b'{"dataframe_split": 1}', ["dict", {"dataframe_split": 1}]),
            ("text", b'{"a": 1}', ["str", '{"a": 1}']),
            ("bytes", b"[1]", ["bytes", "[1]"]),
            ("dataframe", b'{"a": [1, 2]}', ["DataFrame", ["a"], ["0", "1"], [[1], [2]]]),
            ("dataframe", b'{"columns": ["a"], "data": [[1]]}', ["DataFrame", ["a"], ["0"], [[1]]]),
            ("array", b"[[1, 2]]", ["ndarray", [[1, 2]]]),
            ("array", b'{"dataframe_records": [{"a": 1}]}', ["ndarray", [[1]]]),
        )):
            client = self.host.open("python:rich", 60 + number, inputs=form)
            self.assertEqual(self.arrived(body, client=client), expected, form)

    def test_wrong_inputs_are_errors_of_the_caller(self):
        for body, content_type in (
            (b"{", None), (b'{"dataframe_split": 1}', None), (b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', None),
            (b'{"inputs": [[1], [2, 3]]}', None), (b"", "text/csv"), (b"\xff", "text/plain"),
        ):
            self.fails("INVALID_PARAMETER_VALUE", "predict", RICH, body=body, content_type=content_type, endpoint="e")

    def test_results_become_strict_json(self):
        for name, expected in {
            "frame": {"predictions": [{"a": 1.5, "b": "2026-01-02T00:00:00"}, {"a": None, "b": None}]},
            "series": {"predictions": [1, 2, 3]},
            "array": {"predictions": [[1.0, None], [2.0, 3.0]]},
            "response": {"predictions": [1, 2], "usage": {"tokens": 3}},
            "own": {"own": None},
            "scalars": {
                "i": 1, "f": 0.5, "b": True, "s": "x", "nan": None, "d64": "2026-01-02T03:04:05", "nat": None, "na": None,
                "zero": 7, "stamp": "2026-01-02T00:00:00", "delta": 120.0,
            },
            "dates": ["2026-01-02T03:00:00", "2026-01-02", "03:00:00"],
            "decimals": [1.5, 10, None],
            "objects": {
                "pydantic": {"when": "2026-01-02", "score": None}, "data": {"x": 1, "y": [{"id": "m", "size": 3}]}, "enum": "red",
                "uuid": "00000000-0000-0000-0000-000000000000", "set": [1], "tuple": [1, 2], "bytes": "/w==", "generator": [0, 1],
            },
            "keys": {"1": "a", "2": "b", "[1, 2]": "c", "null": "d", "?": "?"},
            "text": ("text/plain", b"3.0"),
            "json-text": {"a": [1, None]},
            "bytes": ("application/octet-stream", b"\x00\xff"),
            "none": None,
            "list": [1, 2],
            "generator": [0, 1, 2],
        }.items():
            self.assertEqual(self.rich(name), expected, name)
        self.assertEqual(self.rich("loop")["itself"]["a"], 1)
        body = b'{"dataframe_records": [{"a": 1}]}'
        self.assertEqual(self.host.call("explain", RICH, body=body, deployment_name="n"), [{"a": 1}])

    def test_exceptions_keep_codes_status_and_body(self):
        for name, code, message in (
            ("missing", "RESOURCE_DOES_NOT_EXIST", "no such model"), ("exists", "RESOURCE_ALREADY_EXISTS", "is taken"),
            ("internal", "INTERNAL_ERROR", "broken"), ("value", "INTERNAL_ERROR", "ValueError: a bad value"),
            ("unimplemented", "NOT_IMPLEMENTED", "not yet"), ("empty", "INTERNAL_ERROR", "KeyError"),
            ("refused", "TEMPORARILY_UNAVAILABLE", "ConnectionRefusedError: connection refused"),
        ):
            error = self.fails(code, "predict", RICH, body=b"{}", deployment_name=name)
            self.assertEqual(error.message, message)
            self.assertNotIn("http", error.fields)
        error = self.fails("RESOURCE_DOES_NOT_EXIST", "predict", RICH, body=b"{}", deployment_name="http")
        self.assertEqual(error.fields["http"], {"status": 404, "body": '{"detail": "no"}'})
        self.assertNotIn("Traceback", str(error.fields))
        error = self.fails("RESOURCE_DOES_NOT_EXIST", "predict", RICH, body=b"{}", deployment_name="cause")
        self.assertEqual((error.message, error.fields["http"]["status"]), ("the server said no", 404))
        self.assertIn("404 Client Error", error.fields["causes"][0])
        error = self.fails("RESOURCE_EXHAUSTED", "predict", RICH, body=b"{}", deployment_name="boto")
        self.assertEqual(error.fields["http"]["request_id"], "r-1")
        self.assertEqual((error.fields["retryable"], error.fields["details"]["error_code"]), (True, "Throttling"))
        error = self.fails("RESOURCE_DOES_NOT_EXIST", "predict", RICH, body=b"{}", deployment_name="context")
        self.assertEqual((error.fields["http"]["status"], error.message[:19]), (400, "There was an error:"))

    def test_the_traceback_is_a_debug_event_of_the_call(self):
        number = self.host.start("predict", RICH, body=b"{}", deployment_name="value")
        with self.assertRaises(Failed):
            self.host.reply(number)
        (level, event), = self.host.events_of(number)
        self.assertEqual(level, 4)
        self.assertIn("Traceback", event["message"])
        self.assertIn("rich.py", event["message"])


class Hostile(Bridge):
    def test_output_is_the_log_and_exits_are_errors(self):
        at_import = {"written to fd 1 at import", "printed at import"}
        self.assertTrue(eventually(lambda: at_import <= set(self.host.log)))
        self.assertEqual(self.host.call("predict", HOSTILE, body=b"{}", deployment_name="print"), {"ok": True})
        self.assertTrue(eventually(lambda: {"printed", "from a program"} <= set(self.host.log)))
        error = self.fails("INTERNAL_ERROR", "predict", HOSTILE, body=b"{}", deployment_name="exit")
        self.assertEqual(error.message, "the Python plugin called sys.exit(3)")
        self.fails("INTERNAL_ERROR", "predict", HOSTILE, body=b"{}", deployment_name="recursion")
        self.fails("NOT_IMPLEMENTED", "delete_deployment", HOSTILE, name="n")

    def test_a_call_that_hangs_is_answered_at_its_deadline_and_others_go_on(self):
        number = self.host.start("predict", HOSTILE, body=b"{}", deployment_name="hang", timeout_ms=200)
        self.assertEqual(self.host.call("predict", HOSTILE, body=b"{}", deployment_name="n"), {"ok": True})
        with self.assertRaisesRegex(Failed, "DEADLINE_EXCEEDED"):
            self.host.reply(number)

    def test_a_crash_ends_the_process_with_its_stack_in_the_log(self):
        for name, status in (("_exit", 7), ("segfault", -11)):
            with bridge("--name", "hostile") as host:
                client = host.open("hostile:")
                with self.assertRaisesRegex(Failed, "sys.exit\\('no help'\\)"):
                    host.call("target_help")
                host.start("predict", client, body=b"{}", deployment_name=name)
                self.assertTrue(eventually(lambda: host.process.poll() is not None))
                self.assertEqual(host.process.returncode, status)
                host.logger.join(LIMIT)
                self.assertEqual(any("hostile.py" in line for line in host.log), name == "segfault", host.log)


class Local(Bridge):
    def run_local(self, name, **arguments):
        return self.host.start("run_local", credit=9, target_uri=f"python:{name}:/x", name="n", model_uri="m", **arguments)

    def ready(self, number):
        self.host.wait(lambda: number in self.host.chunks or number in self.host.replies, "an event")
        self.assertIn(number, self.host.chunks, self.host.replies)
        return json.loads(self.host.chunks[number][0].second)

    def cancelled(self, number):
        self.host.cancel(number)
        with self.assertRaisesRegex(Failed, "CANCELLED"):
            self.host.reply(number)

    def test_a_function_that_returns_has_ended(self):
        number = self.run_local("faketarget", flavor="f", config={"a": "b"})
        self.assertIsNone(self.host.reply(number))
        self.assertEqual(self.ready(number), {"event": "ready", "url": None})
        line = "serves n from m as f with {'a': 'b'}"
        self.assertTrue(eventually(lambda: line in self.host.log))

    def test_a_function_with_a_target_serves_until_it_is_interrupted(self):
        number = self.run_local("drift")
        self.assertEqual(self.ready(number), {"event": "ready", "url": "http://127.0.0.1:5000/invocations"})
        self.assertTrue(eventually(lambda: "['drift:/x', 'n', 'm', None, {}]" in self.host.log))
        self.cancelled(number)
        self.assertTrue(eventually(lambda: "interrupted" in self.host.log))

    def test_programs_of_a_function_that_returned_serve_until_the_cancel(self):
        number = self.run_local("serving")
        self.assertEqual(self.ready(number), {"event": "ready", "url": None})
        self.assertNotIn(number, self.host.replies)
        self.cancelled(number)

    def test_faults_of_run_local_are_errors(self):
        faults = (
            ("rich", "RESOURCE_DOES_NOT_EXIST", "no model m"), ("hostile", "INTERNAL_ERROR", "status 9"),
            ("printing", "INTERNAL_ERROR", "sys.exit(2)"), ("bare", "NOT_IMPLEMENTED", "run_local"),
            ("nope", "RESOURCE_DOES_NOT_EXIST", "expected one of"),
        )
        for number, code, part in [(self.run_local(name), code, part) for name, code, part in faults]:
            with self.assertRaises(Failed) as caught:
                self.host.reply(number)
            self.assertEqual(caught.exception.code, code)
            self.assertIn(part, caught.exception.message)


class Describes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for folder in (HERE / "fakes", BRIDGE, BRIDGE.parents[1] / "plugin-api" / "python"):
            sys.path.insert(0, str(folder))
        from mlflow_deploy_bridge.describe import describe

        cls.describe = staticmethod(describe)

    def run_describe(self, *arguments):
        done = subprocess.run(
            plugin(BRIDGE, *arguments, "--describe"), env={**os.environ, **ENVIRONMENT}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT,
        )
        return done.returncode, json.loads(done.stdout)

    def test_a_rich_plugin(self):
        found = self.describe("rich")
        self.assertEqual(found["description"], "deployments of the Python plugin `rich` of mlflow-fake-targets 1.2")
        self.assertEqual((len(found["operations"]), found["warnings"]), (15, []))
        keys = found["config"]["create_deployment"]["properties"]
        sentence = "The size of the machine"
        self.assertEqual(keys, {"size": {"description": sentence}, "zone": {"description": "The zone"}})
        self.assertEqual(list(found["config"]["update_deployment"]["properties"]), ["other"])
        options = found["options"]["properties"]
        self.assertEqual((list(options), options["api_key"]), (["inputs", "region", "api_key"], {"writeOnly": True}))

    def test_the_variables_of_mlflow_its_stores_and_the_package(self):
        found = {each["name"]: each.get("secret", False) for each in self.describe("faketarget")["environment"]}
        secrets = ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENAI_API_KEY"]
        self.assertEqual([found[name] for name in secrets], [True] * 5)
        plain = ["MLFLOW_TRACKING_URI", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "PYTHONPATH", "FAKETARGET_FAIL"]
        self.assertEqual([found[name] for name in plain], [False] * 5)
        self.assertLess(len(json.dumps(self.describe("sagemaker"))), 1 << 16)

    def test_the_bridge_itself_has_the_variables_of_all_packages(self):
        status, found = self.run_describe()
        names = [each["name"] for each in found["environment"]]
        self.assertEqual((status, "FAKETARGET_FAIL" in names, "AWS_PROFILE" in names), (0, True, True))

    def test_the_plugins_of_mlflow_itself(self):
        found = self.describe("sagemaker")
        self.assertIn("execution_role_arn", found["config"]["create_deployment"]["properties"])
        self.assertNotIn("explain", found["operations"])
        self.assertEqual(self.describe("http")["operations"], ["get_endpoint", "list_endpoints", "predict"])

    def test_output_does_not_mix_with_the_description_and_stubs_are_not_operations(self):
        status, found = self.run_describe("--name", "hostile")
        self.assertEqual(status, 0)
        self.assertNotIn("delete_deployment", found["operations"])
        self.assertNotIn("update_deployment", found["operations"])
        self.assertIn("target_help failed: the Python plugin called sys.exit('no help')", found["warnings"])

    def test_warnings_and_keys_of_examples(self):
        self.assertEqual(len(self.describe("bare")["warnings"]), 2)
        self.assertIn("lacks create_deployment", str(self.describe("abstract")["warnings"]))
        found = self.describe("serving")
        self.assertEqual(found["warnings"], [])
        self.assertEqual(found["config"]["create_deployment"]["properties"], {"first": {}, "second": {}})

    def test_a_plugin_that_does_not_load_is_an_error_of_one_line(self):
        for name, part in (("broken", "No module named 'mlflow_fake_targets.not_there'"), ("nope", "no plugin `nope`")):
            status, found = self.run_describe("--name", name)
            self.assertEqual((status, list(found)), (1, ["error"]))
            self.assertIn(part, found["error"])
            self.assertFalse(found["error"].startswith("DeploymentError"))

    def test_without_a_name_the_bridge_describes_itself(self):
        found = self.describe(None)
        self.assertEqual((len(found["operations"]), found["config"], found["warnings"]), (15, {}, []))


if __name__ == "__main__":
    unittest.main()
