"""moody.py: a model that returns the column `x` times two, after a fault that the column `do` names."""

import os
import pathlib
import signal
import sys
import threading
import time


class Moody:
    def predict(self, data, params=None):
        for mood in data["do"]:
            if mood == "exit":
                print("the model exits", file=sys.stderr)
                os._exit(3)
            if mood == "hang":
                pathlib.Path(os.environ["MOODY_HANGS"]).write_text(str(os.getpid()))
                threading.Event().wait()
            if mood.startswith("meet "):
                # Waits for another process.
                folder = pathlib.Path(mood.removeprefix("meet "))
                (folder / str(os.getpid())).touch()
                while len(list(folder.iterdir())) < 2:
                    time.sleep(0.01)
            if mood == "raise":
                raise ValueError("the model raises")
        return data["x"] * 2


def _load_pyfunc(path):
    match os.environ.get("MOODY_LOAD"):
        case "import":
            import a_package_that_does_not_exist
        case "raise":
            raise ValueError("the key is " + os.environ["MOODY_API_KEY"])
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            threading.Event().wait()
    return Moody()
