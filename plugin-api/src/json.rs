//! The types of JSON objects whose keys the target defines: the argument `config` and the client options.
//!
//! An object is kept as unchanged text until a plugin parses it into a type of its own.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Error, Result, json_integer, nearest};

/// Declares a type for a JSON object that is kept as text.
macro_rules! json_object {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Default)]
        pub struct $name(Option<Box<RawValue>>);

        impl $name {
            /// Serializes a value, such as a map or a struct, to a JSON object.
            ///
            /// # Errors
            /// `INVALID_PARAMETER_VALUE` if the value does not serialize to a JSON object.
            pub fn new(value: &impl Serialize) -> Result<Self> {
                serde_json::value::to_raw_value(value)
                    .and_then(object)
                    .map(|raw| Self(Some(raw)))
                    .map_err(|error| Error::invalid_parameter(format!(concat!("failed to write ", $what, ": {}"), error)))
            }

            /// Returns true if the object has no keys, which means that the caller gave no object or `{}`.
            pub fn is_empty(&self) -> bool {
                let after_brace = self.as_str().trim_start_matches('{');
                after_brace.trim_ascii_start().starts_with('}')
            }

            /// Returns the object as JSON text; `{}` if the caller gave no object.
            pub fn as_str(&self) -> &str {
                self.0.as_deref().map_or("{}", RawValue::get)
            }

            /// Parses the object into a type of the plugin.
            ///
            /// # Errors
            /// `INVALID_PARAMETER_VALUE` if a value has the wrong type. The message names the key and the expected
            /// type. Fails also if an integer has more than 64 bits, because parsing would change its digits.
            pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
                if let Some(at) = json_integer::beyond_64_bits(self.as_str()) {
                    return Err(Error::invalid_parameter(format!(
                        concat!("failed to read ", $what, ": the integer at byte {} has more than 64 bits: pass it as a string"),
                        at
                    )));
                }
                let reader = &mut serde_json::Deserializer::from_str(self.as_str());
                serde_path_to_error::deserialize(reader).map_err(|error| {
                    let fault = describe::<T>(self.as_str(), &error);
                    Error::invalid_parameter(format!(concat!("failed to read ", $what, ": {}"), fault))
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

        /// Shows only the size of the object, because a value may be a secret.
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({} bytes)"), self.as_str().len())
            }
        }
    };
}

json_object! {
    /// The `config` argument of an operation: a JSON object whose keys the target defines.
    ///
    /// ```
    /// use mlflow_deploy_plugin_api::Config;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings {
    ///     replicas: u8,
    /// }
    ///
    /// let config = Config::new(&serde_json::json!({"replicas": 2}))?;
    /// assert_eq!(config.parse::<Settings>()?.replicas, 2);
    ///
    /// let error = Config::new(&serde_json::json!({"replicas": "two"}))?.parse::<Settings>().err().unwrap();
    /// assert!(error.message().starts_with("failed to read the config: `replicas`: "));
    /// # Ok::<(), mlflow_deploy_plugin_api::Error>(())
    /// ```
    Config, "the config"
}

impl Config {
    /// Fails if the config has a key that is not in `known`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE`, with the most similar known key and with all known keys.
    ///
    /// ```
    /// use mlflow_deploy_plugin_api::Config;
    ///
    /// let config = Config::new(&serde_json::json!({"replica": 2}))?;
    /// let error = config.check_keys(&["replicas", "wait"]).unwrap_err();
    /// let message = "unknown config key `replica`; did you mean `replicas`?; known keys: `replicas`, `wait`";
    /// assert_eq!(error.message(), message);
    /// # Ok::<(), mlflow_deploy_plugin_api::Error>(())
    /// ```
    pub fn check_keys(&self, known: &[&str]) -> Result<()> {
        let keys: Map<String, Value> = self.parse()?;
        let Some(unknown) = keys.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
        let similar = nearest(unknown, known.iter().copied());
        let hint = similar.map(|similar| format!("; did you mean `{similar}`?")).unwrap_or_default();
        let listed = match known {
            [] => "expected no keys".to_owned(),
            known => format!("known keys: `{}`", known.join("`, `")),
        };
        Err(Error::invalid_parameter(format!("unknown config key `{unknown}`{hint}; {listed}")))
    }
}

