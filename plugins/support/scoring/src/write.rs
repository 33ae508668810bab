//! Writes predictions as MLflow's scoring server does: Python's JSON, with `NaN`, `Infinity` and `-Infinity` as they are.

use std::fmt::{Display, Write};

use ndarray::{ArrayD, ArrayViewD, Axis};

use crate::tensor::Tensor;
use crate::text::{to_base64, write_float};

/// An output of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Maps from a class to its probability, one a row, as the operator ZipMap makes them. Keys that are integers come as
    /// their digits, as in JSON.
    Maps(Vec<Vec<(String, f32)>>),
    /// An array.
    Tensor(Tensor),
}

/// How outputs are laid out, which follows from the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One member for each output: the answer to tensors.
    Named,
    /// A list with an object for each row: the answer to a dataframe. Outputs that are no rows are laid out as
    /// [`Named`](Self::Named).
    Records,
}

/// Writes `{"predictions": …}`.
///
/// Floats have the shortest digits that read back as the same `float64`; those of 16 and 32 bits are widened first, as
/// numpy's `tolist` does. What is no number is written as Python writes it, `NaN`, `Infinity` and `-Infinity`, which
/// Python, MLflow and this project read, and strict readers of JSON refuse. Text is ASCII with `\u` escapes.
pub fn write(outputs: &[(String, Output)], layout: Layout) -> String {
    let mut out = "{\"predictions\": ".to_owned();
    match (layout, rows(outputs)) {
        (Layout::Records, Some(rows)) => write_list(&mut out, 0..rows, |out, row| {
            write_object(out, outputs, |out, output| write_row(out, output, row));
        }),
        _ => write_object(&mut out, outputs, write_output),
    }
    out.push('}');
    out
}

/// Writes one value alone, as [`write()`] does.
pub(crate) fn write_value(output: &Output) -> String {
    let mut out = String::new();
    write_output(&mut out, output);
    out
}

/// How many rows all outputs have.
fn rows(outputs: &[(String, Output)]) -> Option<usize> {
    let mut rows = outputs.iter().map(|(_, output)| match output {
        Output::Maps(maps) => Some(maps.len()),
        Output::Tensor(tensor) => tensor.shape().first().copied(),
    });
    let first = rows.next()??;
    rows.all(|rows| rows == Some(first)).then_some(first)
}

fn write_output(out: &mut String, output: &Output) {
    match output {
        Output::Maps(maps) => write_list(out, maps, |out, map| write_map(out, map)),
        Output::Tensor(tensor) => write_tensor(out, tensor, None),
    }
}

/// A row of an output; one value in an inner dimension stands alone, as in MLflow's dataframe.
fn write_row(out: &mut String, output: &Output, row: usize) {
    match output {
        Output::Maps(maps) => {
            if let Some(map) = maps.get(row) {
                write_map(out, map);
            }
        }
        Output::Tensor(tensor) => write_tensor(out, tensor, Some(row)),
    }
}

fn write_map(out: &mut String, map: &[(String, f32)]) {
    write_object(out, map, write_widened);
}

fn write_tensor(out: &mut String, tensor: &Tensor, row: Option<usize>) {
    match tensor {
        Tensor::Bool(array) => write_array(out, array, row, write_display),
        Tensor::Int8(array) => write_array(out, array, row, write_display),
        Tensor::Int16(array) => write_array(out, array, row, write_display),
        Tensor::Int32(array) => write_array(out, array, row, write_display),
        Tensor::Int64(array) | Tensor::Datetime(array) => write_array(out, array, row, write_display),
        Tensor::UInt8(array) => write_array(out, array, row, write_display),
        Tensor::UInt16(array) => write_array(out, array, row, write_display),
        Tensor::UInt32(array) => write_array(out, array, row, write_display),
        Tensor::UInt64(array) => write_array(out, array, row, write_display),
        Tensor::Float16(array) => write_array(out, array, row, write_widened),
        Tensor::Float32(array) => write_array(out, array, row, write_widened),
        Tensor::Float64(array) => write_array(out, array, row, write_widened),
        Tensor::String(array) => write_array(out, array, row, |out, text| write_string(out, text)),
        Tensor::Binary(array) => write_array(out, array, row, |out, bytes| {
            write_string(out, &to_base64(bytes));
        }),
    }
}

fn write_array<T>(out: &mut String, array: &ArrayD<T>, row: Option<usize>, write: fn(&mut String, &T)) {
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

fn write_nested<T>(out: &mut String, array: &ArrayViewD<'_, T>, write: fn(&mut String, &T)) {
    match array.ndim() {
        0 => array.iter().for_each(|value| write(out, value)),
        1 => write_list(out, array.iter(), write),
        _ => write_list(out, array.axis_iter(Axis(0)), |out, inner| write_nested(out, &inner, write)),
    }
}

fn write_list<T>(out: &mut String, items: impl IntoIterator<Item = T>, write: impl Fn(&mut String, T)) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write(out, item);
    }
    out.push(']');
}

fn write_object<T>(out: &mut String, members: &[(String, T)], write: impl Fn(&mut String, &T)) {
    out.push('{');
    for (index, (key, value)) in members.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_string(out, key);
        out.push_str(": ");
        write(out, value);
    }
    out.push('}');
}

fn write_display(out: &mut String, value: &impl Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

fn write_widened<F: Copy + Into<f64>>(out: &mut String, float: &F) {
    match (*float).into() {
        f64::INFINITY => out.push_str("Infinity"),
        f64::NEG_INFINITY => out.push_str("-Infinity"),
        float if float.is_nan() => out.push_str("NaN"),
        float => write_float(out, float),
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}
