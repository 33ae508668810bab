//! Converts the values of a request to a tensor of one type. The modules `columns` and `tensors` check names and
//! shapes.

use half::f16;
use ndarray::{ArrayD, IxDyn};

use crate::array::NestedArray;
use crate::cell_error::{CellError, CellResult};
use crate::cells::{Cell, Cells};
use crate::element::{Base64, Nanoseconds, TensorElement, Utf8};
use crate::error::{ProtocolError, ProtocolErrorKind};
use crate::message::{at_indexes, shorten};
use crate::missing_values::is_missing;
use crate::tensor::{DType, Tensor};
use crate::text::{csv_bool, python_float, python_int};

/// The column or tensor of the signature to which values are converted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConversionTarget<'a> {
    /// The name of the column or tensor, or `None` if it has none.
    pub(crate) name: Option<&'a str>,
    /// True if values are converted for a column. Its outermost dimension is the rows.
    pub(crate) is_column: bool,
    /// True if the request writes bytes as base64.
    pub(crate) is_base64: bool,
    /// The type of the column or tensor, as the signature names it.
    pub(crate) expected: &'a str,
}

impl<'a> ConversionTarget<'a> {
    /// Returns the conversion target for a column of a dataframe, with an empty `expected`.
    pub(crate) fn column(name: &'a str) -> Self {
        Self { name: Some(name), is_column: true, is_base64: false, expected: "" }
    }

    /// Returns the conversion target for an input that is one tensor, with an empty `expected`.
    pub(crate) fn input(name: Option<&'a str>) -> Self {
        Self { name, is_column: false, is_base64: false, expected: "" }
    }

    /// Returns the text that names the column or input in a message, such as "column `age`".
    pub(crate) fn subject(&self) -> String {
        let kind = if self.is_column { "column" } else { "input" };
        self.name.map_or_else(|| format!("the {kind}"), |name| format!("{kind} `{}`", shorten(name)))
    }

    /// Returns the text that describes the position of a value in a message, such as "column `age`, row 3".
    fn locate(&self, shape: &[usize], mut index: usize) -> String {
        let mut at = vec![0; shape.len()];
        for (at, size) in at.iter_mut().zip(shape).rev() {
            *at = index.checked_rem(*size).unwrap_or_default();
            index = index.checked_div(*size).unwrap_or_default();
        }
        match at.split_first() {
            Some((row, rest)) if self.is_column => format!("{}, row {row}{}", self.subject(), at_indexes(rest)),
            _ => format!("{}{}", self.subject(), at_indexes(&at)),
        }
    }
}

/// Converts the values of an array to a tensor with the element type `dtype`.
pub(crate) fn to_tensor(
    array: NestedArray,
    dtype: DType,
    target: ConversionTarget<'_>,
) -> Result<Tensor, ProtocolError> {
    if let Some(difference) = &array.uneven {
        return Err(ProtocolError::bad_request(format!("{} is not an array: {difference}", target.subject())));
    }
    Ok(match dtype {
        DType::Bool => Tensor::Bool(elements(&array, target)?),
        DType::Int8 => Tensor::Int8(elements(&array, target)?),
        DType::Int16 => Tensor::Int16(elements(&array, target)?),
        DType::Int32 => Tensor::Int32(elements(&array, target)?),
        DType::Int64 => Tensor::Int64(match array.cells {
            Cells::Ints(values) => shaped(&array.shape, values)?,
            _ => elements(&array, target)?,
        }),
        DType::UInt8 => Tensor::UInt8(elements(&array, target)?),
        DType::UInt16 => Tensor::UInt16(elements(&array, target)?),
        DType::UInt32 => Tensor::UInt32(elements(&array, target)?),
        DType::UInt64 => Tensor::UInt64(elements(&array, target)?),
        DType::Float16 => Tensor::Float16(elements::<f16>(&array, target)?),
        DType::Float32 => Tensor::Float32(elements(&array, target)?),
        DType::Float64 => Tensor::Float64(match array.cells {
            Cells::Floats(values) => shaped(&array.shape, values)?,
            _ => elements(&array, target)?,
        }),
        DType::String => Tensor::String(elements(&array, target)?),
        DType::Binary if target.is_base64 => {
            Tensor::Binary(elements::<Base64>(&array, target)?.mapv_into_any(|it| it.0))
        }
        DType::Binary => Tensor::Binary(elements::<Utf8>(&array, target)?.mapv_into_any(|it| it.0)),
        DType::Datetime => Tensor::Datetime(elements::<Nanoseconds>(&array, target)?.mapv_into_any(|it| it.0)),
    })
}

