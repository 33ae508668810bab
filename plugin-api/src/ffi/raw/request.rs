//! The requests that a test passes to a plugin's functions.

use std::fmt;

use crate::ffi::transport;

/// The content of a slice in a request, or an invalid slice.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bytes {
    /// These bytes, in a slice that is valid.
    Valid(Vec<u8>),
    /// A NULL pointer with this length.
    Null(usize),
}

impl Bytes {
    fn view(&self) -> &[u8] {
        match self {
            Self::Valid(bytes) => bytes,
            Self::Null(_) => &[],
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid(bytes) => write!(formatter, "b\"{}\"", bytes.escape_ascii()),
            Self::Null(length) => write!(formatter, "NULL with the length {length}"),
        }
    }
}

impl<B: Into<Vec<u8>>> From<B> for Bytes {
    fn from(bytes: B) -> Self {
        Self::Valid(bytes.into())
    }
}

/// A request that a test passes to a function of the plugin.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) head: Bytes,
    pub(super) body: Bytes,
    pub(super) credit: u32,
    pub(super) timeout_ms: u64,
    pub(super) newer: bool,
    pub(super) loan: Option<LoanKind>,
}

/// The kind of memory in which the plugin gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoanKind {
    /// Memory that becomes inaccessible when the plugin's function returns.
    Fleeting,
    /// Memory that ends directly before an inaccessible page.
    Guarded,
}

impl Request {
    /// Returns a request with this head and body. The request allows no chunks and has no deadline.
    pub fn new(head: impl Into<Bytes>, body: impl Into<Bytes>) -> Self {
        Self { head: head.into(), body: body.into(), credit: 0, timeout_ms: 0, newer: false, loan: None }
    }

    /// Sets the number of chunks that the plugin may send before the host allows more.
    #[must_use]
    pub fn with_credit(mut self, credit: u32) -> Self {
        self.credit = credit;
        self
    }

    /// Sets the time until the caller's deadline, in milliseconds.
    #[must_use]
    pub fn with_timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// Passes the request as a newer host does: with members at its end that the plugin does not know.
    #[must_use]
    pub fn newer(mut self) -> Self {
        self.newer = true;
        self
    }

    /// Passes the request in memory that ends directly before an inaccessible page.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        self.loan = Some(LoanKind::Guarded);
        self
    }

    /// Passes the request in memory that becomes inaccessible when the plugin's function returns.
    #[must_use]
    pub fn fleeting(mut self) -> Self {
        self.loan = Some(LoanKind::Fleeting);
        self
    }

    /// Returns the request in the form that a transport takes. It borrows ordinary memory, and an invalid slice becomes
    /// empty.
    pub(super) fn view(&self) -> transport::Request<'_> {
        let Self { credit, timeout_ms, .. } = *self;
        transport::Request { credit, timeout_ms, head: self.head.view(), body: self.body.view() }
    }
}
