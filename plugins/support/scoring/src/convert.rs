//! Values as a tensor of one type. It decides nothing about columns and shapes.

use half::f16;
use ndarray::{ArrayD, IxDyn};

use crate::array::{Array, place};
use crate::cells::{Cell, Cells};
use crate::element::{Base64, Converted, Element, Nanoseconds, Refusal, Utf8};
use crate::fault::{Fault, Kind};
use crate::json::excerpt;
use crate::tensor::{DType, Tensor};
use crate::text::{csv_bool, is_missing, python_float, python_int};

/// What values are for, in messages and where its kind decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// Its name, where it has one.
    pub(crate) name: Option<&'a str>,
    /// Whether it is a column, whose outermost dimension is rows.
    pub(crate) is_column: bool,
    /// Whether bytes are written as base64.
    pub(crate) is_base64: bool,
    /// What the signature calls the type.
    pub(crate) expected: &'a str,
}

impl<'a> Target<'a> {
    /// A column of a dataframe; the type is not known yet.
    pub(crate) fn column(name: &'a str) -> Self {
        Self { name: Some(name), is_column: true, is_base64: false, expected: "" }
    }

    /// An input that is one tensor; the type is not known yet.
    pub(crate) fn input(name: Option<&'a str>) -> Self {
        Self { name, is_column: false, is_base64: false, expected: "" }
    }

    /// What it is, for a message.
    pub(crate) fn subject(&self) -> String {
        let kind = if self.is_column { "column" } else { "input" };
        self.name.map_or_else(|| format!("the {kind}"), |name| format!("{kind} `{}`", excerpt(name)))
    }

    /// Where a value is, for a message.
    fn place(&self, shape: &[usize], mut index: usize) -> String {
        let mut at = vec![0; shape.len()];
        for (at, size) in at.iter_mut().zip(shape).rev() {
            *at = index.checked_rem(*size).unwrap_or_default();
            index = index.checked_div(*size).unwrap_or_default();
        }
        match at.split_first() {
            Some((row, rest)) if self.is_column => format!("{}, row {row}{}", self.subject(), place(rest)),
            _ => format!("{}{}", self.subject(), place(&at)),
        }
    }
}

/// The values as a tensor of this type.
pub(crate) fn tensor(array: Array, dtype: DType, target: Target<'_>) -> Result<Tensor, Fault> {
    if let Some(why) = &array.uneven {
        return Err(Fault::bad_request(format!("{} is no array: {why}", target.subject())));
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

fn elements<T: Element>(array: &Array, target: Target<'_>) -> Result<ArrayD<T>, Fault> {
    let values = match &array.cells {
        Cells::Ints(values) => all(values.iter(), |int| T::from_int(*int)),
        Cells::Floats(values) => all(values.iter(), |float| T::from_float(*float)),
        Cells::Mixed(values) => all(values.iter(), T::from_cell),
        Cells::Csv(fields) => all(fields.iter(), T::from_field),
    };
    let values = values.map_err(|(index, refusal)| {
        let place = target.place(&array.shape, index);
        let (kind, why) = match refusal {
            Refusal::Changed(why) => (Kind::InvalidParameter, why),
            Refusal::Unreadable(why) => (Kind::BadRequest, why),
            Refusal::Zone => (Kind::Schema, "has a time zone"),
        };
        let value = array.cells.show(index);
        Fault::new(kind, format!("{place}: {value} {why}; the model takes `{}`", target.expected))
    })?;
    shaped(&array.shape, values)
}

/// Every value converted, or the index of the first that cannot be.
fn all<V, T>(
    values: impl ExactSizeIterator<Item = V>,
    convert: impl Fn(V) -> Converted<T>,
) -> Result<Vec<T>, (usize, Refusal)> {
    let mut converted = Vec::with_capacity(values.len());
    for (index, value) in values.enumerate() {
        converted.push(convert(value).map_err(|refusal| (index, refusal))?);
    }
    Ok(converted)
}

fn shaped<T>(shape: &[usize], values: Vec<T>) -> Result<ArrayD<T>, Fault> {
    ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|error| Fault::bad_request(format!("no array: {error}")))
}

/// The values as a tensor of the type that pandas and numpy would find.
pub(crate) fn infer(array: Array, target: Target<'_>) -> Result<Tensor, Fault> {
    let dtype = match &array.cells {
        cells if cells.len() == 0 => DType::Float64,
        Cells::Ints(_) => DType::Int64,
        Cells::Floats(_) => DType::Float64,
        Cells::Mixed(cells) => mixed_dtype(cells),
        Cells::Csv(fields) => field_dtype(fields.iter()),
    };
    tensor(array, dtype, Target { expected: dtype.name(), ..target })
}

/// Text wins over numbers, floats over integers, and numbers over truth values.
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
        // No type holds them all, and a float would round them.
        DType::String
    } else if fields.clone().all(|field| is_missing(field) || python_float(field).is_some()) {
        DType::Float64
    } else if fields.clone().all(|field| csv_bool(field).is_some()) {
        DType::Bool
    } else {
        DType::String
    }
}
