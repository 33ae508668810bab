//! The signature of a model: the columns or tensors that the model takes, and its parameters.

use std::fmt;

use jiter::{Jiter, JsonValue};
use serde_json::{Map, Value};

use crate::tensor::DType;

/// The signature of a model: the inputs and parameters that the model takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The inputs, or `None` if the signature has only outputs or parameters.
    pub inputs: Option<Schema>,
    /// The parameters, or `None` if the signature has none. The parameters of a request are then ignored.
    pub params: Option<Vec<ParamSpec>>,
}

/// The inputs that a signature declares: at least one column or tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// Columns of a dataframe. Either all of them have names or none do.
    Columns(Vec<ColumnSpec>),
    /// Tensors. Either all of them have names, or there is a single tensor without a name.
    Tensors(Vec<TensorSpec>),
}

/// A column that a signature declares.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// The name of the column, or `None` if columns are matched by position.
    pub name: Option<String>,
    /// The type of the column's cells.
    pub kind: ColumnType,
    /// True if a request must have the column.
    pub required: bool,
}

/// The type of the cells in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnType {
    /// Any type. It is inferred from the values.
    Any,
    /// A list whose items have this type.
    Array(Box<Self>),
    /// The name of a type that tensors cannot hold: `object`, `map` or `sparkml_vector`.
    Other(String),
    /// A single value of a scalar type.
    Scalar(ScalarType),
}

/// A scalar type of MLflow's signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarType {
    /// Bytes, which JSON and CSV write as base64.
    Binary,
    /// `true` or `false`.
    Boolean,
    /// A date and time without a time zone.
    Datetime,
    /// A 64-bit float.
    Double,
    /// A 32-bit float.
    Float,
    /// A signed 32-bit integer.
    Integer,
    /// A signed 64-bit integer.
    Long,
    /// A string.
    String,
}

/// A tensor that a signature declares.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// The name of the tensor, or `None` if the signature has a single tensor without a name.
    pub name: Option<String>,
    /// The type of the tensor's elements.
    pub dtype: DType,
    /// The size of each dimension, outermost first. `None` stands for any size.
    pub shape: Vec<Option<usize>>,
}

/// A parameter that a signature declares.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// The name of the parameter.
    pub name: String,
    /// The type of the parameter, or of its items if it is a list. `None` if it is not a scalar type, such as an
    /// object.
    pub kind: Option<ScalarType>,
    /// True if the parameter is a list.
    pub is_list: bool,
}

/// The reason why a signature is invalid or not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureError(String);

impl fmt::Display for SignatureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for SignatureError {}

impl ScalarType {
    /// Returns the name of the type in MLflow, such as `long`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Boolean => "boolean",
            Self::Datetime => "datetime",
            Self::Double => "double",
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::String => "string",
        }
    }

    /// Returns the scalar type that MLflow calls `name`, or `None` if it is unknown.
    fn from_name(name: &str) -> Option<Self> {
        const ALL: [ScalarType; 8] = [
            ScalarType::Binary,
            ScalarType::Boolean,
            ScalarType::Datetime,
            ScalarType::Double,
            ScalarType::Float,
            ScalarType::Integer,
            ScalarType::Long,
            ScalarType::String,
        ];
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the element type of a tensor that holds values of this type.
    pub fn dtype(self) -> DType {
        match self {
            Self::Binary => DType::Binary,
            Self::Boolean => DType::Bool,
            Self::Datetime => DType::Datetime,
            Self::Double => DType::Float64,
            Self::Float => DType::Float32,
            Self::Integer => DType::Int32,
            Self::Long => DType::Int64,
            Self::String => DType::String,
        }
    }
}

impl Signature {
    /// Parses a signature from its members `inputs` and `params` in the file `MLmodel`. Each member is a JSON document.
    ///
    /// # Errors
    /// Fails if a document is invalid, or if it names a type that this crate does not support.
    pub fn from_json(inputs: Option<&str>, params: Option<&str>) -> Result<Self, SignatureError> {
        let within = |part: &str| {
            let part = part.to_owned();
            move |reason: String| SignatureError(format!("in `{part}` of the signature: {reason}"))
        };
        let inputs = entries(inputs).and_then(|inputs| inputs.map(schema).transpose());
        let params = entries(params);
        let params = params.and_then(|params| params.map(|params| params.iter().map(param).collect()).transpose());
        Ok(Self { inputs: inputs.map_err(within("inputs"))?, params: params.map_err(within("params"))? })
    }
}

