//! Matches the values of a request with a signature of columns, by MLflow's rules for names and shapes. The module
//! `convert` converts the values.

use std::collections::HashMap;

use crate::array::NestedArray;
use crate::convert::{ConversionTarget, infer_tensor, to_tensor};
use crate::error::{ProtocolError, ProtocolErrorKind};
use crate::frame::{ColumnLabel, Frame, FrameColumn};
use crate::inputs::Inputs;
use crate::message::{NOT_IN_SIGNATURE, log_ignored, quote_names, shorten};
use crate::request::RequestData;
use crate::signature::{ColumnSpec, ColumnType};
use crate::tensor::Tensor;

/// Returns the columns of a request that the signature declares, converted to their types.
pub(crate) fn enforce(data: RequestData, specs: &[ColumnSpec]) -> Result<Inputs, ProtocolError> {
    // Only dataframes write bytes as base64.
    let is_base64 = matches!(data, RequestData::Frame(_));
    let columns = match data {
        RequestData::Frame(Frame { columns, .. }) | RequestData::Instances(Frame { columns, .. }) => columns,
        RequestData::Records(Frame { columns, .. }) => columns,
        RequestData::Named(arrays) => {
            let takes_lists = |spec: &ColumnSpec| matches!(spec.kind, ColumnType::Array(_) | ColumnType::Other(_));
            let is_row = specs.iter().any(takes_lists);
            let columns = arrays.into_iter().map(|(name, data)| FrameColumn { label: ColumnLabel::Name(name), data });
            if is_row { columns.map(into_single_row).collect() } else { with_equal_lengths(columns.collect())? }
        }
        RequestData::Array(array) => from_array(array, specs)?,
    };
    let columns = match specs.iter().all(|spec| spec.name.is_none()) {
        true => by_position(columns, specs, is_base64)?,
        false => by_name(columns, specs, is_base64)?,
    };
    Ok(Inputs::Frame(columns))
}

fn by_name(
    columns: Vec<FrameColumn>,
    specs: &[ColumnSpec],
    is_base64: bool,
) -> Result<Vec<(String, Tensor)>, ProtocolError> {
    let labels: Vec<_> = columns.iter().map(|column| column.label.text().to_owned()).collect();
    let mut by_name: HashMap<String, Vec<NestedArray>> = HashMap::new();
    for column in columns {
        if let ColumnLabel::Name(name) = column.label {
            by_name.entry(name).or_default().push(column.data);
        }
    }
    let names = || specs.iter().filter_map(|spec| Some((spec.name.as_deref()?, spec)));
    let missing: Vec<_> = names().filter(|(name, spec)| spec.required && !by_name.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(ProtocolError::schema(format!(
            "the request lacks {}, which the model takes: the request has {}",
            quote_names(missing.iter().map(|(name, _)| *name)),
            quote_names(labels.iter().map(String::as_str)),
        )));
    }
    let mut taken = Vec::with_capacity(specs.len());
    for (name, spec) in names() {
        let mut arrays = by_name.remove(name).unwrap_or_default();
        if arrays.len() > 1 {
            return Err(ProtocolError::bad_request(format!(
                "the request has column `{}` {} times",
                shorten(name),
                arrays.len()
            )));
        }
        if let Some(array) = arrays.pop() {
            taken.push((name.to_owned(), convert(array, spec, name, is_base64)?));
        }
    }
    if labels.len() > taken.len() {
        let surplus = labels.iter().filter(|label| !taken.iter().any(|(name, _)| name == *label));
        log_ignored("the columns", surplus.map(String::as_str), NOT_IN_SIGNATURE);
    }
    Ok(taken)
}

/// Matches the columns of a request by position with a signature whose columns have no names. Ignores surplus columns,
/// as MLflow does.
fn by_position(
    columns: Vec<FrameColumn>,
    specs: &[ColumnSpec],
    is_base64: bool,
) -> Result<Vec<(String, Tensor)>, ProtocolError> {
    if columns.len() < specs.len() {
        let (expected, actual) = (specs.len(), columns.len());
        return Err(ProtocolError::schema(format!("expected {expected} columns, the request has {actual}")));
    }
    let column = |(column, spec): (FrameColumn, &ColumnSpec)| {
        let name = column.label.into_text();
        let tensor = convert(column.data, spec, &name, is_base64)?;
        Ok((name, tensor))
    };
    log_ignored("the columns", columns[specs.len()..].iter().map(|column| column.label.text()), NOT_IN_SIGNATURE);
    columns.into_iter().zip(specs).map(column).collect()
}