fn elements<T: TensorElement>(array: &NestedArray, target: ConversionTarget<'_>) -> Result<ArrayD<T>, ProtocolError> {
    let values = match &array.cells {
        Cells::Ints(values) => convert_all(values.iter(), |int| T::from_int(*int)),
        Cells::Floats(values) => convert_all(values.iter(), |float| T::from_float(*float)),
        Cells::Mixed(values) => convert_all(values.iter(), T::from_cell),
        Cells::Csv(fields) => convert_all(fields.iter(), T::from_field),
    };
    let values = values.map_err(|(index, error)| {
        let position = target.locate(&array.shape, index);
        let (kind, reason) = match error {
            CellError::Lossy(reason) => (ProtocolErrorKind::InvalidParameter, reason),
            CellError::Invalid(reason) => (ProtocolErrorKind::BadRequest, reason),
            CellError::TimeZone => (ProtocolErrorKind::Schema, "has a time zone"),
        };
        let value = array.cells.quote(index);
        ProtocolError::new(kind, format!("{position}: {value} {reason}; the model takes `{}`", target.expected))
    })?;
    shaped(&array.shape, values)
}

/// Converts all values. At the first value that fails, returns its index and its error.
fn convert_all<V, T>(
    values: impl ExactSizeIterator<Item = V>,
    convert: impl Fn(V) -> CellResult<T>,
) -> Result<Vec<T>, (usize, CellError)> {
    let mut converted = Vec::with_capacity(values.len());
    for (index, value) in values.enumerate() {
        converted.push(convert(value).map_err(|error| (index, error))?);
    }
    Ok(converted)
}

fn shaped<T>(shape: &[usize], values: Vec<T>) -> Result<ArrayD<T>, ProtocolError> {
    ArrayD::from_shape_vec(IxDyn(shape), values)
        .map_err(|error| ProtocolError::bad_request(format!("failed to build an array: {error}")))
}

/// Converts the values of an array to a tensor. Its element type is the one that pandas or numpy infers from the
/// values.
pub(crate) fn infer_tensor(array: NestedArray, target: ConversionTarget<'_>) -> Result<Tensor, ProtocolError> {
    let dtype = match &array.cells {
        cells if cells.len() == 0 => DType::Float64,
        Cells::Ints(_) => DType::Int64,
        Cells::Floats(_) => DType::Float64,
        Cells::Mixed(cells) => mixed_dtype(cells),
        Cells::Csv(fields) => field_dtype(fields.iter()),
    };
    to_tensor(array, dtype, ConversionTarget { expected: dtype.name(), ..target })
}

/// Returns the element type for values of several types. It is the first of string, float, integer and boolean that a
/// value has. A missing value counts as a float.
fn mixed_dtype(cells: &[Cell]) -> DType {
    let any = |is: fn(&Cell) -> bool| cells.iter().any(is);
    if any(|cell| matches!(cell, Cell::Text(_) | Cell::Object)) {
        DType::String
    } else if any(|cell| matches!(cell, Cell::Float(_) | Cell::Missing)) {
        DType::Float64
    } else if any(|cell| matches!(cell, Cell::BigInt(_))) {
        DType::UInt64
    } else if any(|cell| matches!(cell, Cell::Int(_))) {
        DType::Int64
    } else {
        DType::Bool
    }
}

fn field_dtype<'a>(fields: impl Iterator<Item = &'a str> + Clone) -> DType {
    if fields.clone().all(|field| field.trim().parse::<i64>().is_ok()) {
        DType::Int64
    } else if fields.clone().all(|field| field.trim().parse::<u64>().is_ok()) {
        DType::UInt64
    } else if fields.clone().all(|field| python_int(field).is_some()) {
        // No integer type holds all of the integers, and floats would round them.
        DType::String
    } else if fields.clone().all(|field| is_missing(field) || python_float(field).is_some()) {
        DType::Float64
    } else if fields.clone().all(|field| csv_bool(field).is_some()) {
        DType::Bool
    } else {
        DType::String
    }
}
