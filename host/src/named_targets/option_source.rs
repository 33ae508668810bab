//! The value of an option of a named target, or the place from which its secret is read.

use std::fmt;
use std::path::PathBuf;

use mlflow_deploy_plugin_api::Secret;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// The value of a client option of a [`NamedTarget`](crate::NamedTarget), or the place of a secret.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionSource {
    /// The output of this program and its arguments, without one line end at its end.
    Command(Vec<String>),
    /// The value of this environment variable.
    Environment(String),
    /// The content of this file, without one line end at its end.
    File(PathBuf),
    /// A number or a boolean.
    Scalar(Value),
    /// A text. It is typed by the schema of the plugin, as `--option key=value` is.
    Text(Secret),
}

impl OptionSource {
    /// Returns true if the option is a secret that is read when a client is opened.
    pub fn is_read_later(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Environment(_) | Self::File(_))
    }
}

/// The table that names the place of a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    env: Option<String>,
    file: Option<PathBuf>,
    command: Option<Vec<String>>,
}

impl TryFrom<Place> for OptionSource {
    type Error = &'static str;

    fn try_from(place: Place) -> Result<Self, &'static str> {
        match place {
            Place { env: Some(name), file: None, command: None } if name.is_empty() || name.contains(['=', '\0']) => {
                Err("`env` must be the name of a variable")
            }
            Place { env: Some(name), file: None, command: None } => Ok(Self::Environment(name)),
            Place { env: None, file: Some(path), command: None } if path.as_os_str().is_empty() => {
                Err("`file` must be a path")
            }
            Place { env: None, file: Some(path), command: None } => Ok(Self::File(path)),
            Place { env: None, file: None, command: Some(words) } if words.first().is_none_or(String::is_empty) => {
                Err("`command` must be a list with a program and its arguments")
            }
            Place { env: None, file: None, command: Some(words) } => Ok(Self::Command(words)),
            _ => Err("expected exactly one of `env`, `file` and `command`"),
        }
    }
}

impl<'de> Deserialize<'de> for OptionSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OptionSourceVisitor)
    }
}

struct OptionSourceVisitor;

impl<'de> Visitor<'de> for OptionSourceVisitor {
    type Value = OptionSource;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, a boolean, or a table with one of `env`, `file` and `command`")
    }

    fn visit_bool<E>(self, value: bool) -> Result<OptionSource, E> {
        Ok(OptionSource::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<OptionSource, E> {
        Ok(OptionSource::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<OptionSource, E> {
        Ok(OptionSource::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<OptionSource, E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => Ok(OptionSource::Scalar(number.into())),
            None => Err(E::custom("`nan` and `inf` are not numbers of JSON")),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<OptionSource, E> {
        Ok(OptionSource::Text(Secret::new(value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<OptionSource, A::Error> {
        Place::deserialize(MapAccessDeserializer::new(table))?.try_into().map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(text: &str) -> Result<OptionSource, String> {
        let options = toml::from_str::<BTreeMap<String, OptionSource>>(&format!("k = {text}"));
        options.map(|mut options| options.remove("k").unwrap()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn an_option_is_a_value_or_the_place_of_a_secret() {
        assert_eq!(read("'x'"), Ok(OptionSource::Text(Secret::new("x"))));
        assert_eq!(read("3"), Ok(OptionSource::Scalar(3.into())));
        assert_eq!(read("0.5"), Ok(OptionSource::Scalar(0.5.into())));
        assert_eq!(read("true"), Ok(OptionSource::Scalar(true.into())));
        assert_eq!(read("{ env = 'V' }"), Ok(OptionSource::Environment("V".to_owned())));
        assert_eq!(read("{ file = '~/t' }"), Ok(OptionSource::File("~/t".into())));
        let command = OptionSource::Command(["pass", "x"].map(str::to_owned).to_vec());
        assert_eq!(read("{ command = ['pass', 'x'] }"), Ok(command));
    }

    #[test]
    fn an_invalid_place_is_an_error() {
        let one = "expected exactly one of `env`, `file` and `command`";
        for (text, message) in [
            ("{}", one),
            ("{ env = 'A', file = 'b' }", one),
            ("{ evn = 'A' }", "unknown field `evn`, expected one of `env`, `file`, `command`"),
            ("{ env = '' }", "`env` must be the name of a variable"),
            ("{ file = '' }", "`file` must be a path"),
            ("{ command = [] }", "`command` must be a list with a program and its arguments"),
            ("inf", "`nan` and `inf` are not numbers of JSON"),
            ("['x']", "invalid type: sequence, expected a text, a number, a boolean, or a table"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}
