//! Enforces a signature of columns: MLflow's rules on names and shapes. It converts no value itself.

use std::collections::HashMap;

use crate::array::Array;
use crate::convert::{Target, infer, tensor};
use crate::fault::{Fault, Kind};
use crate::frame::{Column, Frame, Label};
use crate::json::{excerpt, listing};
use crate::read::Inputs;
use crate::request::Data;
use crate::signature::{ColumnSpec, ColumnType};
use crate::tensor::Tensor;

/// The columns of a signature, from a request.
pub(crate) fn enforce(data: Data, specs: &[ColumnSpec]) -> Result<Inputs, Fault> {
    // Bytes are base64 in dataframes only.
    let is_base64 = matches!(data, Data::Frame(_));
    let columns = match data {
        Data::Frame(Frame { columns, .. }) | Data::Instances(Frame { columns, .. }) => columns,
        Data::Records(Frame { columns, .. }) => columns,
        Data::Named(arrays) => {
            let has_lists = |spec: &ColumnSpec| matches!(spec.kind, ColumnType::Array(_) | ColumnType::Other(_));
            let is_row = specs.iter().any(has_lists);
            let columns = arrays.into_iter().map(|(name, data)| Column { label: Label::Name(name), data });
            if is_row { columns.map(one_row).collect() } else { of_one_length(columns.collect())? }
        }
        Data::Array(array) => from_array(array, specs)?,
    };
    let columns = match specs.iter().all(|spec| spec.name.is_none()) {
        true => by_place(columns, specs, is_base64)?,
        false => by_name(columns, specs, is_base64)?,
    };
    Ok(Inputs::Frame(columns))
}

fn by_name(columns: Vec<Column>, specs: &[ColumnSpec], is_base64: bool) -> Result<Vec<(String, Tensor)>, Fault> {
    let labels: Vec<_> = columns.iter().map(|column| column.label.text().to_owned()).collect();
    let mut given: HashMap<String, Vec<Array>> = HashMap::new();
    for column in columns {
        if let Label::Name(name) = column.label {
            given.entry(name).or_default().push(column.data);
        }
    }
    let names = || specs.iter().filter_map(|spec| Some((spec.name.as_deref()?, spec)));
    let missing: Vec<_> = names().filter(|(name, spec)| spec.required && !given.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(Fault::schema(format!(
            "the model takes {}, which the request lacks: it has {}",
            listing(missing.iter().map(|(name, _)| *name)),
            listing(labels.iter().map(String::as_str)),
        )));
    }
    let mut taken = Vec::with_capacity(specs.len());
    for (name, spec) in names() {
        let mut arrays = given.remove(name).unwrap_or_default();
        if arrays.len() > 1 {
            return Err(Fault::bad_request(format!(
                "the request has column `{}` {} times",
                excerpt(name),
                arrays.len()
            )));
        }
        if let Some(array) = arrays.pop() {
            taken.push((name.to_owned(), convert(array, spec, name, is_base64)?));
        }
    }
    Ok(taken)
}

/// Columns without names are only counted; what is too much is ignored, as in MLflow.
fn by_place(columns: Vec<Column>, specs: &[ColumnSpec], is_base64: bool) -> Result<Vec<(String, Tensor)>, Fault> {
    if columns.len() < specs.len() {
        let (expected, given) = (specs.len(), columns.len());
        return Err(Fault::schema(format!("the model takes {expected} columns, and the request has {given}")));
    }
    let column = |(column, spec): (Column, &ColumnSpec)| {
        let name = column.label.into_text();
        let tensor = convert(column.data, spec, &name, is_base64)?;
        Ok((name, tensor))
    };
    columns.into_iter().zip(specs).map(column).collect()
}

fn convert(array: Array, spec: &ColumnSpec, name: &str, is_base64: bool) -> Result<Tensor, Fault> {
    let target = Target { is_base64, ..Target::column(name) };
    let (mut kind, mut rank) = (&spec.kind, 1);
    while let ColumnType::Array(items) = kind {
        (kind, rank) = (items, rank + 1);
    }
    let scalar = match kind {
        ColumnType::Any if rank == 1 => return infer(array, target),
        ColumnType::Scalar(scalar) => *scalar,
        ColumnType::Any | ColumnType::Array(_) => return infer(array, target),
        ColumnType::Other(kind) => {
            return Err(Fault::invalid(format!(
                "{} is `{kind}` in the model's signature, which no tensor can hold",
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
        let kind = if is_base64 { Kind::BadRequest } else { Kind::Schema };
        let (given, wanted) = (lists(array.shape.len()), lists(rank));
        let subject = target.subject();
        return Err(Fault::new(
            kind,
            format!("{subject} has {given} in a row, and the model takes {wanted} of `{expected}`"),
        ));
    }
    tensor(array, scalar.dtype(), Target { expected, ..target })
}

fn one_row(column: Column) -> Column {
    Column { data: column.data.in_a_list(), ..column }
}

/// Columns of one length; beside lists of one item a value stands for such a list, as in pandas.
fn of_one_length(columns: Vec<Column>) -> Result<Vec<Column>, Fault> {
    let is_one_row = columns.iter().all(|column| column.data.shape.first().is_none_or(|rows| *rows == 1));
    let row = |column: Column| if column.data.shape.is_empty() { one_row(column) } else { column };
    if is_one_row {
        return Ok(columns.into_iter().map(row).collect());
    }
    let mut lengths = columns.iter().map(|column| (column.label.text(), column.data.shape.first()));
    let Some((first, expected)) = lengths.next() else { return Ok(columns) };
    let length =
        |length: Option<&usize>| length.map_or_else(|| "one value".to_owned(), |length| format!("{length} rows"));
    match lengths.find(|(_, given)| *given != expected) {
        None => Ok(columns),
        Some((other, given)) => Err(Fault::schema(format!(
            "column `{}` has {}, and column `{}` has {}",
            excerpt(first),
            length(expected),
            excerpt(other),
            length(given),
        ))),
    }
}

/// The columns in a list or a value without names.
fn from_array(array: Array, specs: &[ColumnSpec]) -> Result<Vec<Column>, Fault> {
    if let [spec] = specs {
        let label = spec.name.clone().map_or_else(|| Label::Other("0".to_owned()), Label::Name);
        let mut depth = 0;
        let mut kind = &spec.kind;
        while let ColumnType::Array(items) = kind {
            (kind, depth) = (items, depth + 1);
        }
        let data = if array.shape.len() <= depth { array.in_a_list() } else { array };
        return Ok(vec![Column { label, data }]);
    }
    if specs.iter().all(|spec| spec.name.is_none()) && array.shape.len() == 2 {
        let column = |(place, data): (usize, Array)| Column { label: Label::Other(place.to_string()), data };
        return Ok(array.into_columns(specs.len()).into_iter().enumerate().map(column).collect());
    }
    Err(Fault::schema(format!(
        "the model takes {} columns, and the request has a list without names: use `dataframe_split`",
        specs.len(),
    )))
}
