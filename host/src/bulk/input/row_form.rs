//! Decides if a line of JSON is a request or a row of a table.

use jiter::{Jiter, JiterResult, Peek};
use mlflow_deploy_plugin_api::{JSON, Result};

use super::row::unreadable;
use crate::bulk::request::Form;

/// The members that mark a JSON object as a request, and not as a row or a table. They occur in requests to MLflow's model
/// servers and to text models.
pub const REQUEST_MEMBERS: [&str; 9] = [
    "dataframe_records",
    "dataframe_split",
    "input",
    "inputs",
    "instances",
    "messages",
    "params",
    "prompt",
    "signature_name",
];

/// The form of the lines of JSON Lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowForm {
    /// [`Record`](Self::Record) if rows are grouped. Otherwise, if the target takes tables, a line is a row if it is a list
    /// of values, or an object without one of the [`REQUEST_MEMBERS`]. All other lines are requests.
    #[default]
    Auto,
    /// Each line is a row: an object with a member for each column, or a list with a value for each column.
    Record,
    /// Each line is a request, which is sent unchanged.
    Request,
}

/// Reads lines in one form.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowReader {
    pub(super) form: RowForm,
    pub(super) takes_tables: bool,
    /// True if several rows are sent in one request.
    pub(super) is_grouped: bool,
}

/// The shape of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A list of values that are not all plain, such as a list of records.
    ListOfLists,
    /// A list of values.
    List,
    Object,
    /// An object with a member of a request.
    RequestObject,
    /// A number, a text, a boolean or null.
    Value,
}

impl RowReader {
    /// Returns the form of a line.
    ///
    /// # Errors
    /// Fails if the line is not JSON, or if it is a request and has to be a row.
    pub(super) fn form_of(self, line: &[u8]) -> Result<Form> {
        std::str::from_utf8(line).map_err(|error| unreadable(format!("the row is not UTF-8: {error}")))?;
        let mut jiter = Jiter::new(line).with_allow_inf_nan();
        let shape = shape(&mut jiter).and_then(|shape| jiter.finish().map(|()| shape));
        let shape = shape.map_err(|error| {
            let (column, kind) = (error.index + 1, error.error_type);
            unreadable(format!("the row is not JSON: {kind} at column {column}; expected one JSON value on each line"))
        })?;
        let must_be_row = self.form == RowForm::Record || self.is_grouped;
        let may_be_row = must_be_row || (self.form == RowForm::Auto && self.takes_tables);
        match shape {
            Shape::Object if may_be_row => Ok(Form::records()),
            Shape::List if may_be_row => Ok(Form::lists()),
            other if must_be_row => {
                let found = match other {
                    Shape::ListOfLists => "a list of lists or objects",
                    Shape::RequestObject => "a whole request",
                    _ => "a single value",
                };
                let expected = "expected an object with a member for each column, or a list of values";
                Err(unreadable(format!("the row is {found}: {expected}")))
            }
            _ => Ok(Form::Request(JSON.into())),
        }
    }
}

fn shape(jiter: &mut Jiter<'_>) -> JiterResult<Shape> {
    match jiter.peek()? {
        Peek::Object => {
            let mut shape = Shape::Object;
            let mut key = jiter.known_object()?.map(is_request_member);
            while let Some(is_request) = key {
                if is_request {
                    shape = Shape::RequestObject;
                }
                jiter.next_skip()?;
                key = jiter.next_key()?.map(is_request_member);
            }
            Ok(shape)
        }
        Peek::Array => {
            let mut shape = Shape::List;
            let mut next = jiter.known_array()?;
            while let Some(peek) = next {
                if matches!(peek, Peek::Array | Peek::Object) {
                    shape = Shape::ListOfLists;
                }
                jiter.known_skip(peek)?;
                next = jiter.array_step()?;
            }
            Ok(shape)
        }
        peek => jiter.known_skip(peek).map(|()| Shape::Value),
    }
}

fn is_request_member(key: &str) -> bool {
    REQUEST_MEMBERS.contains(&key)
}
