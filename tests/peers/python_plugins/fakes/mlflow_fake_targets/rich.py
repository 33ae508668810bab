"""A plugin with every operation. The name of a deployment chooses the result."""

import dataclasses
import datetime
import decimal
import enum
import uuid

import numpy
import pandas
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST
from pydantic import BaseModel


class Inner(BaseModel):
    when: datetime.date
    score: float


@dataclasses.dataclass
class Data:
    x: int
    y: list


class SdkModel:
    """An object as the SDKs of clouds have them."""

    def as_dict(self):
        return {"id": "m", "size": numpy.int64(3)}


class PlainObject:
    def __init__(self):
        self.a, self._hidden, self.itself = 1, 2, None


class Own(PredictionsResponse):
    def to_json(self, path=None):
        return '{"own": NaN}'


class Color(enum.Enum):
    RED = "red"


class HTTPError(Exception):
    """Has the form of the error of `requests`."""

    def __init__(self, message, status, body):
        super().__init__(message)
        self.response = type("Response", (), {"status_code": status, "text": body})()


class ClientError(Exception):
    """Has the form of the error of `botocore`."""

    def __init__(self, code="Throttling", message="slow down", status=429):
        super().__init__(f"An error occurred ({code}) when calling the X operation: {message}")
        self.response = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
        }


def loop():
    value = PlainObject()
    value.itself = value
    return value


RESULTS = {
    "frame": lambda: pandas.DataFrame({"a": [1.5, float("nan")], "b": pandas.to_datetime(["2026-01-02", None])}),
    "series": lambda: pandas.Series([1, 2, 3]),
    "array": lambda: numpy.array([[1.0, numpy.inf], [2.0, 3.0]]),
    "response": lambda: PredictionsResponse({"predictions": numpy.array([1, 2]), "usage": {"tokens": numpy.int32(3)}}),
    "own": lambda: Own({"predictions": []}),
    "scalars": lambda: {
        "i": numpy.int64(1), "f": numpy.float32(0.5), "b": numpy.bool_(True), "s": numpy.str_("x"), "nan": float("nan"),
        "d64": numpy.datetime64("2026-01-02T03:04:05"), "nat": pandas.NaT, "na": pandas.NA, "zero": numpy.array(7),
        "stamp": pandas.Timestamp("2026-01-02"), "delta": datetime.timedelta(minutes=2),
    },
    "dates": lambda: [datetime.datetime(2026, 1, 2, 3), datetime.date(2026, 1, 2), datetime.time(3)],
    "decimals": lambda: [decimal.Decimal("1.5"), decimal.Decimal(10), decimal.Decimal("NaN")],
    "objects": lambda: {
        "pydantic": Inner(when=datetime.date(2026, 1, 2), score=float("nan")), "data": Data(1, [SdkModel()]), "enum": Color.RED,
        "uuid": uuid.UUID(int=0), "set": {1}, "tuple": (1, 2), "bytes": b"\xff", "generator": (n for n in range(2)),
    },
    "keys": lambda: {1: "a", numpy.int64(2): "b", (1, 2): "c", None: "d", "\ud800": "\ud800"},
    "loop": loop,
    "text": lambda: "3.0",
    "json-text": lambda: '{"a": [1, NaN]}',
    "bytes": lambda: b"\x00\xff",
    "none": lambda: None,
    "list": lambda: [1, 2],
    "generator": lambda: (n for n in range(3)),
}
ERRORS = {
    "missing": lambda: MlflowException("no such model", error_code=RESOURCE_DOES_NOT_EXIST),
    "exists": lambda: MlflowException("is taken", error_code=RESOURCE_ALREADY_EXISTS),
    "internal": lambda: MlflowException("broken"),
    "http": lambda: HTTPError("404 Client Error: Not Found for url: http://h/x", 404, '{"detail": "no"}'),
    "boto": ClientError,
    "value": lambda: ValueError("a bad value"),
    "unimplemented": lambda: NotImplementedError("not yet"),
    "refused": lambda: ConnectionRefusedError("connection refused"),
    "empty": KeyError,
}


def described(value):
    """Returns the type and the content of inputs, so that a test sees what arrived."""
    if isinstance(value, pandas.DataFrame):
        return ["DataFrame", list(map(str, value.columns)), list(map(str, value.index)), value.values.tolist()]
    if isinstance(value, numpy.ndarray):
        return ["ndarray", value.tolist()]
    if isinstance(value, dict) and any(isinstance(each, numpy.ndarray) for each in value.values()):
        return ["arrays", {key: each.tolist() for key, each in value.items()}]
    return [type(value).__name__, value.decode() if isinstance(value, bytes) else value]


class Rich(BaseDeploymentClient):
    def __init__(self, target_uri, region=None, api_key=None):
        super().__init__(target_uri)
        if target_uri.endswith("refused"):
            raise MlflowException("no credentials", error_code=RESOURCE_DOES_NOT_EXIST)
        self.region = region

    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        """Creates a deployment.

        Args:
            name: its name
            config: Settings, which are:

                - ``size``: The size of the machine. It has
                  a default.
                - ``zone`` (str): The zone

        Example: `mlflow deployments create -C ignored=1`
        """
        return {"name": name, "args": [self.target_uri, self.region, model_uri, flavor, config, endpoint]}

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        return None

    def delete_deployment(self, name, config=None, endpoint=None):
        if name == "missing":
            raise ERRORS["missing"]()

    def list_deployments(self, endpoint=None):
        return {
            None: [{"name": "a"}, {"EndpointName": "b", "Created": datetime.date(2026, 1, 2)}, {"c": {"size": 1}}, "d"],
            "in-a-field": {"deployments": [{"name": "a"}], "next_page_token": None},
            "by-name": {"a": {"size": 1}},
            "none": None,
        }[endpoint]

    def get_deployment(self, name, endpoint=None):
        return Data(1, []) if name == "object" else {"state": "READY", "name": 5 if name == "number" else None}

    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        if deployment_name in ERRORS:
            raise ERRORS[deployment_name]()
        if deployment_name == "context":
            try:
                raise ClientError("ValidationException", "Could not find endpoint 'x'", 400)
            except ClientError as error:
                raise MlflowException(f"There was an error: {error}")
        if deployment_name == "cause":
            raise RuntimeError("the server said no") from ERRORS["http"]()
        return RESULTS[deployment_name]() if deployment_name else {"inputs": described(inputs), "endpoint": endpoint}

    def predict_stream(self, deployment_name=None, inputs=None, endpoint=None):
        if deployment_name == "one":
            return {"one": 1}
        return self.stream(deployment_name)

    def stream(self, name):
        yield {"n": numpy.int64(1)}
        yield "text"
        if name == "fails":
            raise ERRORS["http"]()
        yield {"nan": float("nan")}

    def explain(self, deployment_name=None, df=None, endpoint=None):
        return df

    def create_endpoint(self, name, config=None):
        return {"name": name, "config": config}

    def update_endpoint(self, endpoint, config=None):
        return {"config": config}

    def delete_endpoint(self, endpoint):
        return None

    def list_endpoints(self):
        return [{"name": "e"}]

    def get_endpoint(self, endpoint):
        return SdkModel()


def run_local(name, model_uri, flavor=None, config=None):
    raise MlflowException(f"no model {model_uri}", error_code=RESOURCE_DOES_NOT_EXIST)


def target_help():
    return "# rich\n\n- other: not a key of create\n"
