//! Reads MLflow's environment variables for HTTP, which have the same names and defaults as in MLflow.
//!
//! A function looks the variables up, so that tests can pass their own values. An empty variable counts as unset.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::{Error, Result, Secret};

use crate::connect::{Proxies, ProxySetting};
use crate::text::{trim, trim_lines};
use crate::{Backoff, Connection, Policy};

/// The environment variables of a process, or the values that a test uses in their place.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Environment<'a> {
    /// Creates an environment. The function `lookup` returns the value of the variable with a given name.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// Returns the value of a variable, without the blanks and line ends around it. Returns `None` if the variable is
    /// unset or empty.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| trim(&value).to_owned()).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable that contains a secret, so that it is never printed.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// Returns the value of a variable that contains a password. Keeps blanks around the password, but removes line
    /// ends after it.
    pub(crate) fn password(&self, name: &str) -> Option<Secret> {
        let password = (self.lookup)(name).map(|value| trim_lines(&value).to_owned());
        password.filter(|value| !value.is_empty()).map(Secret::new)
    }

    /// Returns the value of a variable that contains whole seconds, or `default` seconds if the variable is unset.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the value is not a positive whole number.
    pub fn seconds(&self, name: &str, default: u64) -> Result<Duration> {
        let Some(seconds) = self.integer(name)? else { return Ok(Duration::from_secs(default)) };
        match u64::try_from(seconds) {
            Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
            _ => Err(Error::invalid_parameter(format!(
                "`{name}` is `{seconds}`: expected a number of seconds, 1 or more"
            ))),
        }
    }

    /// Returns the value of a variable that contains `true`, `false`, `1` or `0`, in any case, or `default` if the
    /// variable is unset.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the variable has another value.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.text(name).map(|value| value.to_lowercase()).as_deref() {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => {
                Err(Error::invalid_parameter(format!("`{name}` is `{other}`: expected `true`, `false`, `1` or `0`")))
            }
        }
    }

    /// Returns the retry policy that MLflow's environment variables set, with the default time limits. `max_retries`
    /// overrides the number of retries in the environment, within the same limit.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a number is invalid or exceeds its limit.
    pub fn policy(&self, max_retries: Option<i64>) -> Result<Policy> {
        let max_retries = match max_retries {
            Some(max_retries) => max_retries,
            None => self.integer("MLFLOW_HTTP_REQUEST_MAX_RETRIES")?.unwrap_or(7),
        };
        let retries_limit = self.integer("_MLFLOW_HTTP_REQUEST_MAX_RETRIES_LIMIT")?.unwrap_or(10);
        if max_retries > retries_limit {
            return Err(Error::invalid_parameter(format!(
                "the configured max_retries value ({max_retries}) is in excess of the maximum allowable retries \
                 ({retries_limit})"
            )));
        }
        let factor = self.number("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "a whole number")?.unwrap_or(2_u32);
        let factor_limit =
            self.number("_MLFLOW_HTTP_REQUEST_MAX_BACKOFF_FACTOR_LIMIT", "a whole number")?.unwrap_or(120);
        if factor > factor_limit {
            return Err(Error::invalid_parameter(format!(
                "the configured backoff_factor value ({factor}) is in excess of the maximum allowable backoff_factor \
                 limit ({factor_limit})"
            )));
        }
        Ok(Policy {
            max_retries: u32::try_from(max_retries).map_err(|_negative| {
                Error::invalid_parameter(format!(
                    "the max_retries value must be 0 or a positive integer, got `{max_retries}`"
                ))
            })?,
            backoff: Backoff::Mlflow {
                factor: f64::from(factor),
                jitter: self.number("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "a number")?.unwrap_or(1.0),
            },
            retry_codes: Cow::Borrowed(&[429, 500, 502, 503]),
            respect_retry_after: self.flag("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", true)?,
            follow_redirects: self.flag("MLFLOW_ALLOW_HTTP_REDIRECTS", true)?,
            ..Policy::default()
        })
    }

    /// Returns the connection settings. If `insecure` is true, server certificates are not checked. The certificate
    /// authorities are those in `ca_certs`, or else those that the environment names. The proxies are those of the
    /// environment. `names` contains the names of the settings `insecure` and `ca_certs` for the error.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if `insecure` is combined with certificate authorities.
    pub fn connection(&self, insecure: bool, ca_certs: Option<PathBuf>, names: [&str; 2]) -> Result<Connection> {
        if insecure && ca_certs.is_some() {
            let names = names.join("` and `");
            return Err(Error::invalid_parameter(format!(
                "the server's certificate cannot be both ignored and checked: set only one of `{names}`"
            )));
        }
        let ca_certs = ca_certs.or_else(|| {
            ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].iter().find_map(|name| self.text(name)).map(PathBuf::from)
        });
        Ok(Connection { insecure, ca_certs, proxies: self.proxies(), ..Connection::default() })
    }

    /// Returns the proxies that the environment variables name. The names of the variables may be in lower or upper
    /// case.
    fn proxies(&self) -> Proxies {
        let named = |names: &[&str]| {
            let mut set = names.iter().filter_map(|name| Some(((*name).to_owned(), self.secret(name)?)));
            set.next().map(|(variable, url)| ProxySetting { variable, url })
        };
        // A web server that runs a program as CGI sets `HTTP_PROXY` from a header of the request.
        let is_cgi = self.text("REQUEST_METHOD").is_some();
        let http: &[&str] = if is_cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        let all = ["all_proxy", "ALL_PROXY"];
        Proxies {
            http: named(&[http, &all].concat()),
            https: named(&[&["https_proxy", "HTTPS_PROXY"][..], &all].concat()),
            bypass: self.text("no_proxy").or_else(|| self.text("NO_PROXY")).unwrap_or_default(),
        }
    }

    /// Returns the value of a variable that contains a whole number, or `None` if the variable is unset.
    fn integer(&self, name: &str) -> Result<Option<i64>> {
        self.number(name, "a whole number")
    }

    fn number<T: std::str::FromStr>(&self, name: &str, what: &str) -> Result<Option<T>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let number = value.trim().parse().map_err(|_none| {
            Error::invalid_parameter(format!("failed to convert `{value}` for `{name}`: expected {what}"))
        })?;
        Ok(Some(number))
    }
}

