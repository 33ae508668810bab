//! The heads (JSON metadata) of `open` requests, replies and chunks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{ClientOptions, TargetUri};

/// The JSON head of an `open` request: the URI of the target and the client options.
#[derive(Serialize, Deserialize)]
pub(super) struct OpenHead {
    pub(super) target_uri: TargetUri,
    #[serde(default)]
    pub(super) options: ClientOptions,
}

/// The JSON head of a reply or a chunk: the media type of the body. The head is empty if the body is JSON.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct ReplyHead<'a> {
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<Cow<'a, str>>,
}
