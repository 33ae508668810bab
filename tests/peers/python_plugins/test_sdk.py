"""Tests the Python SDK with a scripted host: each test speaks the wire protocol to the process of a plugin."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from scripted_host import CANCEL, CLOSE, CREDIT, ENDLESS, HELLO, LIMIT, PING, VERSION, Failed, Host, plugin

HERE = Path(__file__).resolve().parent
PLUGIN = plugin(HERE / "sdk_plugin.py")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def eventually(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Shared(unittest.TestCase):
    """Tests that leave the process as it was."""

    @classmethod
    def setUpClass(cls):
        cls.host = Host(PLUGIN)
        cls.client = cls.host.open("sdk://host", 1 << 63)

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    def predict(self, endpoint, **arguments):
        return self.host.call("predict", self.client, endpoint=endpoint, **arguments)

    def fails(self, code, operation, client=None, **arguments):
        with self.assertRaises(Failed) as caught:
            self.host.call(operation, self.client if client is None else client, **arguments)
        self.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception

    def stream_start(self, **arguments):
        return self.host.start("predict_stream", self.client, **arguments)

    def chunks_of(self, number, count):
        self.host.wait(lambda: len(self.host.chunks.get(number, [])) >= count, f"{count} chunks")
        self.assertEqual(len(self.host.chunks.get(number, [])), count)


class Operations(Shared):
    def test_the_loaded_slots_are_those_of_the_overridden_methods_and_functions(self):
        expected = [
            "open", "shutdown", "target_help", "run_local", "create_deployment", "update_deployment", "delete_endpoint",
            "get_endpoint", "predict", "predict_stream", "explain", "invoke",
        ]
        self.assertEqual(self.host.slots, expected)

    def test_a_slot_that_the_plugin_does_not_have_is_not_implemented(self):
        self.fails("NOT_IMPLEMENTED", "list_endpoints")
        self.fails("NOT_IMPLEMENTED", 63)

    def test_functions_of_the_module_are_operations(self):
        self.assertEqual(self.host.call("target_help"), ("text/markdown", b"# Help"))
        number = self.host.start("run_local", credit=1, name="m", model_uri="u")
        self.chunks_of(number, 1)
        self.host.cancel(number)
        with self.assertRaisesRegex(Failed, "CANCELLED"):
            self.host.reply(number)
        self.assertEqual(json.loads(self.host.chunks[number][0].second), {"event": "ready", "url": "http://127.0.0.1/m"})

    def test_arguments_arrive_and_absent_ones_have_the_defaults_of_the_method(self):
        made = self.host.call("create_deployment", self.client, name="é\0", model_uri="u", flavor=None, more=[1])
        self.assertEqual(made, {"name": "é\0", "model_uri": "u", "flavor": None, "config": None})
        arguments = {"operation": "o", "config": {"a": 1}, "content_type": "text/csv"}
        self.assertEqual(self.host.call("invoke", self.client, body=b"x", **arguments), ["o", None, None, {"a": 1}, "x", "text/csv"])

    def test_an_argument_that_the_method_does_not_take_is_an_error_if_it_is_given(self):
        error = self.fails("INVALID_PARAMETER_VALUE", "create_deployment", name="n", model_uri="u", endpoint="e")
        self.assertIn("`endpoint`", error.message)
        self.host.call("create_deployment", self.client, name="n", model_uri="u", endpoint="")
        self.assertIn("`inputs`", self.fails("INVALID_PARAMETER_VALUE", "explain", body=b"{}").message)
        self.host.call("explain", self.client, content_type="application/json")

    def test_missing_and_wrong_arguments_are_errors(self):
        self.assertIn("`name`", self.fails("INVALID_PARAMETER_VALUE", "create_deployment", model_uri="u").message)
        for wrong in (1, ["a"], {"a": 1}, True):
            self.fails("INVALID_PARAMETER_VALUE", "get_endpoint", endpoint=wrong)
            self.fails("INVALID_PARAMETER_VALUE", "predict", endpoint="echo", content_type=wrong)
        self.fails("INVALID_PARAMETER_VALUE", "predict", endpoint="echo", config="text")
        self.fails("INVALID_PARAMETER_VALUE", "update_deployment", name="n", flavor="onnx")
        self.assertIsNone(self.host.call("update_deployment", self.client, name="n", flavor="onnx", model_uri="u"))

    def test_a_head_that_is_not_a_json_object_is_an_error(self):
        deep = b"[" * 100_000 + b"]" * 100_000
        for head in (b"not", b"{", b"{}{}", b'{"a":1,}', b"\xef\xbb\xbf{}", b"[]", b"1", b"null", b'"\xff"', b'{"a": NaN}', deep):
            self.fails("INVALID_PARAMETER_VALUE", "get_endpoint", head=head)
            self.fails("INVALID_PARAMETER_VALUE", "open", 77, head=head)
            self.fails("INVALID_PARAMETER_VALUE", "target_help", 0, head=head)
        self.host.call("get_endpoint", self.client, head=b'{"endpoint":"a","x":' + b"9" * 9999 + b',"y":1e999}')
        self.assertEqual(self.host.call("target_help", 0, head=b""), self.host.call("target_help", 0, head=b"{}"))

    def test_a_call_of_a_client_that_is_not_open_fails(self):
        self.assertIn("99", self.fails("INVALID_PARAMETER_VALUE", "get_endpoint", 99, endpoint="e").message)

    def test_options_reach_the_client_and_a_refused_open_leaves_nothing(self):
        self.host.open("sdk://host", 5, token="t")
        self.assertEqual(self.host.call("get_endpoint", 5, endpoint="e"), {"name": "e", "options": {"token": "t"}})
        self.host.send(CLOSE, client=5)
        self.fails("UNAUTHENTICATED", "open", 6, target_uri="sdk://refused")
        self.host.send(CLOSE, client=6)
        self.fails("INVALID_PARAMETER_VALUE", "get_endpoint", 6, endpoint="e")
        self.fails("INVALID_PARAMETER_VALUE", "get_endpoint", 5, endpoint="e")
        closed = lambda: (2, {"message": "closed sdk://host"}) in self.host.events_of(0)  # noqa: E731
        self.host.wait(closed, "the close of the client")


class Results(Shared):
    def test_results_keep_their_types(self):
        self.assertIsNone(self.predict("none"))
        self.assertEqual(self.host.replies[max(self.host.replies)].second, b"null")
        self.assertEqual(self.predict("text"), ("text/plain", "é".encode()))
        self.assertEqual(self.predict("bytes"), ("application/octet-stream", b"\x00\xff"))
        self.assertEqual(self.predict("payload"), ("text/xml", b"<a/>"))
        self.assertEqual(self.predict("unicode"), {"é": "\u2028"})
        self.host.call("delete_endpoint", self.client, endpoint="e")
        self.assertEqual(self.host.replies[max(self.host.replies)].second, b"")

    def test_a_result_that_is_not_json_is_an_error_that_names_the_key(self):
        for endpoint, part in {
            "nan": "`$.a[1].b` is nan", "infinity": "`$` is inf", "datetime": "`$.made` is datetime.datetime(2026, 1, 2, 0, 0) of type `datetime`",
            "decimal": "`$[0]` is Decimal", "key": "`$` is {(1, 2): 3}", "surrogate": "`$.text`",
            "deep": "nested too deep",
        }.items():
            self.assertIn(part, self.fails("INTERNAL_ERROR", "predict", endpoint=endpoint).message)

    def test_inputs_of_any_bytes_and_sizes_arrive(self):
        for body in (b"", b"\xff\0", b"x" * 65536, os.urandom(64 << 20)):
            number = self.host.start("predict", self.client, body=body, endpoint="echo", content_type="image/png")
            self.assertTrue(self.host.reply(number) == ("image/png", body))
        self.assertEqual(self.predict("json", body=b"[1e3]"), [1000.0])
        self.assertEqual(self.predict("words", body=b"a b c", content_type="text/plain"), 3)
        for body in (b"{", b"\xff", b"NaN", b"[" * 100_000):
            self.assertIn("the inputs", self.fails("INVALID_PARAMETER_VALUE", "predict", endpoint="json", body=body).message)
        self.fails("INVALID_PARAMETER_VALUE", "predict", endpoint="words", body=b"\xff")

    def test_an_error_has_all_its_fields_and_is_strict_json(self):
        fields = self.fails("RESOURCE_EXHAUSTED", "predict", endpoint="error").fields
        self.assertEqual(fields["message"], "slow down")
        self.assertEqual((fields["retryable"], fields["retry_after_ms"]), (True, 1500))
        self.assertEqual((fields["http"], fields["causes"]), ({"status": 429, "body": "busy"}, ["KeyError: 'x'"]))
        self.assertIn("2026", json.dumps(fields["details"]))

    def test_other_exceptions_are_internal_errors_whose_traceback_is_a_debug_event(self):
        number = self.host.start("predict", self.client, endpoint="fault")
        with self.assertRaisesRegex(Failed, "INTERNAL_ERROR: ZeroDivisionError: "):
            self.host.reply(number)
        self.assertNotIn("Traceback", str(self.host.replies[number]))
        (level, event), = self.host.events_of(number)
        self.assertEqual(level, 4)
        self.assertIn("Traceback", event["message"])
        self.fails("NOT_IMPLEMENTED", "predict", endpoint="unimplemented")

    def test_exits_and_interrupts_of_a_method_are_errors_of_their_call(self):
        self.assertIn("SystemExit: bye", self.fails("INTERNAL_ERROR", "predict", endpoint="exit").message)
        self.assertIn("SystemExit: 3", self.fails("INTERNAL_ERROR", "explain", endpoint="exit").message)
        self.fails("INTERNAL_ERROR", "predict", endpoint="interrupt")
        self.host.call("explain", self.client, endpoint="exit-in-a-task")
        self.assertEqual(self.host.call("explain", self.client), {"deadline": None})

    def test_logs_and_progress_are_events_of_the_call_and_stdout_is_the_log(self):
        number = self.host.start("predict", self.client, endpoint="log")
        self.host.reply(number)
        events = self.host.events_of(number)
        self.assertEqual(events[0], (3, {"message": "info 1"}))
        self.assertEqual(events[1], (2, {"message": "warning"}))
        self.assertEqual(events[2], (1, {"message": "failed"}))
        self.assertIn("ZeroDivisionError", events[3][1]["message"])
        self.assertEqual(events[4], (3, {"message": "a quarter", "progress": 0.25}))
        self.assertEqual(events[5], (3, {"message": "more than all", "progress": 1.0}))
        self.assertEqual(events[6], (3, {"message": "unknown", "progress": 0.0}))
        self.assertEqual(len(events), 7)
        self.assertTrue(eventually(lambda: {"to stdout", "to fd 1"} <= set(self.host.log)))


class Streams(Shared):
    def test_a_stream_sends_one_chunk_for_each_unit_of_credit(self):
        for endpoint in ("sync", "async"):
            number = self.stream_start(credit=2, endpoint=endpoint, config={"count": 5})
            self.chunks_of(number, 2)
            self.predict("none")
            self.assertNotIn(number, self.host.replies)
            self.host.credit(number, 1)
            self.chunks_of(number, 3)
            self.host.credit(number, 2)
            self.assertIsNone(self.host.reply(number))
            chunks = [json.loads(chunk.second) for chunk in self.host.chunks[number]]
            self.assertEqual(chunks, [{"n": n} for n in range(5)])
            self.assertEqual(self.host.replies[number].second, b"")

    def test_a_stream_needs_no_credit_for_its_reply(self):
        for endpoint in ("sync", "async"):
            self.host.reply(self.stream_start(credit=3, endpoint=endpoint, config={"count": 3}))
            self.host.reply(self.stream_start(credit=0, endpoint=endpoint, config={"count": 0}))

    def test_the_sum_of_credit_may_be_large(self):
        number = self.stream_start(credit=ENDLESS - 1, endpoint="sync", config={"count": 3, "waits": True})
        for _ in range(100):
            self.host.credit(number, ENDLESS - 1)
        self.host.credit(number, ENDLESS)
        self.chunks_of(number, 3)
        self.host.cancel(number)
        with self.assertRaisesRegex(Failed, "CANCELLED"):
            self.host.reply(number)

    def test_a_cancelled_stream_is_closed_while_it_waits_for_credit_or_works(self):
        for endpoint in ("sync", "async"):
            for credit, config in ((1, {"count": 5}), (5, {"count": 5, "waits": True})):
                number = self.stream_start(credit=credit, endpoint=endpoint, config=config)
                self.chunks_of(number, credit)
                self.host.cancel(number)
                with self.assertRaisesRegex(Failed, "CANCELLED"):
                    self.host.reply(number)
                ended = (2, {"message": "the stream ended"})
                self.host.wait(lambda: ended in self.host.events_of(number), f"the end of the {endpoint} stream")

    def test_a_stream_ends_if_its_client_is_closed(self):
        client = self.host.open("sdk://host", 8)
        for endpoint in ("sync", "async"):
            number = self.host.start("predict_stream", client, endpoint=endpoint, config={"count": 1})
            self.host.send(CLOSE, client=client)
            with self.assertRaisesRegex(Failed, "CANCELLED"):
                self.host.reply(number)
            self.host.open("sdk://host", client)

    def test_a_stream_that_fails_sends_its_chunks_first(self):
        number = self.stream_start(credit=9, endpoint="sync", config={"count": 2, "fails": True})
        with self.assertRaisesRegex(Failed, "TEMPORARILY_UNAVAILABLE"):
            self.host.reply(number)
        self.chunks_of(number, 2)

    def test_iterables_and_single_values_are_streams(self):
        chunks = self.host.stream("predict_stream", self.client, endpoint="list")
        self.assertEqual(chunks, [1, ("text/plain", b"two"), ("application/octet-stream", b"3")])
        self.assertEqual(self.host.stream("predict_stream", self.client, endpoint="text"), [("text/plain", b"one chunk")])

    def test_many_chunks_arrive_in_order(self):
        for endpoint in ("sync", "async"):
            chunks = self.host.stream("predict_stream", self.client, endpoint=endpoint, config={"count": 20_000})
            self.assertEqual(chunks, [{"n": n} for n in range(20_000)])


class Cancels(Shared):
    def cancelled(self, number, code="CANCELLED"):
        with self.assertRaises(Failed) as caught:
            self.host.reply(number)
        self.assertEqual(caught.exception.code, code)

    def test_a_cancelled_call_gets_its_reply_even_if_its_method_does_not_return(self):
        for operation, endpoint in (("predict", "wait"), ("predict", "stuck"), ("explain", "slow")):
            number = self.host.start(operation, self.client, endpoint=endpoint)
            self.predict("none")
            self.host.cancel(number)
            self.cancelled(number)
            self.host.cancel(number)
        self.predict("none")

    def test_a_cancelled_task_ends(self):
        number = self.host.start("explain", self.client, endpoint="slow")
        self.host.call("explain", self.client)
        self.host.cancel(number)
        self.host.wait(lambda: (2, {"message": "the task ended"}) in self.host.events_of(number), "the end of the task")

    def test_an_early_cancel_is_remembered_among_1024(self):
        early = [(1 << 40) + n for n in range(1024)]
        for number in early:
            self.host.cancel(number)
        for number in (early[0], early[-1]):
            self.host.start("predict", self.client, endpoint="wait", number=number)
            self.cancelled(number)

    def test_a_late_cancel_and_unknown_ids_do_nothing(self):
        number = self.host.start("predict", self.client, endpoint="none")
        self.host.reply(number)
        self.host.cancel(number)
        self.host.credit(number, 3)
        self.host.credit(12345678, 3)
        self.host.send(CLOSE, client=4711)
        self.predict("none")

    def test_open_can_be_cancelled(self):
        number = self.host.start("open", 9, target_uri="sdk://slow")
        self.host.wait(lambda: (2, {"message": "opens"}) in self.host.events_of(number), "the start of the open")
        self.host.cancel(number)
        self.cancelled(number)
        self.host.send(CLOSE, client=9)
        self.host.wait(lambda: any(b"closed sdk://slow" in event.second for event in self.host.events), "the close")
        with self.assertRaises(Failed):
            self.host.call("get_endpoint", 9, endpoint="e")

    def test_a_call_gets_its_reply_at_its_deadline(self):
        numbers = [
            self.host.start(operation, self.client, endpoint=endpoint, timeout_ms=timeout)
            for timeout in (300, 100) for operation, endpoint in (("predict", "wait"), ("predict", "stuck"), ("explain", "slow"))
        ]
        numbers += [self.stream_start(credit=0, endpoint="sync", config={"count": 1}, timeout_ms=100)]
        numbers += [self.stream_start(credit=0, endpoint="async", config={"count": 1}, timeout_ms=100)]
        for number in numbers:
            self.cancelled(number, "DEADLINE_EXCEEDED")

    def test_a_method_sees_the_deadline_of_its_call(self):
        seconds = self.host.call("explain", self.client, timeout_ms=3_600_000)["deadline"]
        self.assertTrue(3000 < seconds <= 3600, seconds)

    def test_many_calls_run_at_the_same_time(self):
        numbers = [self.host.start("predict", self.client, endpoint="wait") for _ in range(300)]
        numbers += [self.host.start("explain", self.client, endpoint="slow") for _ in range(300)]
        self.predict("none")
        self.assertFalse(set(numbers) & set(self.host.replies))
        for number in numbers:
            self.host.cancel(number)
        for number in numbers:
            self.cancelled(number)


class Life(unittest.TestCase):
    """Tests of the process itself. Each has its own."""

    def ends(self, host):
        self.assertTrue(eventually(lambda: host.process.poll() is not None), "the process runs on")

    def test_pings_are_answered_while_calls_run(self):
        with Host(PLUGIN) as host:
            client = host.open("sdk:")
            for endpoint in ("stuck", "wait"):
                host.start("predict", client, endpoint=endpoint)
            for _ in range(3):
                host.send(PING)
                host.pongs.get(timeout=LIMIT)

    def test_shutdown_is_answered_after_all_other_calls_and_closes_the_clients(self):
        with Host(PLUGIN) as host:
            client = host.open("sdk://host")
            numbers = [host.start("predict", client, endpoint="wait") for _ in range(20)]
            numbers += [host.start("explain", client, endpoint="slow"), host.start("predict", client, endpoint="stuck")]
            last = host.start("shutdown")
            self.assertIsNone(host.reply(last))
            self.assertEqual(host.order[-1], last)
            self.assertEqual(set(numbers) - set(host.replies), set())
            self.assertIn((2, {"message": "closed sdk://host"}), host.events_of(0))
            with self.assertRaises(Failed):
                host.call("open", 3, target_uri="sdk:")

    def test_the_end_of_the_connection_ends_the_process_and_its_programs(self):
        host = Host(PLUGIN)
        client = host.open("sdk:")
        child = host.call("predict", client, endpoint="child")
        for endpoint in ("stuck", "wait"):
            host.start("predict", client, endpoint=endpoint)
        self.assertTrue(is_running(child))
        host.socket.shutdown(2)
        self.ends(host)
        self.assertTrue(eventually(lambda: not is_running(child)))
        host.close()

    def test_a_forked_child_does_not_use_the_connection(self):
        with Host(PLUGIN) as host:
            client = host.open("sdk:")
            self.assertEqual(host.call("predict", client, endpoint="fork"), {"stdin": "/dev/null", "exit": 0})
            self.assertFalse([event for event in host.events if b"from a child" in event.second])
            self.assertEqual(host.call("predict", client, endpoint="programs"), 0)

    def test_a_plugin_that_does_not_let_python_run_is_ended_with_its_stack_in_the_log(self):
        host = Host(PLUGIN)
        client = host.open("sdk:")
        host.start("predict", client, endpoint="stop-python")
        self.ends(host)
        host.close()
        self.assertTrue(any("in predict" in line for line in host.log), host.log)

    def test_a_crash_leaves_its_stack_in_the_log(self):
        host = Host(PLUGIN)
        host.start("predict", host.open("sdk:"), endpoint="abort")
        self.ends(host)
        host.close()
        self.assertEqual(host.process.returncode, -signal.SIGABRT)
        self.assertTrue(any("in predict" in line for line in host.log), host.log)

    def test_too_many_calls_that_do_not_end_end_the_process(self):
        host = Host(PLUGIN)
        client = host.open("sdk:")
        numbers = [host.start("predict", client, endpoint="stuck") for _ in range(65)]
        for number in numbers:
            host.cancel(number)
        for number in numbers:
            with self.assertRaisesRegex(Failed, "CANCELLED"):
                host.reply(number)
        self.ends(host)
        host.close()
        self.assertIn("the process ends because 65 cancelled calls still run", host.log)

    def test_faults_of_the_host_end_the_process(self):
        for kind, fields in ((0, {}), (99, {}), (PING, {"word": 1}), (CANCEL, {"client": 1}), (HELLO, {}), (CREDIT, {"second": b"x"})):
            host = Host(PLUGIN)
            host.send(kind, **fields)
            self.ends(host)
            host.close()

    def test_another_version_ends_the_process(self):
        host = Host(PLUGIN, handshake=False)
        self.assertEqual(host.receive().kind, HELLO)
        host.send(VERSION, word=2)
        self.ends(host)
        host.close()

    def test_the_process_ends_if_the_connection_is_closed_before_the_version(self):
        host = Host(PLUGIN, handshake=False)
        host.receive()
        host.close()

    def test_a_half_message_ends_the_process(self):
        host = Host(PLUGIN)
        host.socket.sendall(b"\x0e\x01\0\0")
        host.socket.shutdown(1)
        self.ends(host)
        host.close()

    def test_a_plugin_without_operations_fails_to_load(self):
        code = (
            f"import sys; sys.path.insert(0, {str(HERE.parents[2] / 'plugin-api/python')!r})\n"
            "import mlflow_deploy_plugin as p\nclass C(p.DeploymentClient): pass\np.serve(C)"
        )
        with Host(plugin("-c", code)) as host:
            self.assertEqual(host.loaded.kind, 18)
            self.assertIn("no operation", json.loads(host.loaded.second)["init"])

    def test_the_program_explains_that_a_host_starts_it(self):
        done = subprocess.run(PLUGIN, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("mlflow-deploy predict --plugin", done.stderr)
        self.assertIn("sdk_plugin.plugin.json", done.stderr)


class New(unittest.TestCase):
    """Tests of `python3 -m mlflow_deploy_plugin new`."""

    def new(self, folder, *arguments):
        command = plugin("-m", "mlflow_deploy_plugin", "new", *arguments)
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2] / "plugin-api" / "python")}
        return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_a_new_project_passes_its_test_and_serves_a_host(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.new(folder, "my-target", "--scheme", "mine").returncode, 0)
            project = Path(folder, "my-target")
            done = subprocess.run(plugin("-m", "unittest"), cwd=project, stderr=subprocess.PIPE, text=True)
            self.assertIn("Ran 2 tests", done.stderr)
            self.assertEqual(done.returncode, 0, done.stderr)
            manifest = json.loads((project / "my_target.plugin.json").read_text())
            self.assertEqual((manifest["name"], manifest["schemes"]), ("my-target", ["mine"]))
            self.assertFalse([path for path in project.rglob("*") if path.is_file() and "{{" in path.read_text()])
            names = {"README.md", "conformance.toml", "my_target.plugin.json", "my_target.py", "test_my_target.py"}
            self.assertEqual({path.name for path in project.iterdir() if path.suffix}, names)
            with Host(plugin(project / manifest["exec"][-1])) as host:
                self.assertEqual(sorted(host.slots), sorted([*manifest["operations"], "open", "shutdown"]))
                client = host.open("mine:", upper=True)
                inputs = {"body": b"a b", "content_type": "text/plain", "endpoint": "words"}
                words = host.stream("predict_stream", client, **inputs)
                self.assertEqual(words, [("text/plain", b"A"), ("text/plain", b"B")])
            self.assertIn("exists", self.new(folder, "my-target").stderr)

    def test_names_that_cannot_be_used_are_errors(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("9a", "A", "a_b", "mlflow-deploy-plugin", "json" if sys.version_info >= (3, 10) else "class"):
                done = self.new(folder, name)
                self.assertEqual((done.returncode, os.listdir(folder)), (2, []))
                self.assertIn(f"`{name}`", done.stderr)


if __name__ == "__main__":
    unittest.main()