fn convert(array: NestedArray, spec: &ColumnSpec, name: &str, is_base64: bool) -> Result<Tensor, ProtocolError> {
    let target = ConversionTarget { is_base64, ..ConversionTarget::column(name) };
    let (mut kind, mut rank) = (&spec.kind, 1);
    while let ColumnType::Array(items) = kind {
        (kind, rank) = (items, rank + 1);
    }
    let scalar = match kind {
        ColumnType::Any if rank == 1 => return infer_tensor(array, target),
        ColumnType::Scalar(scalar) => *scalar,
        ColumnType::Any | ColumnType::Array(_) => return infer_tensor(array, target),
        ColumnType::Other(kind) => {
            return Err(ProtocolError::invalid(format!(
                "{} is `{kind}` in the model's signature, which this target does not support",
                target.subject(),
            )));
        }
    };
    let expected = scalar.name();
    if array.uneven.is_none() && array.shape.first() != Some(&0) && array.shape.len() != rank {
        let lists = |rank: usize| match rank - 1 {
            0 => "one value".to_owned(),
            1 => "a list".to_owned(),
            deep => format!("lists {deep} deep"),
        };
        let kind = if is_base64 { ProtocolErrorKind::BadRequest } else { ProtocolErrorKind::Schema };
        let (actual, wanted) = (lists(array.shape.len()), lists(rank));
        let subject = target.subject();
        return Err(ProtocolError::new(
            kind,
            format!("{subject} has {actual} in a row; the model takes {wanted} of `{expected}`"),
        ));
    }
    to_tensor(array, scalar.dtype(), ConversionTarget { expected, ..target })
}

fn into_single_row(column: FrameColumn) -> FrameColumn {
    FrameColumn { data: column.data.into_single_row(), ..column }
}

/// Checks that all columns have the same length. If every list has one item, single values count as lists of one item,
/// as in pandas.
fn with_equal_lengths(columns: Vec<FrameColumn>) -> Result<Vec<FrameColumn>, ProtocolError> {
    let is_one_row = columns.iter().all(|column| column.data.shape.first().is_none_or(|rows| *rows == 1));
    let row = |column: FrameColumn| if column.data.shape.is_empty() { into_single_row(column) } else { column };
    if is_one_row {
        return Ok(columns.into_iter().map(row).collect());
    }
    let mut lengths = columns.iter().map(|column| (column.label.text(), column.data.shape.first()));
    let Some((first, expected)) = lengths.next() else { return Ok(columns) };
    let length =
        |length: Option<&usize>| length.map_or_else(|| "one value".to_owned(), |length| format!("{length} rows"));
    match lengths.find(|(_, actual)| *actual != expected) {
        None => Ok(columns),
        Some((other, actual)) => Err(ProtocolError::schema(format!(
            "column `{}` has {}, and column `{}` has {}",
            shorten(first),
            length(expected),
            shorten(other),
            length(actual),
        ))),
    }
}

/// Returns the columns in a list or a value that has no column names.
fn from_array(array: NestedArray, specs: &[ColumnSpec]) -> Result<Vec<FrameColumn>, ProtocolError> {
    if let [spec] = specs {
        let label = spec.name.clone().map_or_else(|| ColumnLabel::Other("0".to_owned()), ColumnLabel::Name);
        let mut depth = 0;
        let mut kind = &spec.kind;
        while let ColumnType::Array(items) = kind {
            (kind, depth) = (items, depth + 1);
        }
        let data = if array.shape.len() <= depth { array.into_single_row() } else { array };
        return Ok(vec![FrameColumn { label, data }]);
    }
    if specs.iter().all(|spec| spec.name.is_none()) && array.shape.len() == 2 {
        let column =
            |(index, data): (usize, NestedArray)| FrameColumn { label: ColumnLabel::Other(index.to_string()), data };
        return Ok(array.into_columns(specs.len()).into_iter().enumerate().map(column).collect());
    }
    Err(ProtocolError::schema(format!(
        "expected {} columns, the request has a list without names: use `dataframe_split`",
        specs.len(),
    )))
}
