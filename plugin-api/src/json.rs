//! Free-form JSON objects that callers hand to a target: `config` and client options.
//!
//! They stay as the text they came as until a plugin reads them into a type of its own.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Declares a JSON object kept as text.
macro_rules! json_object {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Default)]
        pub struct $name(Option<Box<RawValue>>);

        impl $name {
            /// Writes a value as the object.
            ///
            /// # Errors
            /// `INVALID_PARAMETER_VALUE` where the value is not written as a JSON object.
            pub fn new(value: &impl Serialize) -> Result<Self> {
                serde_json::value::to_raw_value(value)
                    .and_then(object)
                    .map(|raw| Self(Some(raw)))
                    .map_err(|error| Error::invalid_parameter(format!(concat!("failed to write ", $what, ": {}"), error)))
            }

            /// Whether nothing was given.
            pub fn is_empty(&self) -> bool {
                self.0.is_none()
            }

            /// The object as JSON text, `{}` where nothing was given.
            pub fn as_str(&self) -> &str {
                self.0.as_deref().map_or("{}", RawValue::get)
            }

            /// Reads the object into a type of the plugin's.
            ///
            /// # Errors
            /// `INVALID_PARAMETER_VALUE`, with the key and what its value should be.
            pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
                let reader = &mut serde_json::Deserializer::from_str(self.as_str());
                serde_path_to_error::deserialize(reader).map_err(|error| {
                    let wrong = in_words::<T>(self.as_str(), &error);
                    Error::invalid_parameter(format!(concat!("failed to read ", $what, ": {}"), wrong))
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
                raw.map(object).transpose().map(Self).map_err(D::Error::custom)
            }
        }

        /// Shows no value: there may be a secret among them.
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({} bytes)"), self.as_str().len())
            }
        }
    };
}

json_object! {
    /// The `config` argument of an operation: a JSON object whose keys the target defines.
    Config, "the config"
}

json_object! {
    /// The options of one client, such as its host, token or timeouts: a JSON object whose keys the target defines.
    ///
    /// They win over the environment, so two clients of one target can hold different credentials in one process.
    ClientOptions, "the client options"
}

/// What is wrong with a value, and where: a user has written keys and values, and knows neither lines nor Rust's types.
fn in_words<T: DeserializeOwned>(object: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let said = error.inner().to_string();
    let said = said.rsplit_once(" at line ").map_or(&*said, |(said, _line_and_column)| said);
    let is_found = error.path().iter().next().is_some();
    let place = if is_found { Some(error.path().to_string()) } else { wrong_key::<T>(object, said) };
    let said = without_value(said);
    let said = match said.rsplit_once("expected ") {
        Some((before, kind)) => format!("{before}expected {}", kind_in_words(kind)),
        None => said,
    };
    match place {
        Some(place) => format!("`{place}`: {said}"),
        None => said,
    }
}

/// The key of a wrong value, where serde has lost it, as it does in a flattened struct: by itself it is as wrong.
fn wrong_key<T: DeserializeOwned>(object: &str, said: &str) -> Option<String> {
    let entries: Map<String, Value> = serde_json::from_str(object).ok()?;
    entries.into_iter().find_map(|(key, value)| {
        let alone = Map::from_iter([(key.clone(), value)]);
        let error = serde_json::from_value::<T>(alone.into()).err()?;
        (error.to_string() == said).then_some(key)
    })
}

/// What serde says of a wrong value, without the value: it may be a secret in the wrong place.
fn without_value(said: &str) -> String {
    match (said.find(": string \""), said.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => format!("{}: string{}", &said[..start], &said[end + 1..]),
        _ => said.to_owned(),
    }
}

/// What serde expects, where it names a type of Rust's.
fn kind_in_words(kind: &str) -> Cow<'_, str> {
    let (least, of) = kind.strip_prefix("a nonzero ").map_or((0, kind), |of| (1, of));
    let greatest = match of {
        "u8" => u8::MAX.into(),
        "u16" => u16::MAX.into(),
        "u32" => u32::MAX.into(),
        "u64" | "usize" => u64::MAX,
        "i8" | "i16" | "i32" | "i64" | "isize" => return "a whole number".into(),
        "f32" | "f64" => return "a number".into(),
        _ if of.starts_with("struct ") => return "an object".into(),
        _ => return kind.into(),
    };
    match greatest {
        u64::MAX => format!("a whole number from {least}").into(),
        _ => format!("a whole number from {least} to {greatest}").into(),
    }
}

/// Takes only a JSON object.
fn object(raw: Box<RawValue>) -> serde_json::Result<Box<RawValue>> {
    if raw.get().starts_with('{') { Ok(raw) } else { Err(serde_json::Error::custom("expected a JSON object")) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn the_text_is_kept_as_it_came() {
        let config: Config = serde_json::from_str(r#"{"big": 12345678901234567890.10}"#).unwrap();
        assert_eq!(config.as_str(), r#"{"big": 12345678901234567890.10}"#);
        assert_eq!(serde_json::to_string(&config).unwrap(), config.as_str());
    }

    #[test]
    fn a_wrong_value_is_not_repeated() {
        let options = ClientOptions::new(&serde_json::json!({"headers": "Bearer \", expected s3cret"})).unwrap();
        let error = options.parse::<HashMap<String, u8>>().unwrap_err();
        let message =
            "failed to read the client options: `headers`: invalid type: string, expected a whole number from 0 to 255";
        assert_eq!(error.message(), message);
    }

    #[test]
    fn a_wrong_value_is_found_by_its_key() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "they are only read from text")]
        struct Inner {
            least: NonZeroUsize,
            share: f64,
        }
        let said = |inner: Value| {
            let config = Config::new(&serde_json::json!({"inner": [inner]})).unwrap();
            config.parse::<HashMap<String, Vec<Inner>>>().unwrap_err().message().to_owned()
        };
        let least = said(serde_json::json!({"least": 0}));
        assert_eq!(
            least,
            "failed to read the config: `inner[0].least`: invalid value: integer `0`, expected a whole number from 1"
        );
        let share = said(serde_json::json!({"least": 1, "share": []}));
        assert!(share.ends_with("`inner[0].share`: invalid type: sequence, expected a number"), "{share}");
        let none = said(serde_json::json!(true));
        assert!(none.ends_with("`inner[0]`: invalid type: boolean `true`, expected an object"), "{none}");
        let other = said(serde_json::json!({"more": 1}));
        assert!(other.ends_with("`inner[0].more`: unknown field `more`, expected `least` or `share`"), "{other}");
    }

    #[test]
    fn a_key_that_serde_loses_is_found() {
        #[derive(Debug, serde::Deserialize)]
        struct Outer {
            #[serde(flatten)]
            _inner: Inner,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Inner {
            _share: Option<f64>,
            _least: Option<NonZeroUsize>,
        }
        let config = Config::new(&serde_json::json!({"_share": 0, "_least": 0})).unwrap();
        assert!(config.parse::<Outer>().unwrap_err().message().contains("`_least`: invalid value"));
    }

    #[test]
    fn only_an_object_will_do() {
        let error = Config::new(&[1]).unwrap_err();
        assert_eq!(error.message(), "failed to write the config: expected a JSON object");
        assert!(serde_json::from_str::<Config>("null").unwrap().is_empty());
    }
}
