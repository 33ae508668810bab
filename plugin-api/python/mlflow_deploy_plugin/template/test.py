"""Tests of the target. The methods are called directly; `mlflow-deploy-conformance` checks the process."""

import unittest

from mlflow_deploy_plugin import DeploymentError, Payload
from {{module}} import Client


class WordsTest(unittest.IsolatedAsyncioTestCase):
    async def test_words_are_counted_and_streamed(self) -> None:
        client = Client("{{scheme}}:", {"upper": True})
        inputs = Payload(b"one two\nthree", "text/plain")
        self.assertEqual(await client.predict(inputs=inputs), {"words": 3})
        self.assertEqual([word async for word in client.predict_stream(inputs=inputs)], ["ONE", "TWO", "THREE"])

    def test_an_unknown_option_is_an_error(self) -> None:
        with self.assertRaisesRegex(DeploymentError, "`uper`"):
            Client("{{scheme}}:", {"uper": True})


if __name__ == "__main__":
    unittest.main()