json_object! {
    /// The options of one client, such as its host, token or timeouts: a JSON object whose keys the target defines.
    ///
    /// The options take precedence over the environment, so that two clients of one target can have different
    /// credentials in one process. See [`Config`] for an example.
    ClientOptions, "the client options"
}

/// Describes the error of a wrong value: the key and the expected type, but no line numbers or names of Rust types.
fn describe<T: DeserializeOwned>(object: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let message = error.inner().to_string();
    let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _line_and_column)| message);
    let has_path = error.path().iter().next().is_some();
    let path = if has_path { Some(error.path().to_string()) } else { wrong_key::<T>(object, message) };
    let message = without_value(message);
    let message = match message.rsplit_once("expected ") {
        Some((before, expected)) => format!("{before}expected {}", expected_type(expected)),
        None => message,
    };
    match path {
        Some(path) => format!("`{path}`: {message}"),
        None => message,
    }
}

/// Returns the key of a wrong value if serde's error does not name it, as for a flattened struct. Parses each member of
/// the object alone until one of them gives the same error.
fn wrong_key<T: DeserializeOwned>(object: &str, message: &str) -> Option<String> {
    let entries: Map<String, Value> = serde_json::from_str(object).ok()?;
    entries.into_iter().find_map(|(key, value)| {
        let alone = Map::from_iter([(key.clone(), value)]);
        let error = serde_json::from_value::<T>(alone.into()).err()?;
        (error.to_string() == message).then_some(key)
    })
}

/// Returns serde's error message without the wrong string, and without a value of the wrong type: it may be a secret, such
/// as a password of digits that was given as a number.
fn without_value(message: &str) -> String {
    if let Some((found, expected)) = message.strip_prefix("invalid type: ").and_then(|it| it.rsplit_once(", expected "))
    {
        let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
        return format!("invalid type: {kind}, expected {expected}");
    }
    match (message.find(": string \""), message.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => format!("{}: string{}", &message[..start], &message[end + 1..]),
        _ => message.to_owned(),
    }
}

/// Translates serde's description of an expected type, so that it contains no names of Rust types.
fn expected_type(expected: &str) -> Cow<'_, str> {
    let (min, type_name) = expected.strip_prefix("a nonzero ").map_or((0, expected), |name| (1, name));
    let max = match type_name {
        "u8" => u8::MAX.into(),
        "u16" => u16::MAX.into(),
        "u32" => u32::MAX.into(),
        "u64" | "usize" => u64::MAX,
        "i8" | "i16" | "i32" | "i64" | "isize" => return "a whole number".into(),
        "f32" | "f64" => return "a number".into(),
        _ if type_name.starts_with("struct ") => return "an object".into(),
        _ => return expected.into(),
    };
    match max {
        u64::MAX => format!("a whole number from {min}").into(),
        _ => format!("a whole number from {min} to {max}").into(),
    }
}

