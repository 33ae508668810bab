//! Reads JSON as Python's `json.loads` does: `NaN`, `Infinity`, a byte order mark. Never nests deeper than numpy's arrays.

use std::ops::Range;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};

use crate::cells::Cell;
use crate::fault::Fault;

/// How deep arrays may nest: numpy's limit.
pub(crate) const DEEPEST: usize = 64;

/// A value of a JSON text, read from its start to its end.
pub(crate) struct Json<'a> {
    jiter: Jiter<'a>,
    text: &'a str,
    /// Where the value starts in the text.
    start: usize,
    /// The index of the value that is read in each of the arrays around it, outermost first.
    pub(crate) at: [usize; DEEPEST],
}

impl<'a> Json<'a> {
    /// A reader of the part of a text that starts and ends at these bytes.
    pub(crate) fn new(text: &'a str, part: Range<usize>) -> Self {
        let start = part.start;
        let part = text.as_bytes().get(part).unwrap_or_default();
        Self { jiter: Jiter::new(part).with_allow_inf_nan(), text, start, at: [0; DEEPEST] }
    }

    /// The indexes of the value that is read in this many arrays.
    pub(crate) fn at(&self, depth: usize) -> &[usize] {
        self.at.get(..depth).unwrap_or_default()
    }

    /// The kind of the next value.
    pub(crate) fn peek(&mut self) -> Result<Peek, Fault> {
        self.jiter.peek().map_err(|error| self.fault(&error))
    }

    /// Passes over a value, and tells where in the text it is.
    pub(crate) fn skip(&mut self, peek: Peek) -> Result<Range<usize>, Fault> {
        let start = self.start + self.jiter.current_index();
        self.jiter.known_skip(peek).map_err(|error| self.fault(&error))?;
        Ok(start..self.start + self.jiter.current_index())
    }

    /// Passes over a value: its text.
    pub(crate) fn raw(&mut self, peek: Peek) -> Result<&'a str, Fault> {
        let part = self.skip(peek)?;
        Ok(self.text.get(part).unwrap_or_default())
    }

    /// Enters an array: the kind of its first item.
    pub(crate) fn first_item(&mut self) -> Result<Option<Peek>, Fault> {
        self.jiter.known_array().map_err(|error| self.fault(&error))
    }

    /// The kind of the next item of an array.
    pub(crate) fn next_item(&mut self) -> Result<Option<Peek>, Fault> {
        self.jiter.array_step().map_err(|error| self.fault(&error))
    }

    /// Hands every key of an object to a function, which reads its value.
    pub(crate) fn members(&mut self, mut each: impl FnMut(&mut Self, &str) -> Result<(), Fault>) -> Result<(), Fault> {
        // One buffer for all keys: a key is borrowed from the reader that has to read its value.
        let mut key = String::new();
        let first = self.jiter.known_object().map(|first| first.map(|first| key.push_str(first)));
        let mut more = first.map_err(|error| self.fault(&error))?.is_some();
        while more {
            each(self, &key)?;
            key.clear();
            let next = self.jiter.next_key().map(|next| next.map(|next| key.push_str(next)));
            more = next.map_err(|error| self.fault(&error))?.is_some();
        }
        Ok(())
    }

    /// Demands that nothing follows.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.jiter.finish().map_err(|error| self.fault(&error))
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Result<String, Fault> {
        self.jiter.known_str().map(str::to_owned).map_err(|error| self.fault(&error))
    }

    /// Reads a value that is no array. An object is passed over.
    pub(crate) fn cell(&mut self, peek: Peek) -> Result<Cell, Fault> {
        let read = match peek {
            Peek::Null => self.jiter.known_null().map(|()| Cell::Missing),
            Peek::True | Peek::False => self.jiter.known_bool(peek).map(Cell::Bool),
            Peek::String => self.jiter.known_str().map(|text| Cell::Text(text.into())),
            Peek::Object => self.jiter.known_skip(peek).map(|()| Cell::Object),
            _ => return self.number(peek),
        };
        read.map_err(|error| self.fault(&error))
    }

    fn number(&mut self, peek: Peek) -> Result<Cell, Fault> {
        let start = self.jiter.current_index();
        match self.jiter.known_number(peek) {
            Ok(NumberAny::Int(NumberInt::Int(int))) => Ok(Cell::Int(int)),
            Ok(NumberAny::Float(float)) => {
                let literal = self.jiter.slice_to_current(start);
                if float.is_infinite() && !literal.ends_with(b"Infinity") {
                    let literal = excerpt(&String::from_utf8_lossy(literal));
                    let place = self.place(start);
                    return Err(Fault::invalid(format!("the number `{literal}` at {place} is beyond every float")));
                }
                Ok(Cell::Float(float))
            }
            Err(error) if is_out_of_range(&error) => {
                let digits = self.jiter.known_number_bytes(peek).map(|digits| String::from_utf8_lossy(digits).into());
                digits.map(Cell::BigInt).map_err(|error| self.fault(&error))
            }
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn fault(&self, error: &JiterError) -> Fault {
        let place = self.place(error.index);
        Fault::bad_request(format!("the body is not valid JSON: {} at {place}", error.error_type))
    }

    /// Where a byte of the value is, for a message.
    fn place(&self, index: usize) -> String {
        let before = self.text.as_bytes().get(..self.start + index).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        format!("line {line} column {column}")
    }
}

fn is_out_of_range(error: &JiterError) -> bool {
    matches!(error.error_type, JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange))
}

/// The start of a text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Some names, for a message.
pub(crate) fn listing<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 8;
    let mut names = names.into_iter();
    let mut shown: Vec<_> = names.by_ref().take(MOST).map(|name| format!("`{}`", excerpt(name))).collect();
    match names.count() {
        0 if shown.is_empty() => return "none".to_owned(),
        0 => {}
        more => shown.push(format!("{more} more")),
    }
    shown.join(", ")
}
