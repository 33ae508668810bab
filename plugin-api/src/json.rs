//! Free-form JSON objects that callers hand to a target: `config` and client options.
//!
//! They stay as the text they came as until a plugin reads them into a type of its own.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

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
            /// `INVALID_PARAMETER_VALUE`, with what serde says of the key and its value.
            pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
                let wrong = |error: serde_json::Error| {
                    let said = without_value(&error.to_string());
                    Error::invalid_parameter(format!(concat!("failed to read ", $what, ": {}"), said))
                };
                serde_json::from_str(self.as_str()).map_err(wrong)
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

/// What serde says of a wrong value, without the value: it may be a secret in the wrong place.
fn without_value(said: &str) -> String {
    match (said.find(": string \""), said.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => format!("{}: string{}", &said[..start], &said[end + 1..]),
        _ => said.to_owned(),
    }
}

/// Takes only a JSON object.
fn object(raw: Box<RawValue>) -> serde_json::Result<Box<RawValue>> {
    if raw.get().starts_with('{') { Ok(raw) } else { Err(serde_json::Error::custom("expected a JSON object")) }
}

#[cfg(test)]
mod tests {
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
        let error = options.parse::<std::collections::HashMap<String, u8>>().unwrap_err();
        assert_eq!(
            error.message(),
            "failed to read the client options: invalid type: string, expected u8 at line 1 column 39"
        );
    }

    #[test]
    fn only_an_object_will_do() {
        let error = Config::new(&[1]).unwrap_err();
        assert_eq!(error.message(), "failed to write the config: expected a JSON object");
        assert!(serde_json::from_str::<Config>("null").unwrap().is_empty());
    }
}
