//! A response with predictions. It is parsed from JSON, converted to a dataframe or an array, and written as JSON.

use std::fmt;
use std::path::Path;

use indexmap::IndexMap;
use mlflow_deploy_plugin_api::Error as TargetError;
use mlflow_deploy_scoring::shorten;

use super::parse::parse;
use super::value::{Value, write_dict};
use crate::Replacement;

/// The key of the predictions, which every response has.
const PREDICTIONS: &str = "predictions";

/// The predictions and metadata in the answer to a scoring request, such as one to the `/invocations` endpoint of an
/// MLflow model server.
///
/// Source: `mlflow.deployments.PredictionsResponse`.
#[derive(Clone, PartialEq)]
pub struct PredictionsResponse {
    contents: IndexMap<String, Value>,
}

/// A format of predictions: a dataframe ([`RecordBatch`](arrow_array::RecordBatch)), an array of one dtype
/// ([`ArrayD`](ndarray::ArrayD) of an [`Element`](super::Element)), or the array that numpy chooses
/// ([`Ndarray`](super::Ndarray)).
///
/// A program may add formats:
///
/// ```
/// use mlflow_deploy::predictions::{PredictionsFormat, Value};
/// use mlflow_deploy::{PredictionsResponse, TargetError};
///
/// /// The number of predictions.
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
/// Other types do not compile:
///
/// ```compile_fail,E0277
/// # let response = mlflow_deploy::PredictionsResponse::from_json(r#"{"predictions": [1]}"#).unwrap();
/// response.get_predictions::<String>();
/// ```
pub trait PredictionsFormat: Sized {
    /// Converts the value of `predictions` to the format.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the predictions cannot be represented in the format.
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError>;
}

impl PredictionsResponse {
    /// Parses a response: a JSON object with `predictions`. As in Python, `NaN`, `Infinity` and integers of any size
    /// are valid.
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
    /// `INVALID_PARAMETER_VALUE` if the bytes are not JSON, or not an object with `predictions`.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, TargetError> {
        match parse(json.as_ref())? {
            Value::Object(contents) if contents.contains_key(PREDICTIONS) => Ok(Self { contents }),
            _ => Err(TargetError::invalid_parameter(format!(
                "invalid response: predictions response contents must be a dictionary containing a `{PREDICTIONS}` \
                 field; instead, received: `{}`",
                shorten(&String::from_utf8_lossy(json.as_ref()))
            ))),
        }
    }

    /// Converts the predictions to a format.
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
    /// assert_eq!(error.message(), "expected int64, found `null` at [1]: use an array of another dtype");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Source: `PredictionsResponse.get_predictions`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the predictions cannot be represented in the format.
    pub fn get_predictions<F: PredictionsFormat>(&self) -> Result<F, TargetError> {
        F::from_predictions(&self.contents[PREDICTIONS])
    }

    /// Returns all members of the response in their order: `predictions` and metadata.
    pub fn contents(&self) -> &IndexMap<String, Value> {
        &self.contents
    }

    /// Returns the response as the JSON that Python writes. With a path, writes the JSON to this file instead and
    /// returns `None`. If writing fails, the file is unchanged.
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
    /// `INVALID_PARAMETER_VALUE` if the file cannot be written. Never fails without a path.
    pub fn to_json(&self, path: Option<&Path>) -> Result<Option<String>, TargetError> {
        let mut json = String::new();
        write_dict(&mut json, &self.contents).expect("writing to a string does not fail");
        match path {
            None => Ok(Some(json)),
            Some(path) => Replacement::write(path, json.as_bytes()).map(|()| None).map_err(|error| {
                TargetError::invalid_parameter(format!("failed to write `{}`: {error}", path.display()))
            }),
        }
    }
}

/// Prints only the keys of the response, because the predictions may be large or private.
impl fmt::Debug for PredictionsResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PredictionsResponse ")?;
        formatter.debug_set().entries(self.contents.keys()).finish()
    }
}