/// Returns the JSON unchanged. Fails if it is not an object.
fn object(raw: Box<RawValue>) -> serde_json::Result<Box<RawValue>> {
    if raw.get().starts_with('{') { Ok(raw) } else { Err(serde_json::Error::custom("expected a JSON object")) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn unknown_keys_are_named_with_the_known_ones() {
        let check = |known: &[&str]| {
            let config = Config::new(&serde_json::json!({"zzz": 1})).unwrap();
            config.check_keys(known).map_err(|error| error.message().to_owned())
        };
        assert_eq!(check(&["zzz"]), Ok(()));
        assert_eq!(check(&["wait"]).unwrap_err(), "unknown config key `zzz`; known keys: `wait`");
        assert_eq!(check(&[]).unwrap_err(), "unknown config key `zzz`; expected no keys");
    }

    #[test]
    fn the_text_of_a_config_is_kept_unchanged() {
        let config: Config = serde_json::from_str(r#"{"big": 12345678901234567890.10}"#).unwrap();
        assert_eq!(config.as_str(), r#"{"big": 12345678901234567890.10}"#);
        assert_eq!(serde_json::to_string(&config).unwrap(), config.as_str());
    }

    #[test]
    fn an_error_does_not_repeat_a_value_of_the_wrong_type() {
        let message = |options: Value, parse: fn(&ClientOptions) -> Error| {
            parse(&ClientOptions::new(&options).unwrap()).message().replace("failed to read the client options: ", "")
        };
        let number = |options: &ClientOptions| options.parse::<HashMap<String, u8>>().unwrap_err();
        let string = message(serde_json::json!({"headers": "Bearer \", expected s3cret"}), number);
        assert_eq!(string, "`headers`: invalid type: string, expected a whole number from 0 to 255");
        let text = |options: &ClientOptions| options.parse::<HashMap<String, String>>().unwrap_err();
        for (secret, kind) in [
            (serde_json::json!(4711), "integer"),
            (serde_json::json!(47.11), "floating point"),
            (serde_json::json!(true), "boolean"),
        ] {
            let expected = format!("`token`: invalid type: {kind}, expected a string");
            assert_eq!(message(serde_json::json!({ "token": secret }), text), expected);
        }
    }

    #[test]
    fn an_error_names_the_key_and_the_expected_type() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "they are only deserialized")]
        struct Inner {
            least: NonZeroUsize,
            share: f64,
        }
        let message = |inner: Value| {
            let config = Config::new(&serde_json::json!({"inner": [inner]})).unwrap();
            config.parse::<HashMap<String, Vec<Inner>>>().unwrap_err().message().to_owned()
        };
        let least = message(serde_json::json!({"least": 0}));
        assert_eq!(
            least,
            "failed to read the config: `inner[0].least`: invalid value: integer `0`, expected a whole number from 1"
        );
        let share = message(serde_json::json!({"least": 1, "share": []}));
        assert!(share.ends_with("`inner[0].share`: invalid type: sequence, expected a number"), "{share}");
        let none = message(serde_json::json!(true));
        assert!(none.ends_with("`inner[0]`: invalid type: boolean, expected an object"), "{none}");
        let other = message(serde_json::json!({"more": 1}));
        assert!(other.ends_with("`inner[0].more`: unknown field `more`, expected `least` or `share`"), "{other}");
    }

    #[test]
    fn an_error_in_a_flattened_struct_names_the_key() {
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
    fn an_object_without_keys_is_empty() {
        let is_empty = |text: &str| serde_json::from_str::<Config>(text).unwrap().is_empty();
        assert!(Config::default().is_empty() && ClientOptions::new(&serde_json::json!({})).unwrap().is_empty());
        assert!(["null", "{}", " {} ", "{ \r\n\t}"].into_iter().all(is_empty));
        assert!(![r#"{"a":1}"#, r#"{ "": null }"#, r#"{"}":{}}"#].into_iter().any(is_empty));
    }

    #[test]
    fn an_integer_beyond_64_bits_is_an_error_and_is_not_rounded() {
        let config = Config::new(&HashMap::from([("id", u128::MAX)])).unwrap();
        let error = config.parse::<Map<String, Value>>().unwrap_err();
        assert_eq!(
            error.message(),
            "failed to read the config: the integer at byte 6 has more than 64 bits: pass it as a string"
        );
        let largest = Config::new(&HashMap::from([("id", u64::MAX)])).unwrap();
        assert_eq!(largest.parse::<HashMap<String, u64>>().unwrap()["id"], u64::MAX);
    }

    #[test]
    fn json_that_is_not_an_object_fails() {
        let error = Config::new(&[1]).unwrap_err();
        assert_eq!(error.message(), "failed to write the config: expected a JSON object");
        assert!(serde_json::from_str::<Config>("null").unwrap().is_empty());
    }
}
