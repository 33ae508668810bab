//! Prints the predictions in an answer as a table for people or as CSV.

use mlflow_deploy::predictions::Value;
use mlflow_deploy::predictions::arrow_array::cast::AsArray;
use mlflow_deploy::predictions::arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use mlflow_deploy::predictions::arrow_array::{Array, ArrayRef, RecordBatch};
use mlflow_deploy::predictions::arrow_schema::{DataType, Field};
use mlflow_deploy::{Payload, PredictionsResponse};
use mlflow_deploy_plugin_api::text;
use unicode_width::UnicodeWidthStr;

use crate::report::CliError;

/// The name of the column that holds the names of the rows.
const INDEX: &str = "__index_level_0__";

/// The blanks between two columns of a table.
const GAP: &str = "  ";

/// The predictions of an answer as the text of their cells.
pub(crate) struct Dataframe {
    columns: Vec<Column>,
    rows: usize,
    has_index: bool,
}

struct Column {
    name: String,
    /// The text of each cell; empty for a missing value.
    cells: Vec<String>,
    is_number: bool,
}

impl Dataframe {
    /// Reads the dataframe that pandas makes from the predictions of an answer.
    ///
    /// # Errors
    /// Fails if the answer has no predictions, or if they are not rows and columns.
    pub(crate) fn read(answer: &Payload) -> Result<Self, CliError> {
        let batch = PredictionsResponse::from_json(answer.bytes()).and_then(|response| response.get_predictions());
        let batch: RecordBatch = batch.map_err(|error| {
            CliError::Input(format!(
                "the answer is not a table: {}; `--format json` prints every answer",
                error.message()
            ))
        })?;
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| Column::new(field, array));
        let mut columns: Vec<_> = columns.collect();
        // The names of the rows are the last column of the batch, and the first of a table.
        let has_index = columns.last().is_some_and(|column| column.name == INDEX);
        columns.rotate_right(usize::from(has_index));
        Ok(Self { columns, rows: batch.num_rows(), has_index })
    }

    /// Returns the CSV that `DataFrame.to_csv(index=False)` of pandas writes. A list or a dict in a cell is JSON,
    /// whereas pandas writes its Python form.
    ///
    /// # Errors
    /// Fails if the CSV cannot be written.
    pub(crate) fn to_csv(&self) -> Result<String, CliError> {
        let columns = &self.columns[usize::from(self.has_index)..];
        if columns.is_empty() {
            return Ok("\n".repeat(self.rows + 1));
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let rows = (0..self.rows).map(|row| columns.iter().map(|column| &column.cells[row]).collect::<Vec<_>>());
        let header = columns.iter().map(|column| &column.name).collect();
        for row in [header].into_iter().chain(rows) {
            writer.write_record(row).map_err(|error| CliError::Input(format!("failed to write CSV: {error}")))?;
        }
        let bytes = writer.into_inner().map_err(|error| CliError::Input(format!("failed to write CSV: {error}")))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns a table with one line for each row. Numbers are aligned to the right, wide characters such as those of
    /// Chinese take two places, and control characters are escaped.
    pub(crate) fn to_table(&self) -> String {
        let mut lines = vec![String::new(); self.rows + 1];
        for (number, column) in self.columns.iter().enumerate() {
            let is_index = self.has_index && number == 0;
            let name = if is_index { "" } else { &column.name };
            let cells = [name].into_iter().chain(column.cells.iter().map(String::as_str));
            let cells: Vec<_> = cells.map(text::line).collect();
            let width = cells.iter().map(|cell| cell.width()).max().unwrap_or_default();
            for (line, cell) in lines.iter_mut().zip(cells) {
                if number > 0 {
                    line.push_str(GAP);
                }
                let padding = " ".repeat(width - cell.width());
                line.push_str(&if column.is_number { padding + &cell } else { cell.into_owned() + &padding });
            }
        }
        lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

impl Column {
    fn new(field: &Field, array: &ArrayRef) -> Self {
        let is_json = field.extension_type_name() == Some("arrow.json");
        let cell = |row: usize| match (array.is_null(row), array.data_type()) {
            (true, _) => String::new(),
            (_, DataType::Boolean) => python_bool(array.as_boolean().value(row)).to_owned(),
            (_, DataType::Float64) => python_float(array.as_primitive::<Float64Type>().value(row)),
            (_, DataType::Int64) => array.as_primitive::<Int64Type>().value(row).to_string(),
            (_, DataType::UInt64) => array.as_primitive::<UInt64Type>().value(row).to_string(),
            _ if is_json => python_object(array.as_string::<i32>().value(row)),
            _ => array.as_string::<i32>().value(row).to_owned(),
        };
        let is_number = matches!(array.data_type(), DataType::Float64 | DataType::Int64 | DataType::UInt64);
        Self { name: field.name().clone(), cells: (0..array.len()).map(cell).collect(), is_number }
    }
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// Returns the text that pandas writes for a float. A `NaN` is a missing value, and therefore empty.
fn python_float(value: f64) -> String {
    match value {
        _ if value.is_nan() => String::new(),
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        _ => Value::Float(value).to_string(),
    }
}

/// Returns the text that pandas writes for a value in a column of different types. A list or a dict stays JSON.
fn python_object(json: &str) -> String {
    match json {
        "true" => python_bool(true).to_owned(),
        "false" => python_bool(false).to_owned(),
        "Infinity" => "inf".to_owned(),
        "-Infinity" => "-inf".to_owned(),
        _ if json.starts_with('"') => serde_json::from_str(json).unwrap_or_else(|_other| json.to_owned()),
        _ => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mlflow_deploy::JSON;

    use super::*;

    fn read(predictions: &str) -> Dataframe {
        Dataframe::read(&Payload::new(JSON, format!(r#"{{"predictions": {predictions}}}"#))).ok().unwrap()
    }

    /// The expected texts are those of `to_csv(index=False)` of pandas 3.1, except for the list and the dict.
    #[test]
    fn csv_is_what_pandas_writes() {
        for (predictions, expected) in [
            ("[1, 2]", "0\n1\n2\n"),
            ("[[1, 2.0], [3, 1e-07]]", "0,1\n1,2.0\n3,1e-07\n"),
            (r#"[{"a": 1, "b": "x"}, {"b": "y, \"z\""}]"#, "a,b\n1.0,x\n,\"y, \"\"z\"\"\"\n"),
            (r#"[{"a": true}, {"a": false}]"#, "a\nTrue\nFalse\n"),
            (r#"[{"a": true}, {"a": null}, {"a": "t"}]"#, "a\nTrue\n\"\"\nt\n"),
            ("[1.5, NaN, Infinity, -Infinity]", "0\n1.5\n\"\"\ninf\n-inf\n"),
            (r#"[{"a": [1, 2]}, {"a": {"b": "c"}}]"#, "a\n\"[1, 2]\"\n\"{\"\"b\"\": \"\"c\"\"}\"\n"),
            (r#"{"a": [1, 2], "b": ["x", "y\nz"]}"#, "a,b\n1,x\n2,\"y\nz\"\n"),
            (r#"{"a": {"r1": 1, "r2": 2}}"#, "a\n1\n2\n"),
            ("[18446744073709551615, 1]", "0\n18446744073709551615\n1\n"),
            (r#"["a b", "", "é"]"#, "0\na b\n\"\"\né\n"),
            ("[]", "\n"),
        ] {
            assert_eq!(read(predictions).to_csv().ok().unwrap(), expected, "{predictions}");
        }
    }

    #[test]
    fn a_table_has_aligned_columns_and_one_line_for_each_row() {
        let records = r#"[{"label": "cat", "score": 0.5}, {"label": "a\u001b[1m\ndog", "score": 12.25}]"#;
        assert_eq!(
            read(records).to_table(),
            "label            score\ncat                0.5\na\\u{1b}[1m\\ndog  12.25\n"
        );
        let wide = r#"[{"名": "日本", "n": 1}, {"名": "e\u0301té", "n": 10}, {"名": "👩\u200d🚀", "n": 2}]"#;
        assert_eq!(read(wide).to_table(), "名     n\n日本   1\ne\u{301}té   10\n👩\u{200d}🚀     2\n");
        assert_eq!(read(r#"{"a": {"r1": 1, "row2": 20}}"#).to_table(), "       a\nr1     1\nrow2  20\n");
    }

    #[test]
    fn an_answer_without_rows_is_refused() {
        for answer in [r#"{"choices": []}"#, r#"{"predictions": 1}"#, "[1]", r#"{"predictions": [[1], 2]}"#] {
            let Err(CliError::Input(message)) = Dataframe::read(&Payload::new(JSON, answer)) else {
                panic!("{answer}")
            };
            assert!(message.starts_with("the answer is not a table: "), "{message}");
            assert!(message.ends_with("; `--format json` prints every answer"), "{message}");
        }
    }
}
