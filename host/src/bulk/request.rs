//! A request of a bulk prediction: one row of the input, or several rows that are sent together.

use std::sync::Arc;

use mlflow_deploy_plugin_api::{Error, JSON, Payload};

/// A request: one row of the input, or several rows that are sent together.
///
/// ```
/// use mlflow_deploy::Payload;
/// use mlflow_deploy::bulk::BulkRequest;
///
/// let inputs = Payload::from_json(&serde_json::json!({"messages": [{"role": "user", "content": "hello"}]}))?;
/// let request = BulkRequest::new(0, inputs);
/// assert_eq!((request.number(), request.rows()), (0, 1));
/// # Ok::<(), mlflow_deploy::TargetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BulkRequest {
    pub(super) number: u64,
    /// A checksum of all rows of the input up to the last one of this request.
    pub(super) checksum: u64,
    /// The number of input bytes up to the end of this request.
    pub(super) input_bytes: u64,
    pub(super) form: Form,
    pub(super) rows: Vec<BulkRow>,
}

/// One row of the input.
#[derive(Clone, Debug)]
pub(super) struct BulkRow {
    /// The line of the row in the input, counted from 1.
    pub(super) line: u64,
    /// The bytes of the row in the form of its request. An error if the row cannot be read.
    pub(super) content: Result<Vec<u8>, Error>,
}

/// The form of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The row is a whole request of this media type.
    Request(Arc<str>),
    /// The rows are elements of a list, between this text and as many closing brackets. The answer has a prediction for
    /// each row.
    Table { start: Arc<str>, end: &'static str },
}

impl Form {
    /// Rows that are objects, as in `dataframe_records`.
    pub(super) fn records() -> Self {
        Self::Table { start: r#"{"dataframe_records":["#.into(), end: "]}" }
    }

    /// Rows that are lists of values without names of columns.
    pub(super) fn lists() -> Self {
        Self::Table { start: r#"{"dataframe_split":{"data":["#.into(), end: "]}}" }
    }

    /// Rows that are lists of values in these columns, which are JSON strings that are separated by commas.
    #[cfg(feature = "csv")]
    pub(super) fn split(columns: &str) -> Self {
        let start = format!(r#"{{"dataframe_split":{{"columns":[{columns}],"data":["#);
        Self::Table { start: start.into(), end: "]}}" }
    }
}

impl BulkRequest {
    /// Returns a request with these inputs. The numbers of the requests of a bulk prediction must ascend.
    pub fn new(number: u64, inputs: Payload) -> Self {
        let form = Form::Request(inputs.content_type().into());
        let rows = vec![BulkRow { line: number + 1, content: Ok(inputs.into_bytes()) }];
        Self { number, checksum: 0, input_bytes: 0, form, rows }
    }

    /// Returns the number of the request, counted from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number of rows in the request.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Returns the inputs that contain the rows with these positions. They must be readable.
    pub(super) fn inputs(&self, positions: &[usize]) -> Payload {
        let rows = positions.iter().filter_map(|position| self.rows[*position].content.as_deref().ok());
        match &self.form {
            Form::Request(media_type) => Payload::new(&**media_type, rows.collect::<Vec<_>>().concat()),
            Form::Table { start, end } => {
                let rows: Vec<_> = rows.collect();
                let length = rows.iter().map(|row| row.len() + 1).sum::<usize>() + start.len() + end.len();
                let mut bytes = Vec::with_capacity(length);
                bytes.extend_from_slice(start.as_bytes());
                for (position, row) in rows.into_iter().enumerate() {
                    if position > 0 {
                        bytes.push(b',');
                    }
                    bytes.extend_from_slice(row);
                }
                bytes.extend_from_slice(end.as_bytes());
                Payload::new(JSON, bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_joined_in_the_form_of_the_request() {
        let row = |text: &str| BulkRow { line: 1, content: Ok(text.into()) };
        for (form, rows, expected) in [
            (Form::records(), [r#"{"a":1}"#, r#"{"a":2}"#], r#"{"dataframe_records":[{"a":1},{"a":2}]}"#),
            (Form::lists(), ["[1]", "[2]"], r#"{"dataframe_split":{"data":[[1],[2]]}}"#),
        ] {
            let rows = rows.map(row).to_vec();
            let request = BulkRequest { number: 0, checksum: 0, input_bytes: 0, form, rows };
            assert_eq!(request.inputs(&[0, 1]), Payload::new(JSON, expected));
        }
        let request = BulkRequest::new(7, Payload::new("text/plain", "hello"));
        assert_eq!(request.inputs(&[0]), Payload::new("text/plain", "hello"));
    }
}
