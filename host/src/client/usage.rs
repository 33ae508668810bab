//! The number of tokens that a target has counted for an answer.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use mlflow_deploy_plugin_api::Payload;
use serde::Deserialize;
use serde_json::Value;

/// The number of tokens that a target has counted for an answer or for many answers.
///
/// ```
/// use mlflow_deploy::{JSON, Payload, Usage};
///
/// let answer = Payload::new(JSON, r#"{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}"#);
/// let usage = Usage::of(&answer).unwrap();
/// assert_eq!((usage.input_tokens, usage.output_tokens), (3, 4));
/// assert_eq!((usage + usage).to_string(), "6 input tokens, 8 output tokens");
/// assert_eq!(Usage::of(&Payload::new(JSON, r#"{"predictions": [1]}"#)), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The tokens of the input.
    pub input_tokens: u64,
    /// The tokens of the answer.
    pub output_tokens: u64,
}

impl Usage {
    /// Returns the usage in an answer: the member `usage` of a chat, a completion, an embedding, a response or a message.
    /// Returns `None` if the answer does not have such a member.
    pub fn of(answer: &Payload) -> Option<Self> {
        /// Reads no other member, because an answer may be large.
        #[derive(Deserialize)]
        struct Answer {
            usage: Option<Value>,
        }
        const NAME: &[u8] = b"\"usage\"";
        // Most predictions have no usage, and need not be parsed.
        if !answer.is_json() || memchr::memmem::find(answer.bytes(), NAME).is_none() {
            return None;
        }
        Self::read(&answer.json::<Answer>().ok()?.usage?)
    }

    /// Reads the value of a member `usage`. Returns `None` if it does not count tokens.
    pub fn read(usage: &Value) -> Option<Self> {
        let count = |names: [&str; 2]| names.iter().find_map(|name| usage.get(*name)?.as_u64());
        let (input, output) = (count(["prompt_tokens", "input_tokens"]), count(["completion_tokens", "output_tokens"]));
        (input.is_some() || output.is_some())
            .then(|| Self { input_tokens: input.unwrap_or_default(), output_tokens: output.unwrap_or_default() })
    }

    /// Returns the sum of both numbers.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} input tokens, {} output tokens", self.input_tokens, self.output_tokens)
    }
}
