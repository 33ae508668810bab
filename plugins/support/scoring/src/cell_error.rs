//! The reasons why one value cannot become an element of a tensor.

/// The reason why a value is not converted: the end of a sentence that starts with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CellError {
    /// MLflow rejects the value too.
    Invalid(&'static str),
    /// MLflow accepts the value and passes a different one to the model.
    Lossy(&'static str),
    /// The value is a time with a time zone.
    TimeZone,
}

/// The result of converting one value.
pub(crate) type CellResult<T> = Result<T, CellError>;
