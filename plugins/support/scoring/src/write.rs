//! Writes predictions as JSON, as MLflow's scoring server does.

use std::fmt::{self, Write};

use ndarray::{ArrayD, ArrayViewD, Axis};

use crate::python::{write_json_float, write_list, write_object, write_string};
use crate::tensor::Tensor;
use crate::text::to_base64;

const INFALLIBLE: &str = "writing to a string does not fail";

type WriteElement<T> = fn(&mut String, &T) -> fmt::Result;

/// One output of a model, for all rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A map from classes to probabilities for each row, as the ONNX operator `ZipMap` returns it. A class that is an
    /// integer is written in digits.
    Maps(Vec<Vec<(String, f32)>>),
    /// A tensor of any element type.
    Tensor(Tensor),
}

/// The layout of the outputs in an answer. It depends on the kind of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// An object with a member for each output. This is the answer if the inputs are tensors.
    Named,
    /// A list with an object for each row. This is the answer if the inputs are a dataframe. If the outputs have
    /// different numbers of rows, the answer has the layout [`Named`](Self::Named) instead.
    Records,
    /// The value of the only output, without its name. This is the answer of a model that returns an array. If there are
    /// several outputs, the answer has the layout [`Named`](Self::Named) instead.
    Single,
}

/// Writes the outputs of a model as the JSON object `{"predictions": …}`.
///
/// A float has the fewest digits that parse to the same `float64`. Floats of 16 and 32 bits are converted to `float64`
/// first, as by numpy's `tolist`. The module [`python`](crate::python) describes the format of the JSON.
pub fn write_predictions(outputs: &[(String, Output)], layout: Layout) -> String {
    write_outputs("predictions", outputs, layout)
}

/// Writes the outputs of a model as the JSON object `{"<key>": …}`.
pub(crate) fn write_outputs(key: &str, outputs: &[(String, Output)], layout: Layout) -> String {
    let mut out = format!("{{\"{key}\": ");
    let members = || outputs.iter().map(|(name, output)| (name, output));
    let written = match (layout, rows(outputs)) {
        (Layout::Records, Some(rows)) => write_list(&mut out, 0..rows, |out, row| {
            write_object(out, members(), |out, output| write_row(out, output, row))
        }),
        (Layout::Single, _) if outputs.len() == 1 => {
            outputs.iter().try_for_each(|(_, output)| write_output(&mut out, output))
        }
        _ => write_object(&mut out, members(), write_output),
    };
    written.expect(INFALLIBLE);
    out.push('}');
    out
}

/// Writes one output of a model as a JSON value: a nested list for each dimension of a tensor.
pub fn write_value(output: &Output) -> String {
    let mut out = String::new();
    write_output(&mut out, output).expect(INFALLIBLE);
    out
}

/// Returns the number of rows in the outputs, or `None` if it is not the same for all outputs.
fn rows(outputs: &[(String, Output)]) -> Option<usize> {
    let mut rows = outputs.iter().map(|(_, output)| match output {
        Output::Maps(maps) => Some(maps.len()),
        Output::Tensor(tensor) => tensor.shape().first().copied(),
    });
    let first = rows.next()??;
    rows.all(|rows| rows == Some(first)).then_some(first)
}

fn write_output(out: &mut String, output: &Output) -> fmt::Result {
    match output {
        Output::Maps(maps) => write_list(out, maps, |out, map| write_map(out, map)),
        Output::Tensor(tensor) => write_tensor(out, tensor, None),
    }
}

/// Writes one row of an output to `out`. A row with a single value is written without a list, as in MLflow's
/// dataframes.
fn write_row(out: &mut String, output: &Output, row: usize) -> fmt::Result {
    match output {
        Output::Maps(maps) => write_map(out, &maps[row]),
        Output::Tensor(tensor) => write_tensor(out, tensor, Some(row)),
    }
}

fn write_map(out: &mut String, map: &[(String, f32)]) -> fmt::Result {
    write_object(out, map.iter().map(|(key, value)| (key, value)), write_widened)
}

fn write_tensor(out: &mut String, tensor: &Tensor, row: Option<usize>) -> fmt::Result {
    match tensor {
        Tensor::Bool(array) => write_array(out, array, row, write_bool),
        Tensor::Int8(array) => write_array(out, array, row, write_integer),
        Tensor::Int16(array) => write_array(out, array, row, write_integer),
        Tensor::Int32(array) => write_array(out, array, row, write_integer),
        Tensor::Int64(array) | Tensor::Datetime(array) => write_array(out, array, row, write_integer),
        Tensor::UInt8(array) => write_array(out, array, row, write_integer),
        Tensor::UInt16(array) => write_array(out, array, row, write_integer),
        Tensor::UInt32(array) => write_array(out, array, row, write_integer),
        Tensor::UInt64(array) => write_array(out, array, row, write_integer),
        Tensor::Float16(array) => write_array(out, array, row, write_widened),
        Tensor::Float32(array) => write_array(out, array, row, write_widened),
        Tensor::Float64(array) => write_array(out, array, row, write_widened),
        Tensor::String(array) => write_array(out, array, row, |out, text| write_string(out, text)),
        Tensor::Binary(array) => write_array(out, array, row, |out, bytes| write_string(out, &to_base64(bytes))),
    }
}

fn write_array<T>(out: &mut String, array: &ArrayD<T>, row: Option<usize>, write: WriteElement<T>) -> fmt::Result {
    match row {
        None => write_nested(out, &array.view(), write),
        Some(row) => {
            let row = array.index_axis(Axis(0), row);
            match (row.len(), row.first()) {
                (1, Some(only)) => write(out, only),
                _ => write_nested(out, &row, write),
            }
        }
    }
}

fn write_nested<T>(out: &mut String, array: &ArrayViewD<'_, T>, write: WriteElement<T>) -> fmt::Result {
    match array.ndim() {
        0 => array.iter().try_for_each(|value| write(out, value)),
        1 => write_list(out, array.iter(), write),
        _ => write_list(out, array.axis_iter(Axis(0)), |out, inner| write_nested(out, &inner, write)),
    }
}

fn write_bool(out: &mut String, value: &bool) -> fmt::Result {
    out.write_str(if *value { "true" } else { "false" })
}

fn write_integer<I: Copy + itoa::Integer>(out: &mut String, value: &I) -> fmt::Result {
    out.write_str(itoa::Buffer::new().format(*value))
}

fn write_widened<F: Copy + Into<f64>>(out: &mut String, float: &F) -> fmt::Result {
    write_json_float(out, (*float).into())
}
