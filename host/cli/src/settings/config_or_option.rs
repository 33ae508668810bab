//! The two kinds of settings on the command line: `--config` and `--option`.

/// A kind of settings that the command line can set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SettingKind {
    /// The config of an operation.
    Config,
    /// The options of a client.
    Option,
}

impl SettingKind {
    /// Returns the command-line option for settings of this kind: `--config` or `--option`.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Config => "--config",
            Self::Option => "--option",
        }
    }

    /// Returns the error message for an argument that is not `key=value` or `key:=JSON`.
    pub(super) fn syntax_error(self) -> String {
        match self {
            Self::Config => {
                "config options must be a pair, given as `-C key=value` or `--config key=value`, or with JSON as \
                 `-C key:=JSON`"
            }
            Self::Option => {
                "options must be a pair, given as `--option key=value`, or with JSON as `--option key:=JSON`"
            }
        }
        .to_owned()
    }
}
