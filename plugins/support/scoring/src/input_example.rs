//! Input examples that MLflow saved with a model, as requests. Never parses their content.

/// The form in which MLflow saved an input example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputExampleKind {
    /// `ndarray`: an array, or a request with `inputs`.
    Array,
    /// `dataframe`: a dataframe in pandas' orientation `split`.
    Dataframe,
}

impl InputExampleKind {
    /// Returns the kind that MLflow calls `name`; `None` for kinds that no request can express, such as sparse
    /// matrices.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "dataframe" => Some(Self::Dataframe),
            "ndarray" => Some(Self::Array),
            _ => None,
        }
    }

    /// Returns the JSON body of a request with the saved example.
    pub fn request(self, saved: String) -> String {
        // MLflow 1 and 2 saved an array as a request, MLflow 3 saves the array.
        let is_request = || saved.trim_start().starts_with('{') && saved.contains(r#""inputs""#);
        match self {
            Self::Dataframe => format!(r#"{{"dataframe_split": {saved}}}"#),
            Self::Array if is_request() => saved,
            Self::Array => format!(r#"{{"inputs": {saved}}}"#),
        }
    }
}
