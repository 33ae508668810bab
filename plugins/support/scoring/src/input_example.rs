//! Converts input examples, which MLflow saves with a model, to requests. Does not parse the examples.

/// The format in which MLflow saved an input example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputExampleKind {
    /// The kind `ndarray` of MLflow: an array, or a request with `inputs`.
    Array,
    /// The kind `dataframe` of MLflow: a dataframe in the orientation `split` of pandas.
    Dataframe,
}

impl InputExampleKind {
    /// Returns the kind that MLflow calls `name`. Returns `None` if a request cannot express this kind, such as sparse
    /// matrices.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "dataframe" => Some(Self::Dataframe),
            "ndarray" => Some(Self::Array),
            _ => None,
        }
    }

    /// Returns the JSON body of a request whose inputs are the saved example.
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
