//! A JSON reader that accepts the same texts as Python's `json.loads`, with `NaN` and `Infinity`. Arrays can nest 64
//! deep, the maximum number of dimensions in numpy.

use std::ops::Range;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};

use crate::cells::Cell;
use crate::error::ProtocolError;
use crate::message::shorten;

/// The maximum depth of nested arrays, which is numpy's maximum number of dimensions.
pub(crate) const MAX_DEPTH: usize = 64;

/// A streaming reader of one value in a JSON text.
pub(crate) struct JsonReader<'a> {
    jiter: Jiter<'a>,
    text: &'a str,
    /// The byte offset in `text` at which the value begins.
    start: usize,
    /// The index of the current item in each of the arrays that contain it, outermost first.
    pub(crate) at: [usize; MAX_DEPTH],
}

impl<'a> JsonReader<'a> {
    /// Creates a reader for the value in the byte range `part` of `text`.
    pub(crate) fn new(text: &'a str, part: Range<usize>) -> Self {
        let start = part.start;
        let part = text.as_bytes().get(part).unwrap_or_default();
        Self { jiter: Jiter::new(part).with_allow_inf_nan(), text, start, at: [0; MAX_DEPTH] }
    }

    /// Returns the index of the current item in each of the outermost `depth` arrays that contain it.
    pub(crate) fn at(&self, depth: usize) -> &[usize] {
        self.at.get(..depth).unwrap_or_default()
    }

    /// Returns the type of the next value.
    pub(crate) fn peek(&mut self) -> Result<Peek, ProtocolError> {
        self.jiter.peek().map_err(|error| self.error(&error))
    }

    /// Skips the next value. Returns its byte range in the text.
    pub(crate) fn skip(&mut self, peek: Peek) -> Result<Range<usize>, ProtocolError> {
        let start = self.start + self.jiter.current_index();
        self.jiter.known_skip(peek).map_err(|error| self.error(&error))?;
        Ok(start..self.start + self.jiter.current_index())
    }

    /// Skips the next value. Returns its JSON text.
    pub(crate) fn raw(&mut self, peek: Peek) -> Result<&'a str, ProtocolError> {
        let part = self.skip(peek)?;
        Ok(self.text.get(part).unwrap_or_default())
    }

    /// Enters an array. Returns the type of its first item, or `None` if the array is empty.
    pub(crate) fn first_item(&mut self) -> Result<Option<Peek>, ProtocolError> {
        self.jiter.known_array().map_err(|error| self.error(&error))
    }

    /// Returns the type of the next item of an array, or `None` at the end of the array.
    pub(crate) fn next_item(&mut self) -> Result<Option<Peek>, ProtocolError> {
        self.jiter.array_step().map_err(|error| self.error(&error))
    }

    /// Reads an object. Calls `each` with the key of each member; `each` has to read the member's value.
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        // Copies each key to a buffer: the key borrows the reader, which has to read the value.
        let mut key = String::new();
        let first = self.jiter.known_object().map(|first| first.map(|first| key.push_str(first)));
        let mut more = first.map_err(|error| self.error(&error))?.is_some();
        while more {
            each(self, &key)?;
            key.clear();
            let next = self.jiter.next_key().map(|next| next.map(|next| key.push_str(next)));
            more = next.map_err(|error| self.error(&error))?.is_some();
        }
        Ok(())
    }

    /// Fails if anything but white space follows the value.
    pub(crate) fn finish(&mut self) -> Result<(), ProtocolError> {
        self.jiter.finish().map_err(|error| self.error(&error))
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Result<String, ProtocolError> {
        self.jiter.known_str().map(str::to_owned).map_err(|error| self.error(&error))
    }

    /// Reads a value that is not an array. The contents of an object are skipped.
    pub(crate) fn cell(&mut self, peek: Peek) -> Result<Cell, ProtocolError> {
        let read = match peek {
            Peek::Null => self.jiter.known_null().map(|()| Cell::Missing),
            Peek::True | Peek::False => self.jiter.known_bool(peek).map(Cell::Bool),
            Peek::String => self.jiter.known_str().map(|text| Cell::Text(text.into())),
            Peek::Object => self.jiter.known_skip(peek).map(|()| Cell::Object),
            _ => return self.number(peek),
        };
        read.map_err(|error| self.error(&error))
    }

    fn number(&mut self, peek: Peek) -> Result<Cell, ProtocolError> {
        let start = self.jiter.current_index();
        match self.jiter.known_number(peek) {
            Ok(NumberAny::Int(NumberInt::Int(int))) => Ok(Cell::Int(int)),
            Ok(NumberAny::Float(float)) => {
                let literal = self.jiter.slice_to_current(start);
                if float.is_infinite() && !literal.ends_with(b"Infinity") {
                    let literal = shorten(&String::from_utf8_lossy(literal));
                    let position = self.position(start);
                    return Err(ProtocolError::invalid(format!(
                        "the number `{literal}` at {position} is out of range for a float"
                    )));
                }
                Ok(Cell::Float(float))
            }
            Err(error) if is_out_of_range(&error) => {
                let digits = self.jiter.known_number_bytes(peek).map(|digits| String::from_utf8_lossy(digits).into());
                digits.map(Cell::BigInt).map_err(|error| self.error(&error))
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    fn error(&self, error: &JiterError) -> ProtocolError {
        let position = self.position(error.index);
        ProtocolError::bad_request(format!("the body is not valid JSON: {} at {position}", error.error_type))
    }

    /// Returns the line and column of the byte at `index` in the value, for an error message.
    fn position(&self, index: usize) -> String {
        let before = self.text.as_bytes().get(..self.start + index).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        format!("line {line} column {column}")
    }
}

fn is_out_of_range(error: &JiterError) -> bool {
    matches!(error.error_type, JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange))
}
