//! The heads of `open` requests and of replies, as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{ClientOptions, TargetUri};

/// The head of an `open` request.
#[derive(Serialize, Deserialize)]
pub(super) struct OpenHead {
    pub(super) target_uri: TargetUri,
    #[serde(default)]
    pub(super) options: ClientOptions,
}

/// The head of a reply or a chunk; empty if the body is JSON.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct ReplyHead<'a> {
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<Cow<'a, str>>,
}
