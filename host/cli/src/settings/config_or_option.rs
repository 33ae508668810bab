//! The two kinds of settings.

/// A kind of settings on the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SettingKind {
    /// The config of an operation.
    Config,
    /// The options of a client.
    Option,
}

impl SettingKind {
    /// Returns the command-line option of this kind.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Config => "--config",
            Self::Option => "--option",
        }
    }

    /// Returns the error message for an argument with another syntax.
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
