//! The response as a whole: from JSON, to a format, and back to JSON. Never knows how a format is made.

use std::fmt;
use std::path::Path;

use indexmap::IndexMap;

use super::parse::parse;
use super::value::{Value, excerpt};
use super::write::write_object;
use crate::{Replacement, TargetError};

/// The key that every response has.
const PREDICTIONS: &str = "predictions";

/// The predictions and metadata that a model answered to a scoring request, such as one to the `/invocations` endpoint of
/// an MLflow model server.
///
/// Source: `mlflow.deployments.PredictionsResponse`.
#[derive(Clone, PartialEq)]
pub struct PredictionsResponse {
    contents: IndexMap<String, Value>,
}

/// What predictions can be asked for as: a dataframe ([`RecordBatch`](arrow_array::RecordBatch)), an array of one dtype
/// ([`ArrayD`](ndarray::ArrayD) of an [`Element`](super::Element)), or the array that numpy would choose
/// ([`Ndarray`](super::Ndarray)).
///
/// A program may add its own:
///
/// ```
/// use mlflow_deploy::predictions::{PredictionsFormat, Value};
/// use mlflow_deploy::{PredictionsResponse, TargetError};
///
/// /// How many predictions there are.
/// struct Count(usize);
///
/// impl PredictionsFormat for Count {
///     fn from_predictions(predictions: &Value) -> Result<Self, TargetError> {
///         match predictions {
///             Value::Array(items) => Ok(Self(items.len())),
///             other => Err(TargetError::invalid_parameter(format!("expected a list of predictions, found `{other}`"))),
///         }
///     }
/// }
///
/// # fn main() -> Result<(), TargetError> {
/// let response = PredictionsResponse::from_json(r#"{"predictions": [1, 2]}"#)?;
/// assert_eq!(response.get_predictions::<Count>()?.0, 2);
/// # Ok(())
/// # }
/// ```
///
/// What is no format does not compile:
///
/// ```compile_fail,E0277
/// # let response = mlflow_deploy::PredictionsResponse::from_json(r#"{"predictions": [1]}"#).unwrap();
/// response.get_predictions::<String>();
/// ```
pub trait PredictionsFormat: Sized {
    /// Makes the format of the value of `predictions`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the predictions cannot be represented in it.
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError>;
}

impl PredictionsResponse {
    /// Reads a response: a JSON object with `predictions`, as Python reads JSON, so with `NaN`, `Infinity` and integers of
    /// any size.
    ///
    /// ```
    /// use mlflow_deploy::PredictionsResponse;
    ///
    /// let error = PredictionsResponse::from_json(r#"{"outputs": [1]}"#).unwrap_err();
    /// assert_eq!(
    ///     error.message(),
    ///     "invalid response: predictions response contents must be a dictionary containing a `predictions` field; \
    ///      instead, received: `{\"outputs\": [1]}`"
    /// );
    /// ```
    ///
    /// Source: `PredictionsResponse.from_json`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the bytes are not JSON, or no object with `predictions`.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, TargetError> {
        match parse(json.as_ref())? {
            Value::Object(contents) if contents.contains_key(PREDICTIONS) => Ok(Self { contents }),
            _ => Err(TargetError::invalid_parameter(format!(
                "invalid response: predictions response contents must be a dictionary containing a `{PREDICTIONS}` \
                 field; instead, received: `{}`",
                excerpt(&String::from_utf8_lossy(json.as_ref()))
            ))),
        }
    }

    /// The predictions in the format that the caller names.
    ///
    /// ```
    /// use mlflow_deploy::PredictionsResponse;
    /// use mlflow_deploy::predictions::ndarray::{ArrayD, arr1};
    ///
    /// # fn main() -> Result<(), mlflow_deploy::TargetError> {
    /// let response = PredictionsResponse::from_json(r#"{"predictions": [1, null, "2.5"]}"#)?;
    /// let texts: ArrayD<String> = response.get_predictions()?;
    /// assert_eq!(texts, arr1(&["1", "None", "2.5"].map(str::to_owned)).into_dyn());
    ///
    /// let error = response.get_predictions::<ArrayD<i64>>().unwrap_err();
    /// assert_eq!(error.message(), "expected int64, found `null` at [1]: ask for an array of another dtype");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: `PredictionsResponse.get_predictions`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the predictions cannot be represented in the format.
    pub fn get_predictions<F: PredictionsFormat>(&self) -> Result<F, TargetError> {
        F::from_predictions(&self.contents[PREDICTIONS])
    }

    /// All that was answered, in its order: `predictions`, and whatever metadata came beside it.
    pub fn contents(&self) -> &IndexMap<String, Value> {
        &self.contents
    }

    /// The response as the JSON that Python writes. With a path it goes to this file, and `None` comes back; the file is
    /// replaced as a whole, or stays what it was.
    ///
    /// ```
    /// use mlflow_deploy::PredictionsResponse;
    ///
    /// # fn main() -> Result<(), mlflow_deploy::TargetError> {
    /// let response = PredictionsResponse::from_json(r#"{"predictions":["é",1.0,1e-7,NaN],"z":1,"a":null}"#)?;
    /// let json = response.to_json(None)?;
    /// assert_eq!(json.as_deref(), Some(r#"{"predictions": ["\u00e9", 1.0, 1e-07, NaN], "z": 1, "a": null}"#));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: `PredictionsResponse.to_json`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the file cannot be written. Without a path there is none.
    pub fn to_json(&self, path: Option<&Path>) -> Result<Option<String>, TargetError> {
        let mut json = String::new();
        write_object(&mut json, &self.contents).expect("a string takes all that is written to it");
        match path {
            None => Ok(Some(json)),
            Some(path) => Replacement::write(path, json.as_bytes()).map(|()| None).map_err(|error| {
                TargetError::invalid_parameter(format!("failed to write `{}`: {error}", path.display()))
            }),
        }
    }
}

/// Shows the keys; the predictions may be large, or private.
impl fmt::Debug for PredictionsResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PredictionsResponse ")?;
        formatter.debug_set().entries(self.contents.keys()).finish()
    }
}