/// Parses a JSON list of objects. Returns `None` if the document is absent or null.
fn entries(json: Option<&str>) -> Result<Option<Vec<Map<String, Value>>>, String> {
    let Some(json) = json else { return Ok(None) };
    // Python writes `NaN` in defaults.
    let mut jiter = Jiter::new(json.as_bytes()).with_allow_inf_nan();
    let value = jiter.next_value().and_then(|value| jiter.finish().map(|()| value));
    let value = value.map_err(|error| format!("it is not JSON: {}", error.description(&jiter)))?;
    match to_json(&value) {
        Value::Null => Ok(None),
        Value::Array(entries) => entries
            .into_iter()
            .map(|entry| match entry {
                Value::Object(members) => Ok(members),
                other => Err(format!("expected objects, got `{other}`")),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        other => Err(format!("expected a list, got `{other}`")),
    }
}

/// Converts a JSON value to the type of `serde_json`. `NaN` and infinite numbers become null. They occur only in
/// default values, which are not used.
fn to_json(value: &JsonValue<'_>) -> Value {
    match value {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(truth) => Value::Bool(*truth),
        JsonValue::Int(int) => Value::from(*int),
        JsonValue::Float(float) => Value::from(*float),
        JsonValue::Str(text) => Value::from(text.as_ref()),
        JsonValue::Array(items) => items.iter().map(to_json).collect(),
        JsonValue::Object(members) => members.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect(),
    }
}

fn schema(entries: Vec<Map<String, Value>>) -> Result<Schema, String> {
    let names = entries.iter().filter(|entry| text(entry, "name").is_some()).count();
    if entries.is_empty() {
        return Err("it is empty".to_owned());
    }
    if names != 0 && names != entries.len() {
        return Err("some inputs have a name and some do not".to_owned());
    }
    let tensors = entries.iter().filter(|entry| text(entry, "type") == Some("tensor")).count();
    if tensors == 0 {
        return entries.iter().map(column).collect::<Result<_, _>>().map(Schema::Columns);
    }
    if tensors != entries.len() {
        return Err("some inputs are columns and some are tensors".to_owned());
    }
    if names == 0 && tensors > 1 {
        return Err(format!("it has {tensors} tensors without a name: only one is allowed"));
    }
    entries.iter().map(tensor).collect::<Result<_, _>>().map(Schema::Tensors)
}

fn text<'a>(entry: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    entry.get(key).and_then(Value::as_str)
}

fn column(entry: &Map<String, Value>) -> Result<ColumnSpec, String> {
    Ok(ColumnSpec {
        name: text(entry, "name").map(str::to_owned),
        kind: column_type(entry)?,
        // As in MLflow, a missing `required` means true and null means false.
        required: entry.get("required").is_none_or(|required| required == &Value::Bool(true)),
    })
}

fn column_type(entry: &Map<String, Value>) -> Result<ColumnType, String> {
    Ok(match text(entry, "type") {
        None => return Err(format!("`{}` has no `type`", Value::from(entry.clone()))),
        Some("any") => ColumnType::Any,
        Some("array") => match entry.get("items") {
            Some(Value::Object(items)) => ColumnType::Array(Box::new(column_type(items)?)),
            _ => return Err(format!("`{}` has no `items`", Value::from(entry.clone()))),
        },
        Some(other @ ("map" | "object" | "sparkml_vector")) => ColumnType::Other(other.to_owned()),
        Some(name) => match ScalarType::from_name(name) {
            Some(kind) => ColumnType::Scalar(kind),
            None => return Err(format!("unknown type `{name}`")),
        },
    })
}

fn tensor(entry: &Map<String, Value>) -> Result<TensorSpec, String> {
    let missing = |key: &str| format!("`{}` has no `tensor-spec` with a `{key}`", Value::from(entry.clone()));
    let spec = entry.get("tensor-spec").and_then(Value::as_object).ok_or_else(|| missing("dtype"))?;
    let dtype = text(spec, "dtype").ok_or_else(|| missing("dtype"))?;
    let shape = spec.get("shape").and_then(Value::as_array).ok_or_else(|| missing("shape"))?;
    let dimension = |size: &Value| match size.as_i64() {
        Some(-1) => Ok(None),
        size => size
            .and_then(|size| usize::try_from(size).ok())
            .map(Some)
            .ok_or_else(|| format!("invalid shape `{}`", Value::from(shape.clone()))),
    };
    Ok(TensorSpec {
        name: text(entry, "name").map(str::to_owned),
        dtype: DType::from_name(dtype).ok_or_else(|| format!("unsupported dtype `{dtype}`"))?,
        shape: shape.iter().map(dimension).collect::<Result<_, _>>()?,
    })
}

fn param(entry: &Map<String, Value>) -> Result<ParamSpec, String> {
    Ok(ParamSpec {
        name: text(entry, "name").ok_or("a parameter has no `name`")?.to_owned(),
        kind: text(entry, "type").or_else(|| text(entry, "dtype")).and_then(ScalarType::from_name),
        is_list: entry.get("shape").is_some_and(Value::is_array),
    })
}