/// Returns the value of an environment variable of this process. Replaces bytes that are not UTF-8. Such a variable
/// thus does not count as unset, and the error for its value names it.
pub fn process_variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Environment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(variables: &[(&str, &str)]) -> Result<Policy> {
        with(variables, |environment| environment.policy(None))
    }

    fn with<T>(variables: &[(&str, &str)], read: impl Fn(Environment<'_>) -> T) -> T {
        read(Environment::new(&|name| {
            variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned())
        }))
    }

    #[test]
    fn an_empty_environment_yields_mlflow_s_defaults() {
        assert_eq!(policy(&[]).unwrap(), Policy::default());
        assert_eq!(policy(&[("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "")]).unwrap(), Policy::default());
    }

    #[test]
    fn policy_reads_every_variable() {
        let read = policy(&[
            ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
            ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
            ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0.5"),
            ("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "False"),
            ("MLFLOW_ALLOW_HTTP_REDIRECTS", "0"),
        ]);
        let expected = Policy {
            max_retries: 2,
            backoff: Backoff::Mlflow { factor: 0.0, jitter: 0.5 },
            respect_retry_after: false,
            follow_redirects: false,
            ..Policy::default()
        };
        assert_eq!(read.unwrap(), expected);
    }

    #[test]
    fn policy_rejects_invalid_numbers_and_numbers_beyond_their_limit() {
        for (name, value, message) in [
            ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "11", "(11) is in excess of the maximum allowable retries (10)"),
            ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "-1", "must be 0 or a positive integer, got `-1`"),
            ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "abc", "failed to convert `abc` for `MLFLOW_HTTP_REQUEST_MAX_RETRIES`"),
            ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "121", "maximum allowable backoff_factor limit (120)"),
            ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1.5", "failed to convert `1.5`"),
            ("MLFLOW_ALLOW_HTTP_REDIRECTS", "yes", "expected `true`, `false`, `1` or `0`"),
        ] {
            let error = policy(&[(name, value)]).unwrap_err();
            assert!(error.message().contains(message), "{error}");
        }
        let limit = ("_MLFLOW_HTTP_REQUEST_MAX_RETRIES_LIMIT", "20");
        assert_eq!(policy(&[("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "11"), limit]).unwrap().max_retries, 11);
    }

    #[test]
    fn seconds_accepts_positive_whole_numbers_only() {
        let seconds = |value| with(&[("T", value)], |environment| environment.seconds("T", 9));
        assert_eq!(seconds("").unwrap(), Duration::from_secs(9));
        assert_eq!(seconds(" 3 ").unwrap(), Duration::from_secs(3));
        for wrong in ["1.5", "0", "-1", "x"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn marks_and_line_ends_around_a_value_are_removed() {
        let values = [("T", "\u{feff}a b\r\n"), ("P", "\u{feff} a b \r\n"), ("E", " \n")];
        let read = |name| {
            with(&values, |environment| {
                (environment.text(name), environment.password(name).map(|p| p.expose().to_owned()))
            })
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("T"), (some("a b"), some("a b")));
        assert_eq!(read("P"), (some("a b"), some(" a b ")));
        assert_eq!(read("E").0, None);
        assert!(with(&[("F", "true\r\n")], |environment| environment.flag("F", false)).unwrap());
    }

    #[test]
    fn proxies_are_read_in_either_case() {
        let found =
            with(&[("https_proxy", "http://p:1"), ("HTTP_PROXY", "http://p:2"), ("NO_PROXY", "a,b")], |environment| {
                environment.proxies()
            });
        let setting =
            |variable: &str, url: &str| Some(ProxySetting { variable: variable.to_owned(), url: Secret::new(url) });
        assert_eq!(
            (found.https, found.http, found.bypass.as_str()),
            (setting("https_proxy", "http://p:1"), setting("HTTP_PROXY", "http://p:2"), "a,b")
        );
        let all = with(&[("ALL_PROXY", "socks5h://p:3"), ("HTTPS_PROXY", "")], |environment| environment.proxies());
        let expected = setting("ALL_PROXY", "socks5h://p:3");
        assert_eq!((&all.https, &all.http), (&expected, &expected));
        let cgi =
            with(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil")], |environment| environment.proxies());
        assert_eq!(cgi, Proxies::default());
    }
}
